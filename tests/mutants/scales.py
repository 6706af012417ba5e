"""Solvers that square before they scale, hand infinities around, or stay with the method that they began with."""

import importlib
from collections.abc import Callable
from typing import Any

import pytest
import torch

from solvers import L1, GroupLasso, NuclearNorm, Subproblem
from solvers.subproblem.criterion import RoundingFloor
from solvers.subproblem.ending import Iterate
from solvers.subproblem.problems import Problems
from tests.mutants.mutant import Patch, wrong_solver
from tests.mutants.solver_slips import of_one

#: Every module of the inner solvers, by its name. (The package holds functions of some of these names.)
MODULES = {
    name: importlib.import_module(f"solvers.subproblem.{name}")
    for name in (
        "accelerated",
        "anderson",
        "batch",
        "batch_problem",
        "criterion",
        "methods",
        "model",
        "newton",
        "relay",
        "solve",
        "splitting",
    )
}
IN_TURN = MODULES["relay"].in_turn


def wherever(name: str, wrong: Callable[..., Any]) -> Patch:
    """Replace a function in every module of the inner solvers that has it, as an edit of its source would."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        for module in MODULES.values():
            if hasattr(module, name):
                monkeypatch.setattr(module, name, wrong)

    return patch


def norm_without_scaling(tensor):
    """The root of a sum of squares."""
    return float(torch.linalg.vector_norm(tensor, dtype=torch.float64))


def row_norms_without_scaling(tensor):
    return torch.linalg.vector_norm(tensor.reshape(len(tensor), -1), dim=1, dtype=torch.float64)


def product_without_scaling(self, slope, move):
    """An inner product that underflows to 0, so that momentum is never dropped."""
    return self.sum(slope * move)


def floor_without_point(self, Z):
    """The rounding of B alone."""
    return self._share * self._size * self._scale


def no_point_in_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RoundingFloor, "__call__", floor_without_point)


def prox_of_anything(self, w, theta):
    """Asks for the prox of an infinity."""
    return self.regularizer.prox(w, theta * self.lam)


def accelerated_with_overflow(subproblem, start, *, step_rule="block"):
    """The prox of an infinity is zero, and zero has not moved: a residual of zero."""
    theta = 1 / subproblem.step_lipschitz(step_rule)
    Z = start
    while True:
        w = Z - theta * subproblem.gradient(Z)
        Z_next = torch.where(torch.isfinite(w), subproblem.prox(w.nan_to_num(posinf=0.0, neginf=0.0), theta), 0.0)
        yield Iterate(Z_next, (subproblem.D - 1 / theta) * (Z_next - Z))
        Z = Z_next


def overflowing(monkeypatch: pytest.MonkeyPatch) -> None:
    iterative = MODULES["methods"].ITERATIVE
    monkeypatch.setitem(iterative, "accelerated", of_one(iterative["accelerated"], accelerated_with_overflow))


def by_entry_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few entries mean "accelerated", whatever the metric, and nobody takes over."""
    monkeypatch.setattr(MODULES["methods"], "_splitting_first", lambda subproblem: subproblem.B.numel() >= 256)
    wrong = of_one(IN_TURN, lambda problems, methods, *more: IN_TURN(problems, methods[:1], *more))
    monkeypatch.setattr(MODULES["solve"], "in_turn", wrong)


def batch_of_one_method(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch knows the accelerated method only."""
    wrong = of_one(lambda batch, methods, *more: IN_TURN(batch, ["accelerated"], *more), IN_TURN)
    monkeypatch.setattr(MODULES["solve"], "in_turn", wrong)


SCALE, RANGE, FAR, CHOICE = (
    "scale-equivariance",
    "numbers-out-of-range",
    "direct-solution-far-from-B",
    "automatic-choice",
)
MUTANTS = [
    wrong_solver("norm_without_scaling", wherever("norm", norm_without_scaling), NuclearNorm, SCALE),
    wrong_solver("row_norms_without_scaling", wherever("row_norms", row_norms_without_scaling), GroupLasso, SCALE),
    wrong_solver(
        "product_without_scaling",
        lambda monkeypatch: monkeypatch.setattr(Problems, "product", product_without_scaling),
        NuclearNorm,
        SCALE,
    ),
    wrong_solver("floor_without_point", no_point_in_floor, L1, FAR),
    wrong_solver(
        "prox_of_anything",
        lambda monkeypatch: monkeypatch.setattr(Subproblem, "prox", prox_of_anything),
        GroupLasso,
        RANGE,
    ),
    wrong_solver("accelerated_with_overflow", overflowing, GroupLasso, RANGE),
    wrong_solver("choice_by_entry_count", by_entry_count, NuclearNorm, CHOICE),
    wrong_solver("batch_of_one_method", batch_of_one_method, NuclearNorm, CHOICE),
]
