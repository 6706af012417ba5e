"""Does every method find the solution of the subproblem? Against oracles, against each other, and by (7b)."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from ramda_verify import tolerances
from ramda_verify.checks.helpers import Array, needs, norm, size, tensor
from ramda_verify.oracles import certificate, cvxpy_models, high_precision, psi_oracle
from ramda_verify.property import Check, Inconclusive
from ramda_verify.record import Case, Measurement
from ramda_verify.strategies import subproblem_cases, tensors
from ramda_verify.targets import Target
from solvers.regularizers import L1, GroupLasso
from solvers.subproblem import Subproblem, available_methods, solve
from solvers.subproblem.criterion import rounding_floor
from solvers.subproblem.iterate import run
from solvers.subproblem.proximal_gradient import proximal_gradient
from solvers.subproblem.result import Solution, Status

#: Enough for proximal gradient at the condition numbers drawn for it (at most 100) down to 1e-10.
ITERATIONS = 20_000


def model(regularizer: Any, B: Array, D: Array, lam: float) -> Subproblem:
    return Subproblem(tensor(B), tensor(D), lam, regularizer)


def solved(subproblem: Subproblem, method: str, tolerance: float, **options: Any) -> Solution:
    """Solve to ``tolerance`` or rounding. Anything else is a finding: theory promises convergence long before the limit
    at the condition numbers drawn here, and a direct solution that is not stationary is wrong."""
    solution = solve(subproblem, tolerance=tolerance, method=method, max_iterations=ITERATIONS, **options)
    if solution.status not in (Status.CONVERGED, Status.PRECISION_LIMIT):
        raise ArithmeticError(f"{method}: {solution.status.value} (residual {solution.residual:.3g})")
    return solution


def _has_model(target: Target) -> str | None:
    return target.probe(
        lambda regularizer: None if psi_oracle.has_model(regularizer) else "no CVXPY model (as_cvxpy) to compare with"
    )


def measure_oracle(regularizer: Any, B: Array, D: Array, lam: float) -> Measurement:
    """Objective gap to CVXPY, relative; and the distance that strong convexity allows for that gap."""
    answer = cvxpy_models.solve_subproblem(B, D, lam, regularizer)
    if not answer.solved or answer.point is None:
        raise Inconclusive(f"CVXPY: {answer.detail}")

    def objective(Z: Array) -> float:
        return float((Z * (0.5 * D * Z - B)).sum()) + lam * psi_oracle.model_value(Z, regularizer)

    best = objective(answer.point)
    scale = 0.5 * float((B * B / D).sum()) or 1.0
    worst, note = 0.0, ""
    for method in available_methods(model(regularizer, B, D, lam)):
        solution = solved(model(regularizer, B, D, lam), method, 1e-11 * size(B))
        Z = solution.point.numpy()
        gap = (objective(Z) - best) / scale
        # 1/2<Z-Z*, D*(Z-Z*)> is at most the sum of both gaps, so the points cannot be further apart than that.
        apart = 0.5 * float((D * (Z - answer.point) ** 2).sum()) / scale - 2 * max(answer.accuracy, 1e-9)
        reported = abs(solution.objective - objective(Z)) / scale
        violation = max(gap - answer.accuracy, apart, reported)
        if not violation <= worst:
            worst = violation
            note = f"{method}: {Z.tolist()}, Q = {solution.objective}; CVXPY {answer.point.tolist()}, Q = {best}"
    return Measurement(worst, note)


def measure_high_precision(regularizer: Any, B: Array, D: Array, lam: float) -> Measurement:
    """Distance of the direct solution to the 70-digit one, relative to its size and to rounding of B/D."""
    exact = high_precision.subproblem(B, D, lam, regularizer)
    if not exact.solved or exact.point is None:
        raise Inconclusive(f"70-digit oracle: {exact.detail}")
    Z = solve(model(regularizer, B, D, lam), tolerance=0.0).point.numpy()
    # In the metric D, where the problem is perfectly conditioned, relative to the unregularized solution.
    distance = norm(np.sqrt(D) * (Z - exact.point)) / (norm(B / np.sqrt(D)) + np.finfo(float).tiny)
    return Measurement(distance, f"{Z.tolist()}, exact {exact.point.tolist()}")


def _is_scalar_case(target: Target) -> str | None:
    return target.probe(
        lambda r: None if isinstance(r, L1 | GroupLasso) else "the 70-digit oracle covers L1 and GroupLasso only"
    )


def measure_norm_equation(regularizer: Any, B: Array, D: Array, lam: float) -> Measurement:
    """Residual of the group LASSO solution, recomputed outside the solver, over ||B||; at most 12 iterations."""
    found = regularizer.metric_prox(tensor(B), tensor(D), lam)
    residual = certificate.stationarity(found.point.numpy(), B, D, lam, regularizer)
    note = f"residual {residual:.3g} after {found.iterations} iterations"
    if found.iterations > 12:
        return Measurement(np.inf, note)
    return Measurement(residual / (norm(B) + np.finfo(float).tiny), note)


def _is_group_lasso(target: Target) -> str | None:
    return target.probe(lambda r: None if isinstance(r, GroupLasso) else "the norm equation belongs to GroupLasso")


def measure_agreement(regularizer: Any, B: Array, D: Array, lam: float) -> Measurement:
    """Largest distance between the solutions of any two methods, in units of the error that their residuals allow."""
    subproblem = model(regularizer, B, D, lam)
    tolerance = 1e-10 * size(B)
    solutions = [solved(subproblem, method, tolerance) for method in available_methods(subproblem)]
    worst, note = 0.0, ""
    for other in solutions[1:]:
        distance = float((other.point - solutions[0].point).norm())
        # ||Z - Z*|| <= ||s||/mu for each of the two.
        rounding = rounding_floor(subproblem, other.point) + np.finfo(float).tiny
        allowed = (solutions[0].residual + other.residual + rounding) / float(D.min())
        if not distance / allowed <= worst:
            worst, note = distance / allowed, f"{other.method} is {distance:.3g} from {solutions[0].method}"
    return Measurement(worst - 1, note)


def measure_descent(regularizer: Any, B: Array, D: Array, lam: float, reference: Array, iterations: int) -> Measurement:
    """(7b) from any reference and however early a method is stopped: Q(point) - Q(reference), relative."""
    subproblem = model(regularizer, B, D, lam)
    worst, note = 0.0, ""
    for method in available_methods(subproblem):
        solution = solve(subproblem, tensor(reference), tolerance=0.0, max_iterations=iterations, method=method)
        Z = solution.point.numpy()
        # Q(Z) - Q(reference) again, outside the solver.
        terms = (Z - reference) * (0.5 * D * (Z + reference) - B)
        psi = [lam * float(regularizer.value(tensor(point))) for point in (Z, reference)]
        if psi[1] == np.inf and psi[0] < np.inf:
            continue
        rise = float(terms.sum()) + psi[0] - psi[1]
        scale = float(np.abs(terms).sum()) + abs(psi[0]) + abs(psi[1]) + np.finfo(float).tiny
        reported = float(subproblem.objective_change(solution.point, tensor(reference))[0])
        violation = max(rise, abs(reported - rise)) / scale
        if not violation <= worst:
            worst, note = violation, f"{method}: Q rose by {rise:.3g}, reported {reported:.3g}"
    return Measurement(worst, note)


def _with_reference(target: Target) -> st.SearchStrategy[Case]:
    return subproblem_cases(target.instances, max_condition=1e4).flatmap(
        lambda case: st.builds(
            lambda reference, iterations: {**case, "reference": reference, "iterations": iterations},
            tensors(case["B"].shape),
            st.sampled_from([1, 2, 3, 5, 40]),
        )
    )


def measure_screening(regularizer: Any, B: Array, D: Array, lam: float) -> Measurement:
    """Whatever ``zero_mask`` calls zero is zero in a solution found without screening."""
    mask = np.broadcast_to(regularizer.zero_mask(tensor(B), lam).numpy(), B.shape)
    if not mask.any():
        return Measurement(0.0)
    subproblem, start = model(regularizer, B, D, lam), tensor(B / D)
    plain = run(
        subproblem,
        proximal_gradient(subproblem, start),
        start,
        tolerance=1e-12 * size(B),
        max_iterations=ITERATIONS,
    )
    if plain.status not in (Status.CONVERGED, Status.PRECISION_LIMIT):
        raise Inconclusive(f"proximal gradient without screening: {plain.status.value}")
    point = plain.point.numpy()
    return Measurement(
        float(np.abs(point[mask]).max()) / size(point, B / D), f"screened out, but the solution is {point.tolist()}"
    )


CHECKS = (
    Check(
        id="subproblem-oracle",
        claim="Every method a regularizer allows reaches CVXPY's optimal value of the subproblem.",
        source="the subproblem; strong convexity with modulus min D",
        kind="regularizer",
        tolerance=tolerances.CVXPY_GAP,
        cases=lambda target: subproblem_cases(target.instances, max_condition=30.0, extreme=False),
        measure=measure_oracle,
        applies=_has_model,
        share=0.4,
    ),
    Check(
        id="subproblem-high-precision",
        claim="The direct solution agrees with a 70-digit one for condition numbers up to 1e8.",
        source="duality of the norm, evaluated with mpmath",
        kind="regularizer",
        tolerance=tolerances.HIGH_PRECISION,
        cases=lambda target: subproblem_cases(target.instances),
        measure=measure_high_precision,
        applies=_is_scalar_case,
        share=0.5,
    ),
    Check(
        id="group-norm-equation",
        claim="The group LASSO solution is stationary to rounding after at most 12 iterations, max D/min D up to 1e8.",
        source="scalar equation of the group norm; solvers/regularizers/norm_equation.py",
        kind="regularizer",
        tolerance=tolerances.NORM_EQUATION,
        cases=lambda target: subproblem_cases(target.instances),
        measure=measure_norm_equation,
        applies=_is_group_lasso,
        share=2.0,
    ),
    Check(
        id="solver-agreement",
        claim="All methods end within the distance ||s||/min D that their certificates promise.",
        source="strong convexity",
        kind="regularizer",
        tolerance=tolerances.RATE,
        cases=lambda target: subproblem_cases(target.instances, max_condition=100.0),
        measure=measure_agreement,
        applies=needs("convex"),
    ),
    Check(
        id="objective-descent",
        claim="(7b) Q(What) <= Q(W) holds from any W, however early the inner solver stops.",
        source="paper, eq. 7",
        kind="regularizer",
        tolerance=tolerances.DESCENT,
        cases=_with_reference,
        measure=measure_descent,
    ),
    Check(
        id="safe-screening",
        claim="Everything that screening calls zero is zero in the solution.",
        source="Deleu and Bengio, arXiv 2102.03869, Theorem 1, with group weights",
        kind="regularizer",
        tolerance=tolerances.CLOSED_FORM,
        cases=lambda target: subproblem_cases(target.instances, max_condition=100.0),
        measure=measure_screening,
        applies=needs("zero_mask"),
    ),
)
