"""Angles, as the roots of cubics by cosines need them: ``cos(2*pi/3 - 2/3*arccos(c))`` is a polynomial of one root.

An angle is ``turns*pi + share*arccos(c)``. With ``share = p/q`` it is p times an angle whose q-fold has the cosine c or
-c, so its cosine is T_p of the root tau of ``T_q(tau) = +-c`` in an interval on which T_q is monotone; T_n are the
Chebyshev polynomials, ``cos(n*x) = T_n(cos(x))``.
"""

import math
from dataclasses import dataclass, replace
from fractions import Fraction

from ramda_verify.proof.extended import ONE, Number
from ramda_verify.proof.terms import Context, Term, conjunction, less, minus, negation, times

#: Multiples of pi in a code have small denominators.
MAX_DENOMINATOR, ULPS = 24, 4
#: cos(k*pi/q) where it is rational, by q: the ends of the intervals on which T_q is monotone.
ENDS = {1: (1, -1), 2: (1, 0, -1), 3: (1, Fraction(1, 2), Fraction(-1, 2), -1)}


@dataclass(frozen=True, eq=False)
class Angle:
    """``turns*pi + share*arccos(cosine)``; without a cosine the share is 0."""

    turns: Fraction
    share: Fraction = Fraction(0)
    cosine: Number | None = None


def multiple_of_pi(value: float) -> Angle | None:
    """The angle that a constant of the code stands for, or None."""
    turns = Fraction(value / math.pi).limit_denominator(MAX_DENOMINATOR)
    meant = abs(float(turns) * math.pi - value) <= ULPS * math.ulp(value)
    return Angle(turns) if value != 0 and meant else None


def arccosine(context: Context, a: Number) -> Number:
    """An angle between 0 and pi; as a number it is only known to lie there."""
    inside = conjunction(a.finite, negation(less(a.term, -ONE)), negation(less(ONE, a.term)))
    return Number(context.angle(a.term), nan=negation(inside), angle=Angle(Fraction(0), ONE, a))


def with_sum(found: Number, a: Number, b: Number) -> Number:
    """``found``, the sum of two numbers, as an angle where both are."""
    one, other = a.angle, b.angle
    if one is None or other is None or (one.cosine and other.cosine and one.cosine is not other.cosine):
        return found
    return replace(found, angle=Angle(one.turns + other.turns, one.share + other.share, one.cosine or other.cosine))


def with_multiple(found: Number, a: Number, factor: Number) -> Number:
    """``found``, the product with a constant, as an angle where ``a`` is one."""
    if a.angle is None or not isinstance(factor.term, Fraction) or factor.finite is not True:
        return found
    angle = a.angle
    return replace(found, angle=Angle(angle.turns * factor.term, angle.share * factor.term, angle.cosine))


def cosine(context: Context, a: Number) -> Number | None:
    """The cosine of an angle; None where it is no polynomial of one root."""
    if a.angle is None or a.angle.cosine is None or a.angle.share == 0:
        return None
    turns, share = a.angle.turns, a.angle.share
    if share < 0:
        turns, share = -turns, -share
    p, q = share.numerator, share.denominator
    place = turns * q / p
    if q not in ENDS or place.denominator != 1 or p > 4:
        return None
    part = int(place) % (2 * q)
    sign = 1 if part % 2 == 0 else -1
    # Past pi the cosine takes the values back: cos(2*pi - angle) is cos(angle).
    part = part if part < q else 2 * q - 1 - part
    high, low = (Fraction(end) for end in ENDS[q][part : part + 2])
    value = times(Fraction(sign), a.angle.cosine.term)
    tau = context.chebyshev_root(value, q, low, high)
    return Number(chebyshev(p, tau), nan=a.nan)


def sine(context: Context, a: Number) -> Number | None:
    """The sine as the cosine of what is left to a right angle."""
    if a.angle is None:
        return None
    return cosine(context, replace(a, angle=replace(a.angle, turns=a.angle.turns - Fraction(1, 2))))


def chebyshev(degree: int, tau: Term) -> Term:
    """T_degree(tau) by ``T_n = 2*tau*T_(n-1) - T_(n-2)``."""
    before, now = ONE, tau
    for _ in range(degree - 1):
        before, now = now, minus(times(Fraction(2), times(tau, now)), before)
    return now
