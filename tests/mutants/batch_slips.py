"""Batch solvers that mix up their problems, put in the place of the right one."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from solvers import L1, GroupLasso, NuclearNorm
from solvers.subproblem import accelerated, batch
from solvers.subproblem.batch_problem import SubproblemBatch
from solvers.subproblem.criterion import RoundingFloor
from solvers.subproblem.ending import CODE, status_where
from solvers.subproblem.iterate import run
from solvers.subproblem.methods import ITERATIVE
from solvers.subproblem.result import Status
from solvers.subproblem.verdict import enforce_descent
from tests.mutants.claims import CountNonzero
from tests.mutants.metric_proxes import IgnoresMetric
from tests.mutants.mutant import wrong_solver
from tests.mutants.patching import Patch, everywhere, for_batches, member, original

PER_PROBLEM, RUN, ENFORCE_DESCENT = original(batch._per_problem), original(run), original(enforce_descent)
NORM, LIPSCHITZ, FLOOR = SubproblemBatch.norm, SubproblemBatch.step_lipschitz, RoundingFloor.__call__
EXTRAPOLATE = accelerated._Accelerated._extrapolate


def in_problem(name: str, wrong: Callable[..., Any]) -> Patch:
    return member(SubproblemBatch, name, wrong)


def of_the_first(wanted: str) -> Callable[..., Tensor]:
    """The tolerance, or lam, of the first problem for all."""

    def per_problem(name: str, value: Any, B: Tensor) -> Tensor:
        found = PER_PROBLEM(name, value, B)
        return found[:1].expand_as(found) if name == wanted else found

    return per_problem


def never_frozen(batch, iterates, start, **options):
    """Problems that have ended go on until the last has."""
    ends = RUN(batch, iterates, start, **options)
    point, steps = start, ITERATIVE["accelerated"](batch, start)
    for _ in range(int(ends.iterations.max())):
        point = next(steps).point
    return ends._replace(point=point)


def all_end_together(batch, iterates, start, **options):
    """Every problem is said to have taken as many iterations as the slowest."""
    ends = RUN(batch, iterates, start, **options)
    return ends._replace(iterations=torch.full_like(ends.iterations, int(ends.iterations.max())))


def all_end_alike(batch, iterates, start, **options):
    """One that does not converge makes all of them not converge."""
    ends = RUN(batch, iterates, start, **options)
    one = (ends.status == CODE[Status.ITERATION_LIMIT]).any().expand_as(ends.status)
    return ends._replace(status=status_where(one, Status.ITERATION_LIMIT, ends.status))


def residuals_of_neighbours(self, tensor):
    """Each problem gets the norms of the next."""
    return NORM(self, tensor).roll(1)


def one_residual(self, tensor):
    """One norm over the whole batch."""
    found = NORM(self, tensor)
    return torch.linalg.vector_norm(found).expand_as(found)


def one_floor(self, Z):
    """The rounding level of the largest problem for all."""
    found = FLOOR(self, Z)
    return found.max().expand_as(found) if isinstance(found, Tensor) else found


def one_step_size(self, step_rule="block"):
    """The largest L of the batch for all: it converges, and not as ``solve`` does."""
    found = LIPSCHITZ(self, step_rule)
    return found.amax(dim=0, keepdim=True).expand_as(found).clone()


def shared_restart(self, theta):
    """Where the momentum of one problem is dropped, that of all is."""
    EXTRAPOLATE(self, theta)
    if self._last is not None and isinstance(self._t, Tensor) and bool((self._t == 1).any()):
        self._Y, self._t = self._Z, torch.ones_like(self._t)


def all_fall_back(batch, ends, reference):
    """Where (7b) fails for one problem, all are sent back."""
    descent = ENFORCE_DESCENT(batch, ends, reference)[1]
    if bool(descent.all()):
        return ends, descent
    broken = ends._replace(status=torch.full_like(ends.status, CODE[Status.NON_FINITE]))
    found, _ = ENFORCE_DESCENT(batch, broken, reference)
    return found._replace(status=torch.full_like(ends.status, CODE[Status.FELL_BACK])), torch.zeros_like(descent)


def back_to_another(batch, ends, reference):
    """Sends a problem back to the reference of its neighbour."""
    return ENFORCE_DESCENT(batch, ends, reference.roll(1, dims=0))


def no_descent(batch, ends, reference):
    """(7b) is called held without a look."""
    return ends, batch.full(True)


def screened_by_the_first(batch, iterates, start, **options):
    """What is zero in the first problem is set to zero in the points of all."""
    ends = RUN(batch, iterates, start, **options)
    return ends._replace(point=torch.where(ends.point[:1] == 0, 0.0, ends.point))


EQUAL = "batch-equals-solve"
MUTANTS = [
    wrong_solver(
        "batch_tolerance_of_the_first", everywhere(batch._per_problem, of_the_first("tolerance")), GroupLasso, EQUAL
    ),
    wrong_solver("batch_lam_of_the_first", everywhere(batch._per_problem, of_the_first("lam")), L1, EQUAL),
    wrong_solver("batch_never_frozen", for_batches(run, never_frozen), GroupLasso, EQUAL),
    wrong_solver("batch_iterations_of_the_slowest", for_batches(run, all_end_together), NuclearNorm, EQUAL),
    wrong_solver("batch_one_status", for_batches(run, all_end_alike), GroupLasso, EQUAL),
    wrong_solver("batch_residuals_of_neighbours", in_problem("norm", residuals_of_neighbours), L1, EQUAL),
    wrong_solver("batch_one_residual", in_problem("norm", one_residual), GroupLasso, EQUAL),
    wrong_solver("batch_one_floor", member(RoundingFloor, "__call__", one_floor), NuclearNorm, EQUAL),
    wrong_solver("batch_one_floor_of_groups", member(RoundingFloor, "__call__", one_floor), GroupLasso, EQUAL),
    wrong_solver("batch_one_step_size", in_problem("step_lipschitz", one_step_size), CountNonzero, EQUAL),
    wrong_solver(
        "batch_shared_restart",
        member(accelerated._Accelerated, "_extrapolate", shared_restart),
        GroupLasso,
        EQUAL,
    ),
    wrong_solver("batch_all_fall_back", for_batches(enforce_descent, all_fall_back), IgnoresMetric, EQUAL),
    wrong_solver("batch_back_to_another", for_batches(enforce_descent, back_to_another), IgnoresMetric, EQUAL),
    wrong_solver(
        "batch_no_descent", for_batches(enforce_descent, no_descent), IgnoresMetric, EQUAL, "objective-descent"
    ),
    wrong_solver("batch_screened_by_the_first", for_batches(run, screened_by_the_first), L1, EQUAL, "solver-agreement"),
]
