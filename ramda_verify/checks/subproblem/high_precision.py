"""Direct solutions, prox and metric_prox, against those in 70 digits: an error far below what other checks allow."""

import numpy as np

from ramda_verify import tolerances
from ramda_verify.cases.strategies import prox_cases, subproblem_cases
from ramda_verify.checks.helpers import Array, finite, metric_prox, norm, size_in_metric, tensor
from ramda_verify.checks.regularizer.traits import asks, directly_solved, directly_solved_by_prox
from ramda_verify.engine.property import Inconclusive, check
from ramda_verify.engine.record import Measurement
from ramda_verify.engine.worst import Worst, relative
from ramda_verify.oracles import exact, psi
from solvers.regularizers.members import HasMetricProx, Regularizer
from solvers.subproblem import Status, Subproblem, solve


@check(
    "prox-high-precision",
    claim="prox agrees with a 70-digit solution of its problem.",
    source="the prox is the subproblem with D = 1; duality of the norm, evaluated with mpmath",
    kind="regularizer",
    tolerance=tolerances.HIGH_PRECISION,
    cases=lambda target: prox_cases(target.instances),
    applies=asks(directly_solved_by_prox),
    share=0.3,
    large=False,
)
def measure_prox(regularizer: Regularizer, w: Array, step: float) -> Measurement:
    """Distance of the prox to the 70-digit one, relative to w and to itself; where psi is not convex, the gap."""
    Z = finite("prox", regularizer.prox(tensor(w), step)).numpy()
    return _measured(regularizer, w, np.ones_like(w), step, {"prox": Z})


@check(
    "subproblem-high-precision",
    claim="metric_prox, alone and in solve, agrees with a 70-digit solution for condition numbers up to 1e8.",
    source="duality of the norm, evaluated with mpmath",
    kind="regularizer",
    tolerance=tolerances.HIGH_PRECISION,
    cases=lambda target: subproblem_cases(target.instances),
    applies=asks(directly_solved),
    share=0.5,
)
def measure_metric_prox(regularizer: HasMetricProx, B: Array, D: Array, lam: float) -> Measurement:
    """Distance of metric_prox, and of what ``solve`` makes of it, to the 70-digit solution, relative to its size and to
    rounding of B/D; where psi is not convex, and two points may be minimisers, the gap in Q.
    """
    solution = solve(Subproblem(tensor(B), tensor(D), lam, regularizer), tolerance=0.0)
    if solution.status is Status.NON_FINITE:
        raise ArithmeticError(f"solve: {solution.status.value}")
    # ``solve`` ends with a prox step, which mends what metric_prox alone gets wrong.
    points = {"solve": solution.point.numpy(), "metric_prox": metric_prox(regularizer, B, D, lam)}
    return _measured(regularizer, B, D, lam, points)


def _measured(regularizer: Regularizer, B: Array, D: Array, lam: float, points: dict[str, Array]) -> Measurement:
    answer = exact.subproblem(B, D, lam, regularizer)
    if not answer.solved or answer.point is None:
        raise Inconclusive(f"70-digit oracle: {answer.detail}")
    convex = all(atom.convex for atom in psi.atoms_of(regularizer, B.shape))
    worst = Worst()
    for name, Z in points.items():
        note = f"{name}: {Z.tolist()}, exact {answer.point.tolist()}"
        if convex:
            # In the metric D, where the problem is perfectly conditioned.
            apart = norm(np.sqrt(D) * (Z - answer.point))
            worst.see(relative(apart, size_in_metric(B, D, answer.point)), note)
        else:
            gap = exact.objective_gap(Z, B, D, lam, regularizer, answer)
            worst.see(relative(gap, 0.5 * float((B * B / D).sum())), note)
    return worst.measurement()
