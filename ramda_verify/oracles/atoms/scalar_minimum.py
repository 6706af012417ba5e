"""The global minimiser of a quadratic plus functions of one number, by looking at every piece and every kink.

Arrays are of float64 or of mpmath numbers (dtype object): the same statements compute in either arithmetic.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ramda_verify.oracles.answer import Array
from ramda_verify.oracles.atoms.functions import Piece, ScalarFunction

#: Halvings of a bracket: 66 digits of it, and more than float64 has.
HALVINGS = 220
#: Doublings of the far end of a bracket, to the end of the range of float64.
DOUBLINGS = 1100

#: (price, f): the term ``price * f(z)``.
Term = tuple[float, ScalarFunction]


def minimisers(b: Array, d: Array, terms: Sequence[Term]) -> Array:
    """For each entry the z of least ``1/2 d z^2 - b z + sum price*f(z)``, by exhaustion; of several the first found.

    ``d`` > 0, or d >= 0 where the terms grow faster than b pulls. Candidates are all kinks, and on every interval
    between two the stationary point, unique by the monotone curvature of the pieces (of their sum, where several terms
    have pieces that are no quadratics).
    """
    terms = [(price, function) for price, function in terms if price > 0]
    kinks = sorted({kink for _, function in terms for kink in function.kinks})
    inner = []
    for low, high in pairwise((-np.inf, *kinks, np.inf)):
        pieces = [(price, function.piece_on(low, high)) for price, function in terms]
        x = _stationary(b, d, pieces, low, high)
        inner.append((x, (low < x) & (x < high)))
    if not all(function.convex for _, function in terms):
        return _lowest([x for x, _ in inner] + [b * 0 + kink for kink in kinks], b, d, terms)
    # Where psi is convex a stationary point is the minimiser, also where squares of it underflow.
    best = _lowest([b * 0 + kink for kink in kinks], b, d, terms) if kinks else b * 0
    for x, stationary in inner:
        best = np.where(stationary, x, best)
    return best


def objective(x: Array, b: Array, d: Array, terms: Sequence[Term]) -> Array:
    """``1/2 d x^2 - b x + sum price*f(x)``, entry by entry."""
    found = x * (d * x / 2 - b)
    for price, function in terms:
        found = found + price * function.values(x)
    return found


def _lowest(candidates: Sequence[Array], b: Array, d: Array, terms: Sequence[Term]) -> Array:
    best, *others = candidates
    lowest = objective(best, b, d, terms)
    for x in others:
        found = objective(x, b, d, terms)
        lower = found < lowest
        best, lowest = np.where(lower, x, best), np.where(lower, found, lowest)
    return best


def _stationary(b: Array, d: Array, pieces: Sequence[tuple[float, Piece]], low: float, high: float) -> Array:
    """Where the slope turns from negative to positive on (low, high), else one of the ends."""
    # The end nearer to zero: a small solution is then no difference of large numbers.
    near = min((end for end in (low, high) if np.isfinite(end)), key=abs, default=0.0)
    if all(piece.constant_curvature for _, piece in pieces):
        origin = (b * 0 + near)[:1]  # in the arithmetic of the entries
        bend = d + sum(price * piece.curvature(origin) for price, piece in pieces)
        pull = b - d * near - sum(price * piece.slope(origin) for price, piece in pieces)
        usable = bend > 0
        x = near + pull / (bend if usable.all() else np.where(usable, bend, 1))
        # Both ends in the arithmetic of the entries: a float64 among 70 digits makes the objective one of 16.
        return np.minimum(np.maximum(np.where(usable, x, b * 0 + near), b * 0 + low), b * 0 + high)

    def slope(x: Array) -> Array:
        return d * x - b + sum(price * piece.slope(x) for price, piece in pieces)

    def curvature(x: Array) -> Array:
        return d + sum(price * piece.curvature(x) for price, piece in pieces)

    start, end = (_far(slope, b, d, near, end, sign) for end, sign in ((low, -1), (high, 1)))
    # Where the curvature is positive, at one side of its only zero, the slope increases.
    third = curvature(_between(start, end, 0.75)) > curvature(_between(start, end, 0.25))
    turn = _root(curvature, start, end, third)
    first, last = np.where(third, turn, start), np.where(third, end, turn)
    x, span = _root(slope, first, last, np.full(b.shape, True)), (end - start) * 2.0 ** (20 - HALVINGS)
    # Without a root in between, halving ends just beside an end.
    x = np.where(x - start <= span, start, x)
    return np.where(end - x <= span, end, x)


def _far(slope: Any, b: Array, d: Array, near: float, end: float, sign: int) -> Array:
    """The end of a bracket: ``end`` itself, or so far out that the slope has its final sign."""
    if np.isfinite(end):
        return b * 0 + end
    span = abs(b) / np.where(d > 0, d, 1) + abs(near) + 1
    for _ in range(DOUBLINGS):
        short = sign * slope(near + sign * span) <= 0
        if not short.any():
            break
        span = np.where(short, 2 * span, span)
    return near + sign * span


def _between(start: Array, end: Array, share: float) -> Array:
    return start + share * (end - start)


def _root(function: Any, start: Array, end: Array, increasing: NDArray[np.bool_]) -> Array:
    """The root of a monotone function in (start, end), whose ends are not evaluated; an end where there is none."""
    for _ in range(HALVINGS):
        middle = (start + end) / 2
        beyond = (function(middle) > 0) == increasing
        start, end = np.where(beyond, start, middle), np.where(beyond, middle, end)
    return (start + end) / 2
