"""Matrices of balls: orthonormal columns to any precision, and a bound on a spectral norm that is proved."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ramda_verify.oracles.answer import Array
from ramda_verify.oracles.enclosure.balls import Ball, flint, squares, zero

#: A ``flint.arb_mat``.
Matrix = Any
#: Rounds of an iteration that doubles the number of right digits each time, from those of float64.
ROUNDS = 40


def matrix(values: Array) -> Matrix:
    """A float64 matrix as balls of radius zero."""
    rows, columns = values.shape
    return flint.arb_mat(rows, columns, values.ravel().tolist())


def from_entries(shape: tuple[int, int], entries: Any) -> Matrix:
    return flint.arb_mat(*shape, list(entries))


def identity(size: int) -> Matrix:
    return matrix(np.eye(size))


def diagonal(values: Sequence[Ball]) -> Matrix:
    order = range(len(values))
    return from_entries((len(values), len(values)), [values[i] if i == j else zero() for i in order for j in order])


def size(values: Matrix) -> Ball:
    """The sum of the squares of all entries."""
    return squares(values.entries())


def orthonormal(columns: Matrix) -> Matrix:
    """The nearest matrix with orthonormal columns, to the current precision, by Newton's iteration
    ``X <- X (3 I - X'X)/2`` (Higham, Functions of Matrices, 2008, section 8.3); exact balls.
    """
    found, unit = columns.mid(), identity(columns.ncols())
    goal = flint.arb(2) ** (16 - 2 * flint.ctx.prec)
    for _ in range(ROUNDS):
        gram = found.transpose() * found
        if size(gram - unit) < goal:
            break
        found = (found * (unit * 3 - gram) * flint.arb(0.5)).mid()
    return found


def spectral_norm_at_most(values: Matrix, bound: Ball) -> bool:
    """Whether it is proved that no singular value exceeds ``bound``: ``bound^2 I - X'X`` is positive definite."""
    if values.nrows() < values.ncols():
        values = values.transpose()
    return positive_definite(identity(values.ncols()) * (bound * bound) - values.transpose() * values)


def positive_definite(values: Matrix) -> bool:
    """Whether it is proved that a symmetric matrix is: it has a factorisation LDL' with positive D, in balls.

    The largest pivot comes first, so that no rounding is magnified by a small one.
    """
    rest, left = values.tolist(), list(range(values.nrows()))
    while left:
        k = max(left, key=lambda i: rest[i][i].mid())
        left.remove(k)
        pivot = rest[k][k]
        if not pivot > 0:
            return False
        for i in left:
            share = rest[i][k] / pivot
            for j in left:
                rest[i][j] = rest[i][j] - share * rest[k][j]
    return True
