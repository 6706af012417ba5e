"""A rigorous lower bound on the subproblem's optimum by weak duality, from any point.

For psi the support function of a convex set C (all norms here), every U in lam*C gives, since lam*psi(Z) >= <U, Z>,

    Q(Z) >= min over Z of 1/2<Z,D*Z> - <B-U, Z> = -1/2 <B-U, (B-U)/D>.

U is taken as B - D*Z brought into lam*C, so that the bound is tight at the solution (Rockafellar, Convex Analysis,
1970, section 31). Then also ``1/2 sum D*(Z - Z*)^2 <= Q(Z) - bound``.
"""

import math
from typing import Any

import numpy as np

from ramda_verify.oracles.answer import Array
from ramda_verify.oracles.psi_model import PsiModel, as_matrix, norm_terms, psi_value, require_model


def smooth_terms(Z: Array, B: Array, D: Array) -> Array:
    """The entries of ``1/2 D*Z^2 - B*Z``, flat."""
    return (Z * (0.5 * D * Z - B)).ravel()


def subproblem_objective(Z: Array, B: Array, D: Array, lam: float, regularizer: Any) -> float:
    """Q(Z) in float64, summed without rounding error between the terms."""
    return math.fsum(smooth_terms(Z, B, D)) + lam * psi_value(Z, regularizer)


def lower_bound(Z: Array, B: Array, D: Array, lam: float, regularizer: Any) -> float:
    """A number that is at most min Q, up to rounding of its own evaluation (float64 in, shapes equal)."""
    U = _into_dual_ball((B - D * Z), lam, require_model(regularizer))
    return -0.5 * math.fsum(((B - U) ** 2 / D).ravel())


def _into_dual_ball(slope: Array, lam: float, model: PsiModel) -> Array:
    if model.kind == "NuclearNorm":
        left, sigma, right = np.linalg.svd(as_matrix(slope), full_matrices=False)
        inside = (left * np.minimum(sigma, lam * model.reg_weight)) @ right
        return np.asarray(inside.reshape(slope.shape), dtype=np.float64)
    inside = np.zeros(slope.size)
    flat = slope.ravel()
    for price, indices in norm_terms(model, slope.shape):
        size = math.hypot(*flat[indices])
        inside[indices] = flat[indices] * (min(1.0, lam * price / size) if size > 0 else 0.0)
    return inside.reshape(slope.shape)
