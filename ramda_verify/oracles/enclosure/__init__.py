"""Theorems about a point: how far it is from the minimiser of a subproblem, in ball arithmetic (python-flint).

Every number of a float64 problem is a rational one, and every operation here returns an interval that holds the exact
result. What comes out is therefore true of the exact problem and the exact point, without "up to rounding".
"""

from ramda_verify.oracles.enclosure.enclose import applies, enclose, why_not
from ramda_verify.oracles.enclosure.result import Enclosure, Interval

__all__ = ["Enclosure", "Interval", "applies", "enclose", "why_not"]
