"""The loop of ``iterate.run`` for a batch of problems in lock-step; one that has ended leaves the computation."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from solvers.regularizers.base import offers
from solvers.subproblem import batch_splitting
from solvers.subproblem import batch_steps as steps
from solvers.subproblem.batch_problem import SubproblemBatch
from solvers.subproblem.methods import MANY_ENTRIES, SPLITTING
from solvers.subproblem.pace import FIRST_LOOK, PATIENCE, REACH
from solvers.subproblem.result import Status

#: A status is its place in here while it is in a tensor; RUNNING is none of them.
STATUSES = tuple(Status)
CODE = {status: code for code, status in enumerate(STATUSES)}
RUNNING = -1


class Endings(NamedTuple):
    """``iterate.Ending`` for every problem; ``status`` holds codes."""

    point: Tensor
    status: Tensor
    iterations: Tensor
    residual: Tensor


class Progress(NamedTuple):
    """What the loop knows of each problem that still runs: its place in the batch, the best point so far and what
    ``Stagnation`` and ``Pace`` remember.
    """

    place: Tensor
    goal: Tensor
    budget: Tensor
    point: Tensor
    residual: Tensor
    lowest: Tensor
    since: Tensor
    halfway: Tensor

    def rows(self, chosen: Tensor) -> "Progress":
        return Progress(*(tensor[chosen] for tensor in self))


class Stepper:
    """A method in lock-step: its state, and the batch that is left."""

    def __init__(self, batch: SubproblemBatch, start: Tensor, method: str, step_rule: str) -> None:
        self.batch, self.magnification = batch, steps.magnifications(batch)
        self._sweep = None if method == SPLITTING else steps.sweep(method)
        if self._sweep is None:
            self._state = batch_splitting.begin(batch, start)
        else:
            t = torch.ones(len(batch), dtype=torch.float64, device=start.device)
            self._tensors = (steps.step_sizes(batch, method, step_rule), start, start, t)

    def step(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """One iteration of all problems: their points, residuals and rounding levels, and whether all is finite."""
        if self._sweep is None:
            self._state, Z, member, usable = batch_splitting.sweep(self.batch, self._state)
            level, residual = self.floors(Z), steps.norms(self.batch, member)
        else:
            theta, Z, Y, t = self._tensors
            Z, member, exact, Y, t, usable = self.batch.each(self._sweep, theta, Z, Y, t)
            level, residual = self.floors(Z), steps.norms(self.batch, member)
            if offers(self.batch.regularizer, "subgradient_residual"):
                residual = steps.best_of(residual, steps.norms(self.batch, exact), level)
            self._tensors = (theta, Z, Y, t)
        return Z, residual, level, usable & ~residual.isnan()

    def floors(self, Z: Tensor) -> Tensor:
        return steps.rounding_floors(self.batch, Z, self.magnification)

    def keep(self, chosen: Tensor) -> None:
        """Go on with these problems alone."""
        self.batch, self.magnification = self.batch.rows(chosen), self.magnification[chosen]
        if self._sweep is None:
            self._state = self._state.rows(chosen)
        else:
            theta, Z, Y, t = self._tensors
            self._tensors = theta[chosen], Z[chosen], Y[chosen], t[chosen]


def run(
    batch: SubproblemBatch,
    start: Tensor,
    method: str,
    step_rule: str,
    tolerance: Tensor,
    budget: Tensor,
    paced: bool = False,
) -> Endings:
    """``iterate.run`` for every problem, each with its own budget of iterations.

    Where ``paced`` a problem ends by ITERATION_LIMIT before its budget is spent where its pace is too slow for it.
    """
    thrifty = method == SPLITTING and batch.B[0].numel() >= MANY_ENTRIES
    far = torch.full((len(batch),), torch.inf, dtype=torch.float64, device=start.device)
    residual = far if thrifty else steps.exact_norms(batch, start)
    limit = torch.full_like(budget, CODE[Status.ITERATION_LIMIT])
    good = residual <= tolerance
    ends = Endings(
        point=start.clone(),
        status=torch.where(good, CODE[Status.CONVERGED], limit),
        iterations=torch.where(good, 0, budget),
        residual=residual.clone(),
    )
    whole = torch.zeros_like(budget)
    progress = Progress(
        torch.arange(len(batch), device=start.device), tolerance, budget, start, residual, far, whole, far
    )
    left = (~good).nonzero().squeeze(1)
    progress, look = progress.rows(left), FIRST_LOOK
    if left.numel() > 0:
        stepper = Stepper(batch.rows(left), start[left], method, step_rule)
    count = 0
    while progress.place.numel() > 0:
        count += 1
        Z, residual, level, usable = stepper.step()
        better = usable & ((residual < progress.residual) | progress.residual.isinf())
        point = torch.where(_along(better, Z), Z, progress.point)
        progress = progress._replace(point=point, residual=torch.where(better, residual, progress.residual))
        under = residual <= level
        halved = under & (residual <= progress.lowest / 2)
        progress = progress._replace(
            lowest=torch.where(halved, residual, progress.lowest),
            since=torch.where(halved, 0, progress.since + under.long()),
        )
        ended = torch.full_like(progress.place, RUNNING)
        ended[count >= progress.budget] = CODE[Status.ITERATION_LIMIT]
        if paced and count == look // 2:
            progress = progress._replace(halfway=progress.residual)
        if paced and count == look:
            hopeless = _hopeless(progress, torch.maximum(progress.goal, level / REACH), count)
            ended[hopeless] = CODE[Status.ITERATION_LIMIT]
            progress, look = progress._replace(halfway=progress.residual), 2 * look
        out_of_reach = progress.goal <= level / REACH
        at_rest = under & level.isfinite() & ((progress.since >= PATIENCE) | out_of_reach)
        if bool(at_rest.any()):
            at_rest &= progress.residual <= stepper.floors(progress.point)
        ended[at_rest] = CODE[Status.PRECISION_LIMIT]
        ended[residual <= progress.goal] = CODE[Status.CONVERGED]
        ended[~usable] = CODE[Status.NON_FINITE]
        over = ended != RUNNING
        if not bool(over.any()):
            continue
        done = progress.place[over]
        ends.point[done], ends.residual[done] = progress.point[over], progress.residual[over]
        ends.status[done], ends.iterations[done] = ended[over], count
        keep = (~over).nonzero().squeeze(1)
        progress = progress.rows(keep)
        if keep.numel() > 0:
            stepper.keep(keep)
    return _with_exact(batch, ends, tolerance) if method == SPLITTING else ends


def _hopeless(progress: Progress, target: Tensor, count: int) -> Tensor:
    """``Pace.hopeless`` of every problem."""
    known = progress.halfway.isfinite() & (progress.residual > target)
    smallest = torch.where(known, progress.residual, 1.0).log()
    gained = torch.where(known, progress.halfway.log() - smallest, 0.0)
    missing = smallest - target.clamp_min(math.ulp(0.0)).log()
    share = progress.budget / count
    return known & (gained / (count - count // 2) * (progress.budget - count) * share < missing)


def _with_exact(batch: SubproblemBatch, ends: Endings, tolerance: Tensor) -> Endings:
    """Where certificates were not small enough in the end, the exact subgradient has the last word."""
    unmet = (ends.residual > tolerance) & (ends.status != CODE[Status.NON_FINITE])
    rows = unmet.nonzero().squeeze(1)
    if rows.numel() == 0:
        return ends
    if not offers(batch.regularizer, "subgradient_residual"):
        return ends
    left, point = batch.rows(rows), ends.point[rows]
    level = steps.rounding_floors(left, point, steps.magnifications(left))
    ends.residual[rows] = steps.best_of(ends.residual[rows], steps.exact_norms(left, point), level)
    ends.status[rows[ends.residual[rows] <= tolerance[rows]]] = CODE[Status.CONVERGED]
    return ends


def _along(mask: Tensor, like: Tensor) -> Tensor:
    """A mask of problems, in the shape that broadcasts along their points."""
    return mask.reshape(-1, *(1,) * (like.ndim - 1))
