"""metric_prox solves the subproblem: by its fixed point, which shows an error in full, and by rivals."""

import numpy as np
from hypothesis import strategies as st

from ramda_verify import tolerances
from ramda_verify.cases.strategies import seeds, subproblem_cases
from ramda_verify.checks.helpers import Array, comparison_points, finite, metric_prox, needs, norm, shown, size, tensor
from ramda_verify.checks.regularizer.objective import ACCURACY, ROUNDING, ProxProblem, Psi
from ramda_verify.engine.property import check
from ramda_verify.engine.record import Case, Measurement
from ramda_verify.engine.targets import Target
from ramda_verify.engine.worst import TINY, Worst, relative
from solvers.regularizers.base import offers
from solvers.regularizers.members import HasMetricProx

#: The condition number of the metric in which a fixed point is asked for.
MILD = 30.0


def _seeded_subproblem(target: Target) -> st.SearchStrategy[Case]:
    cases = subproblem_cases(target.instances, max_condition=1e6)
    return st.builds(lambda case, seed: {**case, "seed": seed}, cases, seeds())


@check(
    "metric-prox-claim",
    claim="metric_prox(B, D, lam) is a fixed point of proximal gradient, and no point has a lower Q.",
    source="definition of the subproblem; with a step below 1/max D its minimiser is the only fixed point there",
    kind="regularizer",
    tolerance=tolerances.PROX,
    cases=_seeded_subproblem,
    applies=needs("metric_prox"),
)
def measure_metric_prox(regularizer: HasMetricProx, B: Array, D: Array, lam: float, seed: int) -> Measurement:
    """metric_prox(B, D, lam) is a fixed point of proximal gradient, which shows an error in full; no point has a lower
    Q, which shows it squared, but everywhere; and with lam = 0 it is B/D.

    The fixed point is asked for in a metric of mild condition, D cut off below, where a step moves every entry.
    """
    worst, psi = Worst(), Psi(regularizer, B.shape)
    mild = np.maximum(D, D.max() / MILD)
    for metric in (D, mild):
        Z = metric_prox(regularizer, B, metric, lam)
        centre = B / metric
        problem = ProxProblem(psi, centre, lam, Z, metric)
        for point in [*comparison_points(centre, Z, seed), *_scaled(Z, centre, metric)]:
            x, at_x = point, psi.at(point)
            worst.see(problem.excess(x, at_x), f"metric_prox returned {shown(Z)}; Q is lower at {shown(x)}")
    theta = 1.0 / float(mild.max()) * (1.0 if offers(regularizer, "convex") else 0.5)
    moved = finite("prox", regularizer.prox(tensor(Z - theta * (mild * Z - B)), theta * lam)).numpy()
    unit = ACCURACY * norm(Z - centre) + psi.rounding(Z, centre) * Z.size**0.5 + TINY
    note = f"metric_prox returned {shown(Z)}, from which a proximal gradient step leads to {shown(moved)}"
    worst.see(relative(norm(moved - Z), unit), note)
    if psi.near(centre, size(centre)) < np.inf:
        free = metric_prox(regularizer, B, mild, 0.0)
        worst.see(relative(norm(free - centre), ROUNDING * norm(centre) + TINY), "with lam = 0 metric_prox is not B/D")
    return worst.measurement()


def _scaled(Z: Array, centre: Array, D: Array) -> list[Array]:
    """Moves whose length in the metric is small: towards the centre, entry by entry in the units of 1/sqrt(D)."""
    distance = np.sqrt(float((D * (Z - centre) ** 2).sum()))
    moves = []
    for index in range(Z.size):
        for sign in (1e-3, -1e-3, 1e-1, -1e-1):
            point = Z.copy()
            point.flat[index] += sign * distance / np.sqrt(D.flat[index])
            moves.append(point)
    return [*moves, Z + 1e-3 * (centre - Z), Z - 1e-3 * (centre - Z)]
