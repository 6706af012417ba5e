"""Balls: intervals of real numbers that hold the exact result of every operation on them (Arb, within python-flint).

A ball has no smallest and no largest number: nothing overflows. The precision in bits is flint's current one.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ramda_verify.oracles.lazily import lazily

flint = lazily("flint")

#: A ``flint.arb``.
Ball = Any


def exactly(values: Any) -> list[Ball]:
    """The numbers of an array as balls of radius zero; float64 and narrower ones are read without rounding."""
    return [flint.arb(value) for value in np.asarray(values, dtype=np.float64).ravel().tolist()]


def zero() -> Ball:
    return flint.arb(0)


def between(low: Ball, high: Ball) -> Ball:
    """A ball that holds both and all between them."""
    return low.union(high)


def above(ball: Ball) -> float:
    """A float64 that is at least every number of the ball, the smallest one or a neighbour; inf where there is none."""
    if not ball.is_finite():
        return math.inf
    bound = ball.upper()
    nearest = float(bound)
    return nearest if flint.arb(nearest) >= bound else math.nextafter(nearest, math.inf)


def below(ball: Ball) -> float:
    """A float64 that is at most every number of the ball; -inf where there is none."""
    return -above(-ball)


def root(ball: Ball) -> Ball:
    """The square root of a number that is known to be >= 0, whatever part of its ball is not."""
    low, high = (largest(end, zero()) for end in (ball.lower(), ball.upper()))
    return between(low.sqrt(), high.sqrt())


def total(balls: Iterable[Ball]) -> Ball:
    return sum(balls, zero())


def dot(a: Sequence[Ball], b: Sequence[Ball]) -> Ball:
    return total(x * y for x, y in zip(a, b, strict=True))


def squares(balls: Iterable[Ball]) -> Ball:
    """The sum of squares."""
    return total(x * x for x in balls)


def length(balls: Iterable[Ball]) -> Ball:
    """The Euclidean norm."""
    return root(squares(balls))


def largest(a: Ball, b: Ball) -> Ball:
    return a.max(b)


def smallest(a: Ball, b: Ball) -> Ball:
    return a.min(b)


def is_exactly_zero(ball: Ball) -> bool:
    return bool(ball.is_zero())


def middle(balls: Iterable[Ball]) -> list[Ball]:
    """The centres, as balls of radius zero."""
    return [ball.mid() for ball in balls]
