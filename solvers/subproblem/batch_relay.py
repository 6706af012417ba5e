"""``relay.in_turn`` for a batch of problems: those whose method stalls go on with the next, the others are done."""

from collections.abc import Sequence

import torch
from torch import Tensor

from solvers.subproblem import batch_steps as steps
from solvers.subproblem.batch_problem import SubproblemBatch
from solvers.subproblem.batch_run import CODE, Endings, run
from solvers.subproblem.methods import SPLITTING
from solvers.subproblem.result import Leg, Status

#: The status of a problem on which no method has been run.
UNTRIED = -1


class _Relay:
    """The endings so far, the iterations spent and the legs of every problem."""

    def __init__(self, batch: SubproblemBatch, start: Tensor, step_rule: str, tolerance: Tensor, budget: int) -> None:
        self._batch, self._step_rule, self._tolerance = batch, step_rule, tolerance
        self.left = torch.full((len(batch),), budget, dtype=torch.int64, device=start.device)
        far = torch.full((len(batch),), torch.inf, dtype=torch.float64, device=start.device)
        self.ends = Endings(start.clone(), torch.full_like(self.left, UNTRIED), torch.zeros_like(self.left), far)
        self.legs: list[tuple[Leg, ...]] = [()] * len(batch)

    def run(self, rows: Tensor, method: str, paced: bool) -> tuple[Tensor, Tensor]:
        """Run a method on some problems; returns which of them it has left unfinished, and where it met no NaN."""
        batch, start, budget = self._batch.rows(rows), self.ends.point[rows], self.left[rows]
        if batch.prototype().convex and method != SPLITTING:
            start = batch.each(steps.screened, start)[0]
        found = run(batch, start, method, self._step_rule, self._tolerance[rows], budget, paced)
        limit, broken = CODE[Status.ITERATION_LIMIT], found.status == CODE[Status.NON_FINITE]
        before = self.ends.status[rows]
        ours = ~(self.ends.residual[rows] < found.residual)
        self.ends.point[rows[ours]] = found.point[ours]
        self.ends.residual[rows[ours]] = found.residual[ours]
        known = (before != UNTRIED) & (before != CODE[Status.NON_FINITE])
        self.ends.status[rows] = torch.where(broken & known, limit, found.status)
        self.ends.iterations[rows] += found.iterations
        self.left[rows] -= found.iterations
        for row, count in zip(rows.tolist(), found.iterations.tolist(), strict=True):
            self.legs[row] = (*self.legs[row], Leg(method, count))
        return (broken | (found.status == limit)) & (self.left[rows] > 0), ~broken


def in_turn(
    batch: SubproblemBatch,
    start: Tensor,
    methods: Sequence[str],
    step_rule: str,
    tolerance: Tensor,
    max_iterations: int,
) -> tuple[Endings, list[tuple[Leg, ...]]]:
    """The endings of all problems, and the legs of each."""
    relay = _Relay(batch, start, step_rule, tolerance, max_iterations)
    rows = torch.arange(len(batch), device=start.device)
    if len(methods) == 1:
        relay.run(rows, methods[0], paced=False)
        return relay.ends, relay.legs
    none = len(methods)
    sound = torch.full_like(rows, none)
    for place, method in enumerate(methods):
        if rows.numel() > 0:
            unfinished, held = relay.run(rows, method, paced=True)
            sound[rows] = torch.where(held & (sound[rows] == none), place, sound[rows])
            rows = rows[unfinished]
    for place, method in enumerate(methods):
        own = rows[sound[rows] == place]
        if own.numel() > 0:
            relay.run(own, method, paced=False)
    return relay.ends, relay.legs
