"""Factors of a matrix of low rank that is much nearer to the minimiser, by Newton's method.

The sum of singular values is the least ``(||A||^2 + ||C||^2)/2`` over all ``A C' = Y`` (Srebro and Shraibman, 2005). At
factors with ``A'A = C'C`` the function ``1/2<Y,D*Y> - <B,Y> + price/2 (||A||^2 + ||C||^2)`` is smooth. Its gradient is
computed in balls, the equation of the step in float64: every step multiplies the error by a fixed small factor. What is
proved of the point that it leads to does not rest on that.
"""

from typing import TYPE_CHECKING

import numpy as np

from ramda_verify.oracles.answer import Array
from ramda_verify.oracles.enclosure.balls import flint
from ramda_verify.oracles.enclosure.matrices import (
    Matrix,
    diagonal,
    from_entries,
    matrix,
    orthonormal,
    positive_definite,
    size,
)
from ramda_verify.oracles.enclosure.part import Balls

if TYPE_CHECKING:
    from ramda_verify.oracles.enclosure.spectral import SpectralPart

#: Steps at most, and entries of both factors beyond which the equation of a step takes too long.
STEPS, MOST_ENTRIES = 8, 600
#: Singular values of that equation below this share are taken for the rotations of both factors, which change nothing.
ROTATION = 1e-11
#: The equation of a step is set up again where one step made the square of the gradient no smaller than this.
SLOW = 1e-6


def refined(part: "SpectralPart", y: Balls, slope: Balls, d: Balls) -> tuple[Matrix, Matrix, Matrix] | None:
    """U, S and V of a matrix near ``y``; None where no step makes the gradient smaller, or the matrix is large."""
    rank, (rows, columns) = part.core.nrows(), part.shape
    metric, at = from_entries(part.shape, d), from_entries(part.shape, y)
    if (rows + columns) * rank > MOST_ENTRIES:
        return None
    roots = diagonal([part.core[i, i].sqrt().mid() for i in range(rank)])
    pull = _times(metric, at) - from_entries(part.shape, slope)  # B
    A, C = (part.left * roots).mid(), (part.right * roots).mid()
    best, least, inverse = (A, C), None, None
    for _ in range(STEPS):
        G = (_times(metric, A * C.transpose()) - pull).mid()
        F = (G * C + A * part.price).mid(), (G.transpose() * A + C * part.price).mid()
        now = size(F[0]) + size(F[1])
        if least is not None and not now < least:
            break
        if inverse is None or (least is not None and not now < SLOW * least):
            inverse = _inverse(_floats(A), _floats(C), _floats(G), _floats(metric), float(part.price))
        best, least = (A, C), now
        if inverse is None or not now > 0:
            break
        step = _step(inverse, F)
        A, C = (A + step[0]).mid(), (C + step[1]).mid()
    return _orthonormal(*best, diagonal([1 / roots[i, i] for i in range(rank)]))


def _inverse(A: Array, C: Array, G: Array, D: Array, price: float) -> Array | None:
    """The pseudo-inverse of the second derivative at the factors; None where it leaves float64."""
    count, columns = A.size + C.size, []
    for place in range(count):
        change = np.zeros(count)
        change[place] = 1.0
        dA, dC = change[: A.size].reshape(A.shape), change[A.size :].reshape(C.shape)
        with np.errstate(all="ignore"):
            dG = D * (dA @ C.T + A @ dC.T)
            halves = dG @ C + G @ dC + price * dA, dG.T @ A + G.T @ dA + price * dC
        columns.append(np.concatenate([half.ravel() for half in halves]))
    second = np.stack(columns, axis=1)
    if not np.isfinite(second).all():
        return None
    try:
        return np.asarray(np.linalg.pinv(second, rcond=ROTATION), dtype=np.float64)
    except np.linalg.LinAlgError:
        return None


def _step(inverse: Array, F: tuple[Matrix, Matrix]) -> tuple[Matrix, Matrix]:
    """``-H^+ F``, F in units of about its largest entry."""
    largest = max(abs(entry) for half in F for entry in half.entries())
    unit = flint.arb(2) ** int(float(largest.log() / flint.arb(2).log()))
    moves = -inverse @ np.concatenate([_floats(half * (1 / unit)).ravel() for half in F])
    first = F[0].nrows() * F[0].ncols()
    parts = (moves[:first].reshape(F[0].nrows(), -1), moves[first:].reshape(F[1].nrows(), -1))
    return matrix(parts[0]) * unit, matrix(parts[1]) * unit


def _orthonormal(A: Matrix, C: Matrix, inverse: Matrix) -> tuple[Matrix, Matrix, Matrix] | None:
    """The polar factors of both, which turn alike where A'A = C'C, and the symmetric core between them."""
    left, right = orthonormal(A * inverse), orthonormal(C * inverse)
    core = left.transpose() * A * C.transpose() * right
    core = ((core + core.transpose()) * flint.arb(0.5)).mid()
    return (left, core, right) if positive_definite(core) else None


def _times(a: Matrix, b: Matrix) -> Matrix:
    """Entry by entry."""
    entries = [x * y for x, y in zip(a.entries(), b.entries(), strict=True)]
    return from_entries((a.nrows(), a.ncols()), entries)


def _floats(values: Matrix) -> Array:
    return np.array([float(entry) for entry in values.entries()]).reshape(values.nrows(), values.ncols())
