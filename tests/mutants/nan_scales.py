"""NaN in what a solve returns at other scales, out of range, far from B, and by the method that it chose."""

import math

import torch

from solvers import GroupLasso, NuclearNorm
from tests.mutants.mutant import wrong_solver
from tests.mutants.scales import CHOICE, FAR, RANGE, SCALE
from tests.mutants.solver_slips import of_solution


def first_entry(point: torch.Tensor) -> torch.Tensor:
    """The point with NaN in its first entry, in memory of its own."""
    wrong = point.clone()
    wrong.reshape(-1)[0] = math.nan
    return wrong


nan_residual = of_solution(lambda fields: {**fields, "residual": math.nan})
nan_point = of_solution(lambda fields: {**fields, "point": first_entry(fields["point"])})

MUTANTS = [
    wrong_solver("nan_residual_of_a_scale", nan_residual, GroupLasso, SCALE, RANGE, FAR),
    wrong_solver("nan_residual_of_a_choice", nan_residual, NuclearNorm, CHOICE),
    wrong_solver("nan_point_of_a_scale", nan_point, GroupLasso, SCALE, RANGE, FAR),
]
