"""Constants in a traced code, read as the numbers that were meant: 0.1 as 1/10, 1.4142135623730951 as the root of 2.

Floating point holds neither. Were they read to the last bit, a threshold ``math.sqrt(2)`` would be no root of 2 and the
prox with it wrong by 1e-17. A constant is read as a fraction of small denominator, or as the root of one, where this
rounds to it; else it is the fraction that the float is.
"""

import math
from dataclasses import replace
from fractions import Fraction

from ramda_verify.proof import extended as x
from ramda_verify.proof.angles import multiple_of_pi
from ramda_verify.proof.extended import INF, NAN, ZERO, Number, constant, negative
from ramda_verify.proof.terms import Context

#: Fractions up to this denominator are what a person writes or a short computation makes.
MAX_DENOMINATOR = 10**6
#: Under a root: chance hits of a float among roots of so few fractions are below one in a thousand million.
MAX_UNDER_ROOT = 1000
#: Roundings of the few operations that made the constant.
ULPS = 4


def as_fraction(value: float) -> Fraction:
    """The fraction that a finite number stands for."""
    exact = Fraction(value)
    simple = exact.limit_denominator(MAX_DENOMINATOR)
    return simple if _rounds_to(simple, value) else exact


def read_constant(context: Context, value: float) -> Number:
    """A number of the traced code as a term."""
    if math.isnan(value):
        return NAN
    if math.isinf(value):
        return INF if value > 0 else negative(INF)
    if value == 0 and math.copysign(1.0, value) < 0:
        return negative(constant(ZERO))
    found = as_fraction(value)
    if found.denominator <= MAX_DENOMINATOR:
        return constant(found)
    for degree in (2, 3):
        under = Fraction(abs(value)) ** degree
        simple = under.limit_denominator(MAX_UNDER_ROOT)
        if simple.numerator <= MAX_UNDER_ROOT and _rounds_to(simple ** Fraction(1, degree), abs(value)):
            root = x.root(context, constant(simple), degree)
            return root if value > 0 else negative(root)
    return replace(constant(found), angle=multiple_of_pi(value))


def _rounds_to(meant: Fraction | float, value: float) -> bool:
    return abs(float(meant) - value) <= ULPS * math.ulp(value) and meant != 0
