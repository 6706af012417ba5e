"""The subproblem as a cone program: CVXPY states it, Clarabel solves it, numpy checks the answer.

Nothing of the library is used: psi is the sum of its atoms. The variables are scaled twice, first to the
metric (D becomes 1), then to the size of the first solution: with max D/min D = 1e4 that takes the gap from 1e-7 to
1e-13.
"""

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from ramda_verify.oracles.answer import Array, OracleAnswer, failure, relative_error
from ramda_verify.oracles.atoms import Atom
from ramda_verify.oracles.duality_gap import lower_bound, smooth_terms
from ramda_verify.oracles.lazily import lazily
from ramda_verify.oracles.psi import Atoms, atoms_of, is_known, psi_value

if TYPE_CHECKING:
    import cvxpy as cp
else:
    cp = lazily("cvxpy")

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


def expression(x: "cp.Expression", regularizer: Any) -> "cp.Expression":
    """psi of the CVXPY expression ``x``, which has the tensor's shape.

    A regularizer's own ``as_cvxpy(x)`` comes first. Raises TypeError where there is no model, or no convex one.
    """
    if callable(getattr(regularizer, "as_cvxpy", None)):
        return regularizer.as_cvxpy(x)
    flat, total = cp.reshape(x, (x.size,), order="C"), cp.Constant(0.0)
    alike: dict[type[Atom], list[Atom]] = {}
    for atom in atoms_of(regularizer, x.shape):
        alike.setdefault(type(atom), []).append(atom)
    for kind, atoms in alike.items():
        total += kind.joint_expression(atoms, flat)
    return total


def has_cone_model(regularizer: Any, shape: tuple[int, ...]) -> bool:
    """Whether psi has a convex CVXPY model on tensors of ``shape``; one that a regularizer brings is taken for one."""
    if callable(getattr(regularizer, "as_cvxpy", None)):
        return True
    try:
        expression(cp.Variable(shape), regularizer)
    except TypeError:
        return False
    return True


def solve_subproblem(B: Array, D: Array, lam: float, regularizer: Any, max_passes: int = 3) -> OracleAnswer:
    """Minimise ``1/2<Z,D*Z> - <B,Z> + lam*psi(Z)``; B, D > 0 of one shape, float64.

    The objective is evaluated in numpy at the returned point. For the known regularizers ``accuracy`` comes from a
    rigorous lower bound (weak duality, in numpy), for ``as_cvxpy`` from Clarabel's primal and dual objectives. Never
    raises on a failure of the solver or of the user's model: the answer then has ``solved`` False.
    """
    B, D = np.asarray(B, dtype=np.float64), np.asarray(D, dtype=np.float64)
    if B.shape != D.shape or not (np.isfinite(B).all() and np.isfinite(D).all() and (D > 0).all() and lam >= 0):
        return failure("B and D must be finite, of one shape, D > 0 and lam >= 0")
    if not (is_known(regularizer) or callable(getattr(regularizer, "as_cvxpy", None))):
        return failure(f"there is no CVXPY model of {regularizer!r}: it is unknown and has no as_cvxpy")
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
    atoms = _own_model(regularizer, B.shape)
    # Where psi is positively homogeneous, taking the size out keeps the cones well scaled.
    size = float(scaling.max()) if atoms is not None and all(atom.homogeneous for atom in atoms) else 1.0
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
    if atoms is not None:
        point = _feasible(point, atoms)
        value, error, source = _rigorous(point, B, D, lam, atoms)
    else:
        value = math.fsum(smooth_terms(point, B, D)) + lam * float(np.asarray(psi.value, dtype=np.float64))
        # Clarabel's gap is as good as its feasibility: both count, and so does any disagreement with our own value.
        gap = abs(raw.obj_val - raw.obj_val_dual) * unit
        residual = max(raw.r_prim, raw.r_dual) * max(abs(value), unit)
        error, source = float(gap + residual + abs(value - problem.value * unit)), "solver's gap and residuals"
    accuracy, scale = relative_error(error, value, 0.5 * math.fsum((B * B / D).ravel()) or 1.0)
    ended_well = problem.status in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE)
    solved = bool(ended_well and accuracy <= WORST_ACCURACY)
    detail = f"Clarabel: {problem.status}, relative gap {accuracy:.1e} ({source})"
    return OracleAnswer(point, value, accuracy, solved, detail, scale)


def _own_model(regularizer: Any, shape: tuple[int, ...]) -> Atoms | None:
    """The atoms of a known psi, on which the answer is judged; None where the model is the user's."""
    return None if callable(getattr(regularizer, "as_cvxpy", None)) else atoms_of(regularizer, shape)


def _feasible(point: Array, atoms: Atoms) -> Array:
    """The point moved into the constraints, which the solver meets up to its tolerance only."""
    flat = point.ravel().copy()
    for atom in atoms:
        flat[atom.indices] = atom.feasible(flat[atom.indices])
    return flat.reshape(point.shape)


def _zero_if_proved(B: Array, D: Array, lam: float, regularizer: Any, otherwise: OracleAnswer) -> OracleAnswer:
    """The zero point where the duality gap proves it optimal: a huge price defeats the cone solver's scaling."""
    atoms, zero = _own_model(regularizer, B.shape), np.zeros_like(B)
    if atoms is None or not psi_value(zero, atoms) < math.inf:
        return otherwise
    value, error, source = _rigorous(zero, B, D, lam, atoms)
    accuracy, scale = relative_error(error, value, 0.5 * math.fsum((B * B / D).ravel()))
    if accuracy > WORST_ACCURACY:
        return otherwise
    return OracleAnswer(zero, value, accuracy, True, f"zero is optimal ({source}); before: {otherwise.detail}", scale)


def _rigorous(point: Array, B: Array, D: Array, lam: float, atoms: Atoms) -> tuple[float, float, str]:
    terms = smooth_terms(point, B, D)
    value = math.fsum(terms) + lam * psi_value(point, atoms)
    # Rounding can put a bound above the value; the sizes of the terms say by how much it may be off.
    rounding = 4 * np.finfo(np.float64).eps * (float(np.abs(terms).sum()) + abs(value))
    error = max(value - lower_bound(point, B, D, lam, atoms), 0.0) + rounding
    return value, error, "duality gap in numpy"
