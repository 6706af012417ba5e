"""States at the ends of what a run can reach, made from the state of a real one."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from experiments.bench.plan import Plan
from experiments.bench.training.player import Rival, started
from experiments.bench.training.snapshot import Snapshot
from experiments.bench.training.workloads import Workload
from experiments.bench.workload import group_axis, grouped

#: Sums and averages of gradients, by the names of all methods.
FIRST = ("grad_sum", "exp_avg", "momentum_buffer")
#: Small enough for every group to vanish, and not a denormal number.
SMALL = 1e-8
DENORMAL = 1e-40
LATE_STEP = 100_000


def _scale(tensors: list[Tensor | None], factor: Tensor | float) -> None:
    for tensor in tensors:
        if tensor is not None:
            tensor.mul_(factor)


def _all_zero(param: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    """Nothing pulls any group away from zero, where all are."""
    _one_nonzero(param, state, group, kept=0)


def _one_nonzero(param: Tensor, state: dict[str, Any], group: dict[str, Any], kept: int = 1) -> None:
    """One group a tensor is as it was."""
    if not grouped(group["regularizer"]):
        return
    mask = torch.zeros_like(param)
    if kept:
        axis = group_axis(group["regularizer"])
        largest = param.abs().movedim(axis, 0).flatten(1).sum(1).argmax()
        mask.select(axis, int(largest)).fill_(1.0)
    _scale([param, state.get("initial_point")], mask)
    _scale([param.grad, *[state.get(key) for key in FIRST]], mask + SMALL * (1 - mask))


def _origin(param: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    """W0 = 0, as in the paper's own runs."""
    _scale([state.get("initial_point")], 0.0)


def _denormal(param: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    """All weights, and W0, so small that float32 has only denormal numbers for them."""
    for tensor in (param, state.get("initial_point")):
        if tensor is not None:
            tensor.sign_().mul_(DENORMAL)


def _late(param: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    """After 100,000 steps: sums, and with them the weight of psi, are large."""
    state["step"].fill_(LATE_STEP)
    if "weight_sum" in state:
        # sum of lr * sqrt(t) over t = 1, ..., T is 2/3 lr T^(3/2) to leading order.
        late = 2 / 3 * group["lr"] * LATE_STEP**1.5
        _scale([state["grad_sum"], state.get("grad_sq_sum")], late / float(state["weight_sum"]))
        state["weight_sum"].fill_(late)


END_STATES: dict[str, Callable[[Tensor, dict[str, Any], dict[str, Any]], None]] = {
    "all groups zero": _all_zero,
    "one group nonzero": _one_nonzero,
    "W0 = 0": _origin,
    "W denormal": _denormal,
    "after 1e5 steps": _late,
}


class EndedRun:
    """A run that has made all its steps and has the gradients of one more, and AdamW beside it."""

    def __init__(self, workload: Workload, method: str, plan: Plan) -> None:
        steps = workload.quick_steps
        self.run = started(workload, method, workload.milestones(steps), plan.seed)
        self.rival = Rival(self.run)
        for _ in range(steps):
            self._compute_gradients()
            self.run.step()
            self.rival.optimizer.step()
        self._compute_gradients()
        self._kept = Snapshot(self.run.optimizer)
        self._gradients = [(param.grad, param.grad.clone()) for param in self.rival.mine if param.grad is not None]

    def _compute_gradients(self) -> None:
        self.run.compute_gradients()
        self.rival.take_gradients()

    @torch.no_grad()
    def put(self, name: str) -> None:
        """Change parameters, gradients and state from those of the run's end into one of END_STATES."""
        self._kept.restore()
        for gradient, recorded in self._gradients:
            gradient.copy_(recorded)
        for group in self.run.optimizer.param_groups:
            for param in group["params"]:
                END_STATES[name](param, self.run.optimizer.state[param], group)
