"""The subproblem as a cone program: CVXPY states it, Clarabel solves it, numpy checks the answer.

Nothing of the library is used: psi is written as norms over index sets. The variables are scaled twice, first to the
metric (D becomes 1), then to the size of the first solution: with max D/min D = 1e4 that takes the gap from 1e-7 to
1e-13.
"""

import math
import warnings
from typing import Any

import cvxpy as cp
import numpy as np

from ramda_verify.oracles.answer import Array, OracleAnswer, failure, relative_error
from ramda_verify.oracles.duality_gap import lower_bound, smooth_terms
from ramda_verify.oracles.psi_model import PsiModel, describe, norm_terms, psi_value

__all__ = ["expression", "psi_value", "solve_prox", "solve_subproblem"]

#: (p, tolerance): first scaling of the variables by D^-p, and Clarabel's tolerances. Where the metric is extreme its
#: own scaling (p = 1/2) can fail; a milder one then gets far enough to be refined. A tolerance that is out of reach
#: ends in "almost solved" or, now and then, in a numerical error, hence the second.
ATTEMPTS = ((0.5, 1e-12), (0.5, 1e-10), (0.25, 1e-10), (0.0, 1e-9))
#: What the answer is worth is decided by the gap that is measured afterwards; Clarabel's own idea of "almost" is wide.
SOLVER_OPTIONS = {"reduced_tol_gap_abs": 1e-4, "reduced_tol_gap_rel": 1e-4, "reduced_tol_feas": 1e-4}

#: An answer with a larger relative gap is a failure of the oracle; below the second no other first scaling is tried;
#: below the third no further pass is made.
WORST_ACCURACY = 1e-5
ENOUGH_ACCURACY = 1e-8
GOOD_ACCURACY = 1e-11


