"""The subproblem in numpy float64, fast enough to stand inside a trajectory of many steps."""

from typing import Any

import numpy as np
from scipy.optimize import brentq

from ramda_verify.oracles.answer import Array
from ramda_verify.oracles.psi_model import as_matrix, norm_terms, require_model


def solve(B: Array, D: Array, lam: float, regularizer: Any, iterations: int = 20_000) -> Array:
    """``argmin 1/2<Z,D*Z> - <B,Z> + lam*psi(Z)`` for the known regularizers.

    Sums of norms by their dual: ``z = (b - u)/d`` with u the projection of b on the ball of radius t in the metric
    1/d, its multiplier found by bracketing. The nuclear norm by plain proximal gradient until it stands still; raises
    RuntimeError where it does not within ``iterations``.
    """
    model = require_model(regularizer)
    if model.kind == "NuclearNorm":
        return _nuclear(as_matrix(B), as_matrix(D), lam * model.reg_weight, iterations).reshape(B.shape)
    Z = (B / D).ravel()
    b, d = B.ravel(), D.ravel()
    for price, indices in norm_terms(model, B.shape):
        Z[indices] = _ball(b[indices], d[indices], lam * price)
    return Z.reshape(B.shape)


def _ball(b: Array, d: Array, t: float) -> Array:
    if np.linalg.norm(b) <= t:
        return np.zeros_like(b)
    if t == 0:
        return b / d

    def excess(log_multiplier: float) -> float:
        return float(np.linalg.norm(b / (1 + np.exp(log_multiplier) * d)) / t - 1)

    low, high = -60.0, 60.0
    while excess(high) > 0:
        high += 60
    while excess(low) < 0:
        low -= 60
    multiplier = np.exp(brentq(excess, low, high, xtol=1e-14, rtol=1e-15, maxiter=500))
    # b - u = multiplier*d*b/(1 + multiplier*d), written so that nothing cancels.
    return multiplier * b / (1 + multiplier * d)


def _nuclear(B: Array, D: Array, t: float, iterations: int) -> Array:
    L = D.max()
    Z = np.zeros_like(B)
    for _ in range(iterations):
        left, sigma, right = np.linalg.svd(Z - (D * Z - B) / L, full_matrices=False)
        moved = (left * np.maximum(sigma - t / L, 0.0)) @ right
        if np.abs(moved - Z).max() <= 4e-16 * np.abs(moved).max():
            return moved
        Z = moved
    if np.abs(L * (moved - Z)).max() <= 1e-13 * np.abs(B).max():
        return moved
    raise RuntimeError(f"proximal gradient moved after {iterations} iterations")
