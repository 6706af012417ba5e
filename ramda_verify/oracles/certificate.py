"""Certificates recomputed in numpy float64: the residual of stationarity.

Its failure status is nan (non-finite input, an SVD that does not converge), which no comparison accepts.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ramda_verify.oracles.answer import Array
from ramda_verify.oracles.atoms import Atom
from ramda_verify.oracles.psi import atoms_of, disjoint, is_outside, scaled_atoms, spectral_atom

#: Rounds over atoms that share entries.
ROUNDS = 5000
STANDS_STILL = 1e-16


def stationarity(
    point: Array, B: Array, D: Array, lam: float, regularizer: Any, rank_tolerance: float | None = None
) -> float:
    """``min {||s|| : s in D*Z - B + lam*dpsi(Z)}`` at Z = ``point``, for known regularizers; nan on failure, inf where
    Z violates a constraint.

    Every tensor is lifted to float64 first. For nonconvex psi the subdifferential is the limiting one. Singular values
    up to ``rank_tolerance`` (relative to the largest; default max(m, n) * eps of the dtype of ``point``) count as zero.
    Raises TypeError for an unknown regularizer.
    """
    atoms = scaled_atoms(regularizer, np.shape(point), lam)
    eps = np.finfo(point.dtype).eps if np.issubdtype(point.dtype, np.floating) else np.finfo(np.float64).eps
    z, b, d = (np.asarray(a, dtype=np.float64).ravel() for a in (point, B, D))
    with np.errstate(over="ignore", invalid="ignore"):
        slope = d * z - b
    if not (np.isfinite(slope).all() and math.isfinite(lam)):
        return math.nan
    if is_outside(z, atoms):
        return math.inf
    spectral = spectral_atom(atoms)
    if rank_tolerance is None:
        rank_tolerance = float(eps) * (max(spectral.shape) if spectral is not None else 1)
    try:
        return math.hypot(*shortest(atoms, z, slope, rank_tolerance))
    except np.linalg.LinAlgError:
        return math.nan


def shortest(atoms: Sequence[Atom], z: Array, slope: Array, rank_tolerance: float) -> Array:
    """The shortest member of ``slope`` plus the sum of the atoms' subdifferentials at a flat z.

    Of atoms that share entries, each takes its best member in turn until none moves: block descent on a square whose
    constraints are one set a block, which converges to the minimum where the sets are convex.
    """
    residual, members = slope.copy(), [np.zeros(len(atom.indices)) for atom in atoms]
    for _ in range(1 if disjoint(atoms) else ROUNDS):
        before = residual.copy()
        for number, atom in enumerate(atoms):
            here = atom.indices
            without = residual[here] - members[number]
            residual[here] = atom.residual(z[here], without, rank_tolerance)
            members[number] = residual[here] - without
        if np.abs(residual - before).max(initial=0.0) <= STANDS_STILL * np.abs(slope).max(initial=0.0):
            break
    return residual


def stationarity_of_rounded(point: Array, B: Array, D: Array, lam: float, regularizer: Any) -> float:
    """As ``stationarity``, for a point that rounding to its dtype has moved; nan on failure.

    Rounding turns the singular vectors of a singular value s by up to ``eps*||Z||/s``, and the subdifferential of the
    nuclear norm with them, at ``turn = threshold*eps*||Z||/s``. Z may also be taken for Z_k, its k largest singular
    values, at ``move = ||D*(Z - Z_k)||``. The rank k is the one for which turn + move is least; returned is what the
    residual at that rank exceeds its turn by, plus its move, or the residual of Z as it is where that is smaller.
    """
    atom = spectral_atom(atoms_of(regularizer, np.shape(point)))
    found = stationarity(point, B, D, lam, regularizer)
    if atom is None or math.isnan(found):
        return found
    Z, D = np.asarray(point, dtype=np.float64), np.asarray(D, dtype=np.float64)
    try:
        left, sigma, right = np.linalg.svd(Z.reshape(atom.shape), full_matrices=False)
    except np.linalg.LinAlgError:
        return math.nan
    eps, length = float(np.finfo(point.dtype).eps), math.hypot(*Z.ravel())
    full = int((sigma > max(atom.shape) * eps * sigma[0]).sum())
    choices = []
    for rank in range(full, -1, -1):
        tail = ((left[:, rank:full] * sigma[rank:full]) @ right[rank:full]).reshape(Z.shape)
        turn = lam * atom.price * eps * length / float(sigma[rank - 1]) if rank else 0.0
        choices.append((turn + math.hypot(*(D * tail).ravel()), turn, rank))
    least, turn, rank = min(choices)
    cut = None if rank == full else float(sigma[rank] / sigma[0])
    there = stationarity(point, B, D, lam, regularizer, rank_tolerance=cut)
    # NumPy's minimum is NaN where one of the two is.
    return float(np.minimum(found, np.maximum(there - turn, 0.0) + (least - turn)))
