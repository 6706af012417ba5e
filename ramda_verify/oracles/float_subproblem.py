"""The subproblem in numpy float64, fast enough to stand inside a trajectory of many steps."""

from typing import Any

import numpy as np

from ramda_verify.oracles import direct
from ramda_verify.oracles.answer import Array
from ramda_verify.oracles.psi import scaled_atoms


def solve(B: Array, D: Array, lam: float, regularizer: Any) -> Array:
    """``argmin 1/2<Z,D*Z> - <B,Z> + lam*psi(Z)``, block by block (``direct``); B, D > 0 of one shape.

    Raises NoMinimiserError where psi has no direct solution, or where the slow iteration for singular values does not
    stand still; TypeError for an unknown regularizer.
    """
    B, D = np.asarray(B, dtype=np.float64), np.asarray(D, dtype=np.float64)
    atoms = scaled_atoms(regularizer, B.shape, lam)
    return direct.solution(atoms, B.ravel(), D.ravel(), exact=False).reshape(B.shape)
