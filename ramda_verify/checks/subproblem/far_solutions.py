"""Whether the verdict on a direct solution allows for the rounding of D*Z."""

import math
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from ramda_verify import tolerances
from ramda_verify.cases.strategies import subproblem_cases, tensors
from ramda_verify.checks.helpers import Array, needs, norm, size, tensor
from ramda_verify.checks.subproblem.units import homogeneous
from ramda_verify.engine.property import check
from ramda_verify.engine.record import Case, Measurement
from ramda_verify.engine.targets import Target
from ramda_verify.engine.worst import Worst
from solvers.regularizers.base import offers
from solvers.regularizers.members import MetricProx
from solvers.subproblem import Status, Subproblem, solve, solve_batch


class Tilted:
    """``psi(w) + <slope, w>`` for a regularizer with a metric_prox: its solutions are those of B - lam*slope."""

    def __init__(self, regularizer: Any, slope: Tensor) -> None:
        self._regularizer, self._slope = regularizer, slope
        self.convex = offers(regularizer, "convex")

    def value(self, w: Tensor) -> Tensor:
        return self._regularizer.value(w) + (self._slope * w).sum()

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return self._regularizer.prox(w - step * self._slope, step)

    def metric_prox(self, B: Tensor, D: Tensor, lam: Any) -> Tensor:
        return MetricProx.of(self._regularizer.metric_prox(B - lam * self._slope, D, lam)).point


def _far(target: Target) -> st.SearchStrategy[Case]:
    return subproblem_cases(target.instances, max_condition=1e4, extreme=False).flatmap(
        lambda case: st.fixed_dictionaries(
            {
                **{name: st.just(value) for name, value in case.items()},
                "direction": tensors(case["B"].shape),
                "distance": st.sampled_from([1e6, 1e3, 1e9, 1e12]),
            }
        )
    )


@check(
    "direct-solution-far-from-B",
    claim="An exact direct solution is called stationary up to rounding, also where ||D*Z|| is far above ||B||.",
    source="rounding of D*Z - B",
    kind="regularizer",
    tolerance=tolerances.EXACT,
    cases=_far,
    applies=needs("metric_prox"),
    share=0.5,
)
def measure_far_solution(
    regularizer: Any, B: Array, D: Array, lam: float, direction: Array, distance: float
) -> Measurement:
    """A direct solution that is exact but for rounding is called so, also where ||D*Z|| is far above ||B||: by a psi
    that is tilted or, where psi is infinite along the direction or not positively homogeneous (a constraint keeps Z in
    place), by a large D.

    The violation is infinite where it is called not stationary.
    """
    direction = direction / size(direction) if direction.any() else np.ones_like(direction)
    price = lam * float(regularizer.value(tensor(direction)))
    if math.isfinite(price) and homogeneous(regularizer, tensor(direction)):
        # Far above psi as well, so that the entries of the solution are as accurate as those of B - lam*slope.
        slope = direction * distance * (size(B) + price) / lam
        regularizer = Tilted(regularizer, tensor(slope))
    else:
        D = D * distance
    problem, goal = Subproblem(tensor(B), tensor(D), lam, regularizer), 1e-13 * norm(B)
    many = solve_batch(
        torch.stack([problem.B] * 2),
        torch.stack([problem.D] * 2),
        lam,
        regularizer,
        tolerance=goal,
        method="metric_prox",
    )
    worst = Worst()
    for who, found in (("solve", solve(problem, tolerance=goal, method="metric_prox")), ("solve_batch", many[0])):
        known = found.status in (Status.CONVERGED, Status.PRECISION_LIMIT) and math.isfinite(found.residual)
        right = known and bool(torch.isfinite(found.point).all())
        worst.see(0.0 if right else math.inf, f"{who}: {found.status.value}, residual {found.residual:.6g}")
    return worst.measurement()
