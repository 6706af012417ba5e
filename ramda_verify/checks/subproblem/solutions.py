"""Every method finds the solution of the subproblem: against oracles, against each other, and by (7b)."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from ramda_verify import tolerances
from ramda_verify.cases.strategies import problem_batches, shapes, subproblem_cases
from ramda_verify.checks.helpers import Array, finite, needs, size, size_in_metric, tensor
from ramda_verify.checks.regularizer.traits import asks, counted_iterations, norms_of_groups
from ramda_verify.checks.subproblem.batches import ITERATIONS as ITERATIONS
from ramda_verify.checks.subproblem.batches import SHARE, Problems, WorstProblem, arranged
from ramda_verify.checks.subproblem.rows import norms, sizes, sums
from ramda_verify.engine.property import Inconclusive, check
from ramda_verify.engine.record import Case, Measurement, NothingClaimed
from ramda_verify.engine.targets import Target
from ramda_verify.engine.worst import TINY, Worst, relative
from ramda_verify.oracles import certificate, cvxpy_models, psi
from solvers.regularizers import MetricProx
from solvers.regularizers.base import offers
from solvers.regularizers.members import HasZeroMask, Regularizer, Scalar
from solvers.subproblem import Subproblem, available_methods, solve
from solvers.subproblem.result import Solution, Status


def model(regularizer: Regularizer, B: Array, D: Array, lam: float) -> Subproblem:
    return Subproblem(tensor(B), tensor(D), lam, regularizer)


def solved(subproblem: Subproblem, method: str, tolerance: float, **options: Any) -> Solution:
    """Solve to ``tolerance`` or rounding. Anything else is a finding: theory promises convergence long before the limit
    at the condition numbers drawn here, and a direct solution that is not stationary is wrong."""
    solution = solve(subproblem, tolerance=tolerance, method=method, max_iterations=ITERATIONS, **options)
    if solution.status not in (Status.CONVERGED, Status.PRECISION_LIMIT):
        raise ArithmeticError(f"{method}: {solution.status.value} (residual {solution.residual:.3g})")
    return solution


def _has_model(target: Target) -> str | None:
    def missing(regularizer: Regularizer) -> str | None:
        if not psi.has_model(regularizer):
            return "the regularizer does not offer as_cvxpy"
        there_is = cvxpy_models.has_cone_model(regularizer, shapes(regularizer)[0])
        return None if there_is else "psi is not convex, and a cone program needs it to be"

    return target.probe(missing)


@check(
    "subproblem-oracle",
    claim="Every method a regularizer allows reaches CVXPY's optimal value of the subproblem.",
    source="the subproblem; strong convexity with modulus min D",
    kind="regularizer",
    tolerance=tolerances.CVXPY_GAP,
    cases=lambda target: subproblem_cases(target.instances, 30.0, extreme=False, hardest=30.0),
    applies=_has_model,
    share=0.4,
)
def measure_oracle(regularizer: Regularizer, B: Array, D: Array, lam: float) -> Measurement:
    """Gap in Q to the lowest of CVXPY's and of all solutions, relative. Psi being convex, it bounds the distance from
    the optimum as well.

    Raises Inconclusive where CVXPY is above a solution by more than it claims to be above the optimum, and no solution
    is wrong by that: the others may all be.
    """
    answer = cvxpy_models.solve_subproblem(B, D, lam, regularizer)
    if not answer.solved or answer.point is None:
        raise Inconclusive(f"CVXPY: {answer.detail}")

    def objective(Z: Array) -> float:
        return float((Z * (0.5 * D * Z - B)).sum()) + lam * psi.model_value(Z, regularizer)

    best = objective(answer.point)
    scale = 0.5 * size_in_metric(B, D, answer.point) ** 2
    problem = model(regularizer, B, D, lam)
    solutions = {method: solved(problem, method, 1e-11 * size(B)) for method in available_methods(problem)}
    points = {method: finite(f"the point of {method}", found.point.numpy()) for method, found in solutions.items()}
    lowest = min(best, *map(objective, points.values()))
    worst = Worst()
    for method, Z in points.items():
        claimed = solutions[method].objective
        note = f"{method}: {Z.tolist()}, Q = {claimed}; CVXPY {answer.point.tolist()}, Q = {best}"
        worst.see(relative(objective(Z) - lowest, scale) - answer.accuracy, note)
        worst.see(relative(abs(claimed - objective(Z)), scale), note)
    above = relative(best - lowest, scale)
    if above > 2 * max(answer.accuracy, 1e-9) and worst.violation <= tolerances.CVXPY_GAP.value:
        raise Inconclusive(f"CVXPY is further from the optimum than it says: {worst.note}")
    return worst.measurement()


@check(
    "group-norm-equation",
    claim="The group LASSO solution is stationary to rounding after at most 12 iterations, max D/min D up to 1e8.",
    source="scalar equation of the group norm; solvers/regularizers/norm_equation.py",
    kind="regularizer",
    tolerance=tolerances.NORM_EQUATION,
    cases=lambda target: problem_batches(target.instances),
    applies=asks(norms_of_groups, counted_iterations),
    share=0.5,
)
def measure_norm_equation(regularizer: Regularizer, B: Array, D: Array, lam: Array) -> Measurement:
    """Residual of the group LASSO solution, recomputed outside the solver, over ||B||; at most 12 iterations."""
    problems = Problems.of(regularizer, B, D, lam)
    worst = WorstProblem(problems)
    points, iterations = problems.batch.each(_direct)
    points[-1], iterations[-1] = _direct(problems.single)
    residual = np.array([certificate.stationarity(*row, regularizer) for row in problems.rows(points)])
    violation = np.where(iterations.numpy() <= 12, relative(residual, norms(problems.B)), np.inf)
    worst.see(
        violation, "residual {residual:.3g} after {iterations} iterations", residual=residual, iterations=iterations
    )
    return worst.measurement()


def _direct(problem: Subproblem) -> tuple[Tensor, Tensor]:
    assert offers(problem.regularizer, "metric_prox")
    found = problem.regularizer.metric_prox(problem.B, problem.D, problem.lam)
    assert isinstance(found, MetricProx)
    return found.point, torch.as_tensor(found.iterations)


@check(
    "solver-agreement",
    claim="All methods end within the distance ||s||/min D that their certificates promise.",
    source="strong convexity",
    kind="regularizer",
    tolerance=tolerances.RATE,
    cases=lambda target: problem_batches(target.instances, max_condition=100.0, mild=4.0, hardest=100.0),
    applies=needs("convex"),
    share=SHARE,
)
def measure_agreement(regularizer: Regularizer, B: Array, D: Array, lam: Array) -> Measurement:
    """Largest distance between the solutions of any two methods, in units of the error that their residuals allow."""
    problems = Problems.of(regularizer, B, D, lam)
    worst = WorstProblem(problems)
    first, *others = (problems.solve(method, 1e-10 * problems.rounding.unit) for method in problems.methods)
    for method, other in zip(problems.methods[1:], others, strict=True):
        distance = norms(other.point - first.point)
        # ||Z - Z*|| <= ||s||/mu for each of the two.
        rounding = problems.rounding.floors(other.point) + 2 * problems.rounding.prox_error(other.point)
        allowed = (first.residual + other.residual + rounding + TINY) / problems.smallest
        worst.see(relative(distance, allowed), f"{method} is {{apart:.3g}} from {problems.methods[0]}", apart=distance)
    return worst.measurement(1)


def _with_reference(target: Target) -> st.SearchStrategy[Case]:
    return st.builds(
        lambda case, iterations: {**case, "iterations": iterations},
        problem_batches(target.instances, max_condition=1e4, point="reference"),
        st.sampled_from([1, 2, 3, 5, 40]),
    )


@check(
    "objective-descent",
    claim="(7b) Q(Ŵ) <= Q(W) holds from any W, however early the inner solver stops.",
    source="paper, eq. 7",
    kind="regularizer",
    tolerance=tolerances.DESCENT,
    cases=_with_reference,
    share=SHARE,
)
def measure_descent(
    regularizer: Regularizer, B: Array, D: Array, lam: Array, reference: Array, iterations: int
) -> Measurement:
    """(7b) from any reference and however early a method is stopped: Q(point) - Q(reference), relative.

    From the reference, and from where that led, which is harder to descend from.
    """
    problems, W = Problems.of(regularizer, B, D, lam), arranged(reference)
    worst = WorstProblem(problems)
    for _ in range(2):
        for method in problems.methods:
            Z = problems.solve(method, 0.0, W, max_iterations=iterations, to_the_end=False).point
            # Q(Z) - Q(reference) arranged, outside the solver.
            terms = (Z - W) * (0.5 * problems.D * (Z + W) - problems.B)
            psi = problems.psi(torch.stack([Z, W]))
            rise = sums(terms) + psi[0] - psi[1]
            # A point of a constraint is rounded, and off the set by that Q changes by its slope: <s, Z> with s of
            # lam*dpsi(Z), which for a norm is lam*psi(Z).
            slope = problems.B - problems.D * Z
            scale = sums(terms.abs()) + sums((slope * Z).abs()) + np.abs(psi).sum(axis=0)
            reported = problems.each(_objective_change, Z, W).numpy()
            found = np.maximum(rise, np.abs(reported - rise))
            if bool((found > tolerances.DESCENT.value * scale).any()):
                # A prox is as accurate as its input is large, about B/max D beside the point, and as it has to be.
                error = tolerances.DESCENT.value * norms(problems.B) + problems.rounding.prox_error(Z)
                scale += norms(slope) * error / problems.largest / tolerances.DESCENT.value
                scale += (problems.rounding.of_Q(Z, W) + problems.rounding.of_Q(W)) / tolerances.DESCENT.value
            violation = relative(found, scale)
            # From outside a constraint anything finite is a descent.
            violation[(psi[1] == np.inf) & (psi[0] < np.inf) & np.isfinite(sums(terms))] = 0.0
            words = f"{method}: Q rose by {{rise:.3g}}, reported {{reported:.3g}}"
            worst.see(violation, words, rise=rise, reported=reported)
        W = Z
    return worst.measurement()


def _objective_change(problem: Subproblem, Z: Tensor, W: Tensor) -> tuple[Tensor, ...]:
    return problem.objective_change(Z, W)


class Unscreened:
    """A regularizer without what would find zeros without iteration."""

    value: Callable[[Tensor], Tensor]
    prox: Callable[[Tensor, Scalar], Tensor]

    def __init__(self, regularizer: Regularizer) -> None:
        for member in ("value", "prox", "convex", "blockwise_max", "subgradient_residual"):
            if hasattr(regularizer, member):
                setattr(self, member, getattr(regularizer, member))


@check(
    "safe-screening",
    claim="Everything that screening calls zero is zero in the solution.",
    source="Deleu and Bengio, arXiv 2102.03869, Theorem 1, with group weights",
    kind="regularizer",
    tolerance=tolerances.CLOSED_FORM,
    cases=lambda target: problem_batches(target.instances, max_condition=100.0, mild=4.0, hardest=100.0),
    applies=needs("zero_mask"),
    share=2 * SHARE,
)
def measure_screening(regularizer: HasZeroMask, B: Array, D: Array, lam: Array) -> Measurement:
    """Whatever ``zero_mask`` calls zero is zero in a solution found without screening."""
    problems = Problems.of(Unscreened(regularizer), B, D, lam)
    worst = WorstProblem(problems)

    def screened(problem: Subproblem) -> tuple[Tensor, ...]:
        return (torch.broadcast_to(regularizer.zero_mask(problem.B, problem.lam), problem.B.shape),)

    mask = problems.each(screened)
    if not bool(mask.any()):
        raise NothingClaimed("screening calls nothing zero")
    centre = problems.B / problems.D
    plain = problems.solve("proximal_gradient", 1e-12 * problems.rounding.unit, centre, to_the_end=False)
    if not set(plain.status) <= {Status.CONVERGED, Status.PRECISION_LIMIT}:
        raise Inconclusive("proximal gradient without screening did not converge")
    left = sizes(torch.where(mask, plain.point, 0.0)) - TINY
    worst.see(relative(left, sizes(plain.point, centre)), "screened out, but the solution is {Z}", Z=plain.point)
    return worst.measurement()
