"""The subproblem to 40 digits and more with mpmath, for every psi whose atoms have a direct solution.

Every minimiser checks its own optimality condition at the 70-digit point before the oracle vouches for anything. The
point comes back rounded to float64; the objective of the unrounded point comes back as an mpmath number, so that an
objective gap of 1e-30 can be seen (``objective_gap``).
"""

from typing import Any

import numpy as np

from ramda_verify.oracles import direct
from ramda_verify.oracles.answer import Array, OracleAnswer, failure
from ramda_verify.oracles.atoms.atom import NoMinimiserError
from ramda_verify.oracles.lazily import lazily
from ramda_verify.oracles.psi import Atoms, scaled_atoms

mpmath = lazily("mpmath")

#: Digits of the arithmetic; a group just above its threshold costs up to 16 of them by cancellation.
DIGITS = 70


def subproblem(B: Array, D: Array, lam: float, regularizer: Any) -> OracleAnswer:
    """Minimise ``1/2<Z,D*Z> - <B,Z> + lam*psi(Z)``; B, D > 0 of one shape, float64.

    A failure where the numbers are no subproblem, or where psi has no direct solution in this metric. The prices are
    the float64 products of lam and the weights. Raises TypeError for an unknown regularizer.
    """
    B, D = np.asarray(B, dtype=np.float64), np.asarray(D, dtype=np.float64)
    finite = B.shape == D.shape and np.isfinite(B).all() and np.isfinite(D).all() and np.isfinite(lam)
    if not (finite and (D > 0).all() and lam >= 0):
        return failure("B, D and lam must be finite, fit, D > 0 and lam >= 0")
    atoms = scaled_atoms(regularizer, B.shape, lam)
    with mpmath.workdps(DIGITS):
        try:
            found = direct.solution(atoms, _numbers(B), _numbers(D), exact=True)
        except NoMinimiserError as reason:
            return failure(str(reason))
        exact = _objective(found, B, D, atoms)
    # The residual is below 1e-40 of ||B||; the accuracy of the *exact* objective is far below float64's.
    accuracy, scale = float(np.finfo(np.float64).eps), abs(float(exact)) or 1.0
    point = found.astype(np.float64).reshape(B.shape)
    return OracleAnswer(point, float(exact), accuracy, True, f"{DIGITS} digits", scale, exact)


def objective(Z: Array, B: Array, D: Array, lam: float, regularizer: Any) -> Any:
    """``1/2<Z,D*Z> - <B,Z> + lam*psi(Z)`` in 70 digits, as an mpmath number; the arguments are read as exact."""
    with mpmath.workdps(DIGITS):
        return _objective(_numbers(np.asarray(Z)), B, D, scaled_atoms(regularizer, np.shape(B), lam))


def objective_gap(Z: Array, B: Array, D: Array, lam: float, regularizer: Any, answer: OracleAnswer) -> float:
    """``Q(Z) - Q*`` with Q* from a 70-digit answer, subtracted in 70 digits and then rounded; nan where there is none.

    A violated constraint counts as met, as rounding leaves none exactly so.
    """
    if not answer.solved or answer.exact_objective is None:
        return float("nan")
    with mpmath.workdps(DIGITS):
        return float(objective(Z, B, D, lam, regularizer) - answer.exact_objective)


def _objective(z: Array, B: Array, D: Array, atoms: Atoms) -> Any:
    smooth = mpmath.fsum(z * (_numbers(D) * z / 2 - _numbers(B)))
    return smooth + mpmath.fsum(atom.exact_value(z[atom.indices]) for atom in atoms)


def _numbers(values: Array) -> Array:
    return np.array([mpmath.mpf(v) for v in np.asarray(values).ravel().tolist()], dtype=object)
