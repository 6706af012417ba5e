"""NaN in what a solve returns at other scales, out of range, far from B, and by the method that it chose."""

import math

import pytest

from solvers import GroupLasso, NuclearNorm
from solvers.subproblem.result import Solution
from tests.mutants.mutant import wrong_solver
from tests.mutants.scales import CHOICE, FAR, RANGE, SCALE


def nan_residual(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Solution.__init__
    monkeypatch.setattr(Solution, "__init__", lambda self, **fields: right(self, **{**fields, "residual": math.nan}))


def nan_point(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first entry of every point."""
    right = Solution.__init__

    def spoiled(self: Solution, **fields: object) -> None:
        right(self, **fields)
        object.__setattr__(self, "point", self.point.clone())
        self.point.reshape(-1)[0] = math.nan

    monkeypatch.setattr(Solution, "__init__", spoiled)


MUTANTS = [
    wrong_solver("nan_residual_of_a_scale", nan_residual, GroupLasso, SCALE, RANGE, FAR),
    wrong_solver("nan_residual_of_a_choice", nan_residual, NuclearNorm, CHOICE),
    wrong_solver("nan_point_of_a_scale", nan_point, GroupLasso, SCALE, RANGE, FAR),
]
