"""Slow second proximal operators: a line search where the library has a formula.

The only thing assumed is where to look: each entry between 0 and w, each group on the ray of w, each singular value
likewise. The line is sampled, so that a nonconvex cost is searched as a whole, and the best places are refined by
golden section: that finds a minimiser only to about the square root of the rounding error, so points agree to 1e-7 and
objectives to 1e-14.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ramda_verify.oracles.answer import Array, OracleAnswer, failure, relative_error
from ramda_verify.oracles.psi import disjoint, psi_value, scaled_atoms

GOLDEN = (math.sqrt(5) - 1) / 2
SEARCH_STEPS = 90
#: Intervals of the sample, and how many of the best are refined.
SAMPLES, REFINED = 32, 3


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


def shortened(length: float, cost: Callable[[float], float]) -> float:
    """``argmin over r in [0, length] of cost(r) + 1/2 (r - length)^2``, searched in units of the length."""
    if length == 0:
        return 0.0

    def objective(r: float) -> float:
        # Divided by the length twice: its square may leave the range.
        return cost(r * length) / length / length + 0.5 * (r - 1) ** 2

    sample = [i / SAMPLES for i in range(SAMPLES + 1)]
    best = sorted(range(SAMPLES + 1), key=lambda i: objective(sample[i]))[:REFINED]
    ends = [(sample[max(i - 1, 0)], sample[min(i + 1, SAMPLES)]) for i in best]
    return length * min((line_minimum(objective, *pair) for pair in ends), key=objective)


def naive_prox(w: Array, step: float, regularizer: Any) -> OracleAnswer:
    """``argmin_z step*psi(z) + 1/2||z - w||^2`` for known regularizers whose atoms share no entries and do not decrease
    away from zero; ``objective`` is that of this very sum.

    Accuracy 1e-12 of ``1/2||w||^2``. A failure for any other psi. Raises TypeError for an unknown regularizer.
    """
    w = np.asarray(w, dtype=np.float64)
    if not (np.isfinite(w).all() and math.isfinite(step) and step >= 0):
        return failure("w must be finite and step >= 0")
    atoms = scaled_atoms(regularizer, w.shape, step)
    if not disjoint(atoms):
        return failure("atoms share entries, and no line leads to the solution")
    z = w.ravel().copy()
    for atom in atoms:
        try:
            found = atom.shortened(z[atom.indices], shortened)
        except np.linalg.LinAlgError as error:
            return failure(f"the eigenvalues of the Gram matrix were not found: {error}")
        if found is None:
            return failure("no line leads to the solution")
        z[atom.indices] = found
    point = z.reshape(w.shape)
    objective = step * psi_value(point, regularizer) + 0.5 * math.fsum(((point - w) ** 2).ravel())
    size = 0.5 * math.fsum((w**2).ravel())
    accuracy, scale = relative_error(1e-12 * size, objective, size)
    return OracleAnswer(point, objective, accuracy, True, "golden-section search", scale)
