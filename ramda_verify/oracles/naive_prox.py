"""Slow second proximal operators: a line search where the library has a formula.

The only thing assumed is where to look: each entry between 0 and w, each group on the ray of w (among all z of one
length the one along w is nearest to w), each singular value likewise. A golden-section search finds a minimiser only to
about the square root of the rounding error, so points agree to 1e-7 and objectives to 1e-14.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ramda_verify.oracles.answer import Array, OracleAnswer, failure, relative_error
from ramda_verify.oracles.psi_model import as_matrix, norm_terms, psi_value, require_model

GOLDEN = (math.sqrt(5) - 1) / 2
SEARCH_STEPS = 90


def line_minimum(function: Callable[[float], float], low: float, high: float) -> float:
    """A minimiser of a unimodal function on [low, high] by golden section; the ends themselves are tried too."""
    a, b = low, high
    x, y = b - GOLDEN * (b - a), a + GOLDEN * (b - a)
    fx, fy = function(x), function(y)
    for _ in range(SEARCH_STEPS):
        if fx <= fy:
            b, y, fy = y, x, fx
            x = b - GOLDEN * (b - a)
            fx = function(x)
        else:
            a, x, fx = x, y, fy
            y = a + GOLDEN * (b - a)
            fy = function(y)
    return min((low, high, (a + b) / 2), key=function)


def shrink_length(length: float, price: float) -> float:
    """``argmin over r in [0, length] of price*r + 1/2 (r - length)^2``, searched in units of the length."""
    if length == 0:
        return 0.0
    relative = price / length
    return length * line_minimum(lambda r: relative * r + 0.5 * (r - 1) ** 2, 0.0, 1.0)


def naive_prox(w: Array, step: float, regularizer: Any) -> OracleAnswer:
    """``argmin_z step*psi(z) + 1/2||z - w||^2`` for the known regularizers; ``objective`` is that of this very sum.

    Accuracy 1e-12 of ``1/2||w||^2``. Raises TypeError for an unknown regularizer.
    """
    model = require_model(regularizer)
    w = np.asarray(w, dtype=np.float64)
    if not (np.isfinite(w).all() and math.isfinite(step) and step >= 0):
        return failure("w must be finite and step >= 0")
    if model.kind == "NuclearNorm":
        try:
            z = _through_gram_matrix(w, step * model.reg_weight)
        except np.linalg.LinAlgError as error:
            return failure(f"the eigenvalues of the Gram matrix were not found: {error}")
    else:
        z = w.copy().ravel()
        for price, indices in norm_terms(model, w.shape):
            length = math.sqrt(math.fsum(z[indices] ** 2))
            z[indices] *= shrink_length(length, step * price) / length if length > 0 else 0.0
        z = z.reshape(w.shape)
    objective = step * psi_value(z, model) + 0.5 * math.fsum(((z - w) ** 2).ravel())
    size = 0.5 * math.fsum((w**2).ravel())
    accuracy, scale = relative_error(1e-12 * size, objective, size)
    return OracleAnswer(z, objective, accuracy, True, "golden-section search", scale)


def _through_gram_matrix(w: Array, price: float) -> Array:
    """``W V diag(r_i/s_i) V'`` with ``W'W = V diag(s^2) V'`` and r_i the shrunken s_i."""
    matrix = as_matrix(w)
    wide = matrix.shape[1] > matrix.shape[0]
    tall = matrix.T if wide else matrix
    squares, basis = np.linalg.eigh(tall.T @ tall)
    lengths = [math.sqrt(max(square, 0.0)) for square in squares]
    kept = [shrink_length(length, price) / length if length > 0 else 0.0 for length in lengths]
    shrunken = tall @ (basis * np.array(kept)) @ basis.T
    return np.asarray((shrunken.T if wide else shrunken).reshape(w.shape), dtype=np.float64)
