"""Certificates recomputed in numpy float64: the residual of stationarity, and whether a vector is a subgradient.

The failure status of both is nan (non-finite input, an SVD that does not converge), which no comparison accepts.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ramda_verify.oracles.answer import Array
from ramda_verify.oracles.psi_model import as_matrix, norm_terms, require_model


def stationarity(
    point: Array, B: Array, D: Array, lam: float, regularizer: Any, rank_tolerance: float | None = None
) -> float:
    """``min {||s|| : s in D*Z - B + lam*dpsi(Z)}`` at Z = ``point``, for the known regularizers; nan on failure.

    Every tensor is lifted to float64 first. For a group: the gradient plus ``t*z/||z||``, or at z = 0 what sticks out
    of the ball of radius t. For the nuclear norm singular values up to ``rank_tolerance`` (relative to the largest;
    default max(m, n) * eps of the dtype of ``point``) count as zero. Raises TypeError for an unknown regularizer.
    """
    model = require_model(regularizer)
    eps = np.finfo(point.dtype).eps if np.issubdtype(point.dtype, np.floating) else np.finfo(np.float64).eps
    Z, B, D = (np.asarray(a, dtype=np.float64) for a in (point, B, D))
    slope = D * Z - B
    if not (np.isfinite(slope).all() and math.isfinite(lam)):
        return math.nan
    if model.kind == "NuclearNorm":
        matrix = as_matrix(Z)
        relative = max(matrix.shape) * float(eps) if rank_tolerance is None else rank_tolerance
        try:
            return _nuclear_residual(matrix, as_matrix(slope), lam * model.reg_weight, relative)
        except np.linalg.LinAlgError:
            return math.nan
    residual = slope.ravel().copy()
    z, g = Z.ravel(), slope.ravel()
    for price, indices in norm_terms(model, Z.shape):
        threshold, length, pull = lam * price, math.hypot(*z[indices]), math.hypot(*g[indices])
        if length > 0:
            residual[indices] = g[indices] + threshold * (z[indices] / length)
        else:
            residual[indices] = g[indices] * (max(pull - threshold, 0.0) / pull if pull > 0 else 0.0)
    return math.hypot(*residual)


def stationarity_of_rounded(point: Array, B: Array, D: Array, lam: float, regularizer: Any) -> float:
    """As ``stationarity``, for a point that rounding to its dtype has moved; nan on failure.

    Rounding turns the singular vectors of a singular value s by up to ``eps*||Z||/s``, and the subdifferential of the
    nuclear norm with them, at ``turn = threshold*eps*||Z||/s``. Z may also be taken for Z_k, its k largest singular
    values, at ``move = ||D*(Z - Z_k)||``. The rank k is the one for which turn + move is least; returned is what the
    residual at that rank exceeds its turn by, plus its move, or the residual of Z as it is where that is smaller.
    """
    model = require_model(regularizer)
    found = stationarity(point, B, D, lam, regularizer)
    if model.kind != "NuclearNorm" or math.isnan(found):
        return found
    Z, D = np.asarray(point, dtype=np.float64), np.asarray(D, dtype=np.float64)
    try:
        left, sigma, right = np.linalg.svd(as_matrix(Z), full_matrices=False)
    except np.linalg.LinAlgError:
        return math.nan
    eps, length = float(np.finfo(point.dtype).eps), math.hypot(*Z.ravel())
    full = int((sigma > max(as_matrix(Z).shape) * eps * sigma[0]).sum())
    choices = []
    for rank in range(full, -1, -1):
        tail = ((left[:, rank:full] * sigma[rank:full]) @ right[rank:full]).reshape(Z.shape)
        turn = lam * model.reg_weight * eps * length / float(sigma[rank - 1]) if rank else 0.0
        choices.append((turn + math.hypot(*(D * tail).ravel()), turn, rank))
    least, turn, rank = min(choices)
    cut = None if rank == full else float(sigma[rank] / sigma[0])
    there = stationarity(point, B, D, lam, regularizer, rank_tolerance=cut)
    # NumPy's minimum is NaN where one of the two is.
    return float(np.minimum(found, np.maximum(there - turn, 0.0) + (least - turn)))


def _nuclear_residual(matrix: Array, slope: Array, threshold: float, relative: float) -> float:
    """In the singular bases of the point the subdifferential is ``[[threshold*I, 0], [0, N]]`` with ``||N|| <=
    threshold``: compare the slope with it block by block.
    """
    left, sigma, right = np.linalg.svd(matrix, full_matrices=True)
    rank = int((sigma > relative * sigma.max()).sum())
    turned = left.T @ slope @ right.T
    fixed = turned[:rank, :rank] + threshold * np.eye(rank)
    outside = np.linalg.svd(turned[rank:, rank:], compute_uv=False)
    excess = np.maximum(outside - threshold, 0.0)
    blocks = (fixed, turned[:rank, rank:], turned[rank:, :rank], excess)
    # hypot neither overflows nor underflows where a sum of squares would.
    return math.hypot(*(math.hypot(*block.ravel()) for block in blocks))


def subgradient_violation(
    psi: Callable[[Array], float],
    point: Array,
    candidate: Array,
    directions: int = 32,
    seed: int = 0,
    unit_roundoff: float = float(np.finfo(np.float64).eps),
) -> float:
    """How badly ``candidate`` fails to be a subgradient of the convex psi at ``point``: the largest

        (psi(point) + <candidate, x - point> - psi(x)) / (|psi(x) - psi(point)| + ||candidate||*||x - point||)

    over many x, 0 where none violates and nan where psi could not be evaluated or the numbers leave float64. x runs
    over random points at many scales, along the candidate and its slices and singular pairs, and where psi is small:
    zero, zeroed slices of every axis, truncated ranks. ``unit_roundoff`` is that of the dtype in which psi works;
    violations below its noise count as none.
    """
    point, candidate = np.asarray(point, dtype=np.float64), np.asarray(candidate, dtype=np.float64)
    here, violations = float(psi(point)), [0.0]
    if not (math.isfinite(here) and np.isfinite(candidate).all()):
        return math.nan
    length = math.hypot(*candidate.ravel())
    for x in _test_points(point, candidate, directions, np.random.default_rng(seed)):
        there, move = float(psi(x)), x - point
        if math.isnan(there):
            return math.nan
        if math.isinf(there):
            continue
        with np.errstate(over="ignore"):
            products = (candidate * move).ravel()
            terms = float(np.abs(products).sum())
        size = abs(there - here) + length * math.hypot(*move.ravel())
        noise = 64 * unit_roundoff * (abs(here) + abs(there) + terms)
        if not (math.isfinite(size) and math.isfinite(noise)):
            # Any excess would be nothing beside it.
            return math.nan
        if size > 0:
            violations.append((here + math.fsum(products) - there - noise) / size)
    # NumPy's maximum is NaN where one of the numbers is.
    return float(np.max(violations))


def _test_points(point: Array, candidate: Array, directions: int, random: np.random.Generator) -> Iterator[Array]:
    size = float(np.abs(point).max()) or 1.0
    yield np.zeros_like(point)
    yield 2 * point
    moves = [candidate, -candidate, *(random.standard_normal(point.shape) for _ in range(directions))]
    moves += [random.standard_normal(point.shape) * (random.random(point.shape) < 0.2) for _ in range(directions)]
    for axis in range(point.ndim):
        for position in range(point.shape[axis]):
            index = (slice(None),) * axis + (position,)
            zeroed, only = point.copy(), np.zeros_like(candidate)
            zeroed[index], only[index] = 0.0, candidate[index]
            yield zeroed
            moves.append(only)
    if point.ndim >= 2:
        left, sigma, right = np.linalg.svd(as_matrix(point), full_matrices=False)
        for rank in range(1, len(sigma)):
            yield ((left[:, :rank] * sigma[:rank]) @ right[:rank]).reshape(point.shape)
        left, sigma, right = np.linalg.svd(as_matrix(candidate), full_matrices=False)
        moves += [np.outer(left[:, k], right[k]).reshape(point.shape) for k in range(len(sigma))]
    for move in moves:
        longest = float(np.abs(move).max())
        if longest > 0:
            for scale in (1e-6, 1e-3, 1e-1, 1.0, 10.0, 1e3):
                yield point + move * (scale * size / longest)