def expression(x: cp.Expression, regularizer: Any) -> cp.Expression:
    """psi of the CVXPY expression ``x``, which has the tensor's shape (2 to 5 dimensions for groups).

    A regularizer's own ``as_cvxpy(x)`` comes first. Raises TypeError where there is no model.
    """
    if callable(getattr(regularizer, "as_cvxpy", None)):
        return regularizer.as_cvxpy(x)
    model = describe(regularizer)
    if model is None:
        raise TypeError(f"no CVXPY model of {regularizer!r}: it is none of the known regularizers and has no as_cvxpy")
    flat = cp.reshape(x, (x.size,), order="C")
    if model.kind == "NuclearNorm":
        return model.reg_weight * cp.normNuc(cp.reshape(x, (x.shape[0], x.size // x.shape[0]), order="C"))
    if model.kind == "L1":
        return model.reg_weight * cp.norm1(flat)
    terms = norm_terms(model, x.shape)
    if not terms:
        return cp.Constant(0.0)
    # The groups of one tensor have one size, hence one price: a row of this matrix is a group.
    rows = cp.reshape(flat[np.concatenate([indices for _, indices in terms])], (len(terms), -1), order="C")
    return terms[0][0] * cp.sum(cp.norm(rows, 2, axis=1))


def solve_subproblem(B: Array, D: Array, lam: float, regularizer: Any, max_passes: int = 3) -> OracleAnswer:
    """Minimise ``1/2<Z,D*Z> - <B,Z> + lam*psi(Z)``; B, D > 0 of one shape, float64.

    The objective is evaluated in numpy at the returned point. For the known regularizers ``accuracy`` comes from a
    rigorous lower bound (weak duality, in numpy), for ``as_cvxpy`` from Clarabel's primal and dual objectives. Never
    raises on a failure of the solver or of the user's model: the answer then has ``solved`` False.
    """
    B, D = np.asarray(B, dtype=np.float64), np.asarray(D, dtype=np.float64)
    if B.shape != D.shape or not (np.isfinite(B).all() and np.isfinite(D).all() and (D > 0).all() and lam >= 0):
        return failure("B and D must be finite, of one shape, D > 0 and lam >= 0")
    tiny = float(np.finfo(np.float64).tiny)
    best = failure("no pass was made")
    for exponent, tolerance in ATTEMPTS:
        scaling = D**-exponent
        # B = 0 has no scale of its own: any will do.
        scaling = scaling * (float(np.abs(B * scaling).max()) or 1.0) / float((D * scaling * scaling).max())
        for _ in range(max_passes):
            try:
                answer = _one_pass(B, D, lam, regularizer, scaling, tolerance)
            except cp.error.SolverError as error:
                answer = failure(f"SolverError: {error}")
            except Exception as error:  # a user's model may raise anything
                return failure(f"{type(error).__name__}: {error}")
            if best.point is None or answer.error < best.error:
                best = answer
            if answer.point is None or answer.accuracy <= GOOD_ACCURACY:
                break
            size = np.abs(answer.point)
            scaling = size + 1e-3 * np.minimum(float(size.max()), np.abs(B) / D) + tiny
        if best.accuracy <= ENOUGH_ACCURACY:
            break
    return best if best.solved else _zero_if_proved(B, D, lam, regularizer, best)


def solve_prox(w: Array, step: float, regularizer: Any) -> OracleAnswer:
    """``argmin_z step*psi(z) + 1/2||z - w||^2``: the subproblem with D = 1 (its objective lacks ``1/2||w||^2``)."""
    return solve_subproblem(w, np.ones_like(np.asarray(w, dtype=np.float64)), step, regularizer)


def _one_pass(B: Array, D: Array, lam: float, regularizer: Any, scaling: Array, tolerance: float) -> OracleAnswer:
    variable = cp.Variable(B.shape)
    model = None if callable(getattr(regularizer, "as_cvxpy", None)) else describe(regularizer)
    # The known psi are positively homogeneous: taking the size out keeps the cones well scaled. A user's need not be.
    size = float(scaling.max()) if model is not None else 1.0
    psi = size * expression(cp.multiply(scaling / size, variable), regularizer)
    linear = B * scaling
    unit = float(np.abs(linear).max()) or 1.0
    quadratic = cp.sum_squares(cp.multiply(np.sqrt(D / unit) * scaling, variable)) / 2
    objective = cp.Minimize(quadratic - cp.sum(cp.multiply(linear / unit, variable)) + (lam / unit) * psi)
    problem = cp.Problem(objective)
    options = {**SOLVER_OPTIONS, "tol_gap_abs": tolerance, "tol_gap_rel": tolerance, "tol_feas": tolerance}
    with warnings.catch_warnings():
        # "Solution may be inaccurate": how inaccurate is measured below.
        warnings.simplefilter("ignore")
        data, chain, inverse = problem.get_problem_data(cp.CLARABEL, solver_opts=options)
        raw = chain.solve_via_data(problem, data, solver_opts=dict(options))
        problem.unpack_results(raw, chain, inverse)
    if variable.value is None or not np.isfinite(variable.value).all():
        return failure(f"Clarabel ended with status {problem.status} and no point")
    point = scaling * variable.value
    smooth = math.fsum(smooth_terms(point, B, D))
    if model is not None:
        value, error, source = _rigorous(point, smooth, B, D, lam, model)
    else:
        value = smooth + lam * float(np.asarray(psi.value, dtype=np.float64))
        # Clarabel's gap is as good as its feasibility: both count, and so does any disagreement with our own value.
        gap = abs(raw.obj_val - raw.obj_val_dual) * unit
        residual = max(raw.r_prim, raw.r_dual) * max(abs(value), unit)
        error, source = float(gap + residual + abs(value - problem.value * unit)), "solver's gap and residuals"
    accuracy, scale = relative_error(error, value, 0.5 * math.fsum((B * B / D).ravel()) or 1.0)
    ended_well = problem.status in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE)
    solved = bool(ended_well and accuracy <= WORST_ACCURACY)
    detail = f"Clarabel: {problem.status}, relative gap {accuracy:.1e} ({source})"
    return OracleAnswer(point, value, accuracy, solved, detail, scale)


def _zero_if_proved(B: Array, D: Array, lam: float, regularizer: Any, otherwise: OracleAnswer) -> OracleAnswer:
    """The zero point where the duality gap proves it optimal: a huge price defeats the cone solver's scaling."""
    model = None if callable(getattr(regularizer, "as_cvxpy", None)) else describe(regularizer)
    if model is None:
        return otherwise
    zero = np.zeros_like(B)
    value, error, source = _rigorous(zero, 0.0, B, D, lam, model)
    accuracy, scale = relative_error(error, value, 0.5 * math.fsum((B * B / D).ravel()))
    if accuracy > WORST_ACCURACY:
        return otherwise
    return OracleAnswer(zero, value, accuracy, True, f"zero is optimal ({source}); before: {otherwise.detail}", scale)


def _rigorous(point: Array, smooth: float, B: Array, D: Array, lam: float, model: PsiModel) -> tuple[float, float, str]:
    value = smooth + lam * psi_value(point, model)
    # Rounding can put a bound above the value; the sizes of the terms say by how much it may be off.
    rounding = 4 * np.finfo(np.float64).eps * (float(np.abs(smooth_terms(point, B, D)).sum()) + abs(value))
    error = max(value - lower_bound(point, B, D, lam, model), 0.0) + rounding
    return value, error, "duality gap in numpy"
