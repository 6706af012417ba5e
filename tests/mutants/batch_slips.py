"""Batch solvers that mix up their problems, put in the place of the right one."""

import importlib
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from solvers import L1, GroupLasso, NuclearNorm
from solvers.subproblem import Status, batch_steps
from solvers.subproblem.batch_problem import SubproblemBatch
from tests.mutants.claims import CountNonzero
from tests.mutants.metric_proxes import IgnoresMetric
from tests.mutants.mutant import Patch, wrong_solver

# The package has a function of this name as well.
BATCH = importlib.import_module("solvers.subproblem.batch")
RELAY = importlib.import_module("solvers.subproblem.batch_relay")

RIGHT: dict[str, Any] = {name: getattr(BATCH, name) for name in ("_per_problem", "_enforce_descent")}
RIGHT["run"] = RELAY.run
RIGHT |= {name: getattr(batch_steps, name) for name in ("norms", "rounding_floors", "step_sizes")}
EACH = SubproblemBatch.each


def in_batch(name: str, wrong: Callable[..., Any]) -> Patch:
    return lambda monkeypatch: monkeypatch.setattr(BATCH, name, wrong)


def in_relay(name: str, wrong: Callable[..., Any]) -> Patch:
    return lambda monkeypatch: monkeypatch.setattr(RELAY, name, wrong)


def in_steps(name: str, wrong: Callable[..., Any]) -> Patch:
    return lambda monkeypatch: monkeypatch.setattr(batch_steps, name, wrong)


def of_the_first(wanted: str) -> Callable[..., Tensor]:
    """The tolerance, or lam, of the first problem for all."""

    def per_problem(name: str, value: Any, B: Tensor) -> Tensor:
        found = RIGHT["_per_problem"](name, value, B)
        return found[:1].expand_as(found) if name == wanted else found

    return per_problem


def never_frozen(batch, start, method, step_rule, tolerance, budget, paced):
    """Problems that have ended go on until the last has."""
    ends = RIGHT["run"](batch, start, method, step_rule, tolerance, budget, paced)
    point = start
    steps = batch_steps.iterates(batch, start, method, step_rule)
    for iterate, _ in zip(steps, range(int(ends.iterations.max())), strict=False):
        point = iterate.point
    return ends._replace(point=point)


def all_end_together(batch, start, method, step_rule, tolerance, budget, paced):
    """Every problem is said to have taken as many iterations as the slowest."""
    ends = RIGHT["run"](batch, start, method, step_rule, tolerance, budget, paced)
    return ends._replace(iterations=torch.full_like(ends.iterations, int(ends.iterations.max())))


def all_end_alike(batch, start, method, step_rule, tolerance, budget, paced):
    """One that does not converge makes all of them not converge."""
    ends = RIGHT["run"](batch, start, method, step_rule, tolerance, budget, paced)
    limit = BATCH.CODE[Status.ITERATION_LIMIT]
    return ends._replace(
        status=torch.full_like(ends.status, limit) if bool((ends.status == limit).any()) else ends.status
    )


def residuals_of_neighbours(batch, tensor):
    """Each problem gets the residual of the next."""
    return RIGHT["norms"](batch, tensor).roll(1)


def one_residual(batch, tensor):
    """One norm over the whole batch."""
    found = RIGHT["norms"](batch, tensor)
    return torch.linalg.vector_norm(found).expand_as(found)


def one_floor(batch, Z, magnification):
    """The rounding level of the largest problem for all."""
    found = RIGHT["rounding_floors"](batch, Z, magnification)
    return found.max().expand_as(found)


def one_step_size(batch, method, step_rule):
    """The smallest step of the batch for all: it converges, and not as ``solve`` does."""
    found = RIGHT["step_sizes"](batch, method, step_rule)
    return found.amin(dim=0, keepdim=True).expand_as(found).clone()


def shared_restart(self, function, *tensors):
    """Where the momentum of one problem is dropped, that of all is."""
    found = EACH(self, function, *tensors)
    if function.__name__ == "accelerated" and len(found) == 6:
        Z, member, exact, Y, t, usable = found
        if bool((t == 1).any()):
            Y, t = Z, torch.ones_like(t)
        return Z, member, exact, Y, t, usable
    return found


def all_fall_back(batch, ends, reference):
    """Where (7b) fails for one problem, all are sent back."""
    descent = RIGHT["_enforce_descent"](batch, ends, reference)[1]
    if bool(descent.all()):
        return ends, descent
    broken = ends._replace(status=torch.full_like(ends.status, BATCH.CODE[Status.NON_FINITE]))
    found, _ = RIGHT["_enforce_descent"](batch, broken, reference)
    return found._replace(status=torch.full_like(ends.status, BATCH.CODE[Status.FELL_BACK])), torch.zeros_like(descent)


def back_to_another(batch, ends, reference):
    """Sends a problem back to the reference of its neighbour."""
    return RIGHT["_enforce_descent"](batch, ends, reference.roll(1, dims=0))


def no_descent(batch, ends, reference):
    """(7b) is called held without a look."""
    return ends, torch.ones(len(batch), dtype=torch.bool)


def screened_by_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is zero in the first problem is set to zero at the start of all, and kept there."""

    def run(batch, start, *more):
        ends = RIGHT["run"](batch, start, *more)
        return ends._replace(point=torch.where(ends.point[:1] == 0, 0.0, ends.point))

    monkeypatch.setattr(RELAY, "run", run)


EQUAL = "batch-equals-solve"
MUTANTS = [
    wrong_solver(
        "batch_tolerance_of_the_first", in_batch("_per_problem", of_the_first("tolerance")), GroupLasso, EQUAL
    ),
    wrong_solver("batch_lam_of_the_first", in_batch("_per_problem", of_the_first("lam")), L1, EQUAL),
    wrong_solver("batch_never_frozen", in_relay("run", never_frozen), GroupLasso, EQUAL),
    wrong_solver("batch_iterations_of_the_slowest", in_relay("run", all_end_together), NuclearNorm, EQUAL),
    wrong_solver("batch_one_status", in_relay("run", all_end_alike), GroupLasso, EQUAL),
    wrong_solver("batch_residuals_of_neighbours", in_steps("norms", residuals_of_neighbours), L1, EQUAL),
    wrong_solver("batch_one_residual", in_steps("norms", one_residual), GroupLasso, EQUAL),
    wrong_solver("batch_one_floor", in_steps("rounding_floors", one_floor), NuclearNorm, EQUAL),
    wrong_solver("batch_one_floor_of_groups", in_steps("rounding_floors", one_floor), GroupLasso, EQUAL),
    wrong_solver("batch_one_step_size", in_steps("step_sizes", one_step_size), CountNonzero, EQUAL),
    wrong_solver(
        "batch_shared_restart",
        lambda monkeypatch: monkeypatch.setattr(SubproblemBatch, "each", shared_restart),
        GroupLasso,
        EQUAL,
    ),
    wrong_solver("batch_all_fall_back", in_batch("_enforce_descent", all_fall_back), IgnoresMetric, EQUAL),
    wrong_solver("batch_back_to_another", in_batch("_enforce_descent", back_to_another), IgnoresMetric, EQUAL),
    wrong_solver(
        "batch_no_descent", in_batch("_enforce_descent", no_descent), IgnoresMetric, EQUAL, "objective-descent"
    ),
    wrong_solver("batch_screened_by_the_first", screened_by_the_first, L1, EQUAL, "solver-agreement"),
]
