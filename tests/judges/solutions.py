"""Answers of solvers that are written down, for judges of which the right verdict is known."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from ramda_verify.checks.subproblem.batches import Answers, Problems
from solvers.subproblem import BatchSolution, Solution, Status


def solution(point: Any, **fields: Any) -> Solution:
    """A solution at this point that converged after one iteration with a residual of 0, but for the fields given."""
    plain = {"status": Status.CONVERGED, "iterations": 1, "residual": 0.0, "objective": 0.0, "tolerance": 0.0}
    found = point if isinstance(point, torch.Tensor) else torch.as_tensor(point, dtype=torch.float64)
    return Solution(point=found, **{**plain, "method": "accelerated", **fields})


def half_as_good(point: Any, **fields: Any) -> Solution:
    """A solution whose residual is half of its tolerance, which is 1 unless one is given."""
    tolerance = fields.pop("tolerance", 1.0)
    return solution(point, **{"residual": 0.5 * float(tolerance), "method": "by hand", **fields}, tolerance=tolerance)


def batch_of(solutions: list[Solution]) -> BatchSolution:
    """The same as what a solver of many problems returns."""
    descent = [one.descent for one in solutions]
    return BatchSolution(
        point=torch.stack([one.point for one in solutions]),
        status=tuple(one.status for one in solutions),
        iterations=torch.tensor([one.iterations for one in solutions]),
        residual=torch.tensor([one.residual for one in solutions], dtype=torch.float64),
        objective=torch.tensor([one.objective for one in solutions], dtype=torch.float64),
        tolerance=torch.tensor([one.tolerance for one in solutions], dtype=torch.float64),
        methods=tuple(one.method for one in solutions),
        descent=None if None in descent else torch.tensor(descent),
        looped=(),
        legs=tuple(one.legs for one in solutions),
    )


def problems_by_hand(solve, unit=1.0, **rounding):
    """Problems that ``solve(problems, method, tolerance, reference, **options)`` answers; ``rounding`` does to their
    numbers what is said: a number, one for each problem, or a function of points.
    """

    class ByHand(Problems):
        @property
        def rounding(self):
            said = {name: found if callable(found) else self._always(found) for name, found in rounding.items()}
            return SimpleNamespace(unit=self._always(unit)(), **said)

        def _always(self, number):
            return lambda *points: np.broadcast_to(np.array(number, dtype=float), len(self)).copy()

        def solve(self, method, tolerance, reference=None, **options):
            return solve(self, method, tolerance, reference, **options)

    return ByHand


def answers(points, residual=0.0, status=Status.CONVERGED):
    """What solvers say of problems, one row each."""
    found = torch.as_tensor(np.array(points), dtype=torch.float64)
    statuses = (status,) * len(found) if isinstance(status, Status) else tuple(status)
    return Answers(found, np.broadcast_to(residual, len(found)).astype(float), statuses)
