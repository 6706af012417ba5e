"""Solutions made by hand, for the judges of solvers to judge."""

from typing import Any

import torch
from torch import Tensor

from solvers.subproblem import BatchSolution, Solution, Status


def solution(point: Tensor, **fields: Any) -> Solution:
    """A solution that converged after one iteration to half its tolerance, with other fields where they are given."""
    plain = {"status": Status.CONVERGED, "iterations": 1, "tolerance": 1.0, "objective": 0.0, "method": "by hand"}
    plain["residual"] = 0.5 * float(fields.get("tolerance", 1.0))
    return Solution(point=point, **{**plain, **fields})


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
