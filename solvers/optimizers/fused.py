"""Steps by compiled kernels: which parameters they can take, and with which numbers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from solvers.kernels import Backend, StepTask, choose, group_norms, say_once
from solvers.optimizers.item import Item
from solvers.regularizers.base import accumulation_dtype, offers

if TYPE_CHECKING:
    from solvers.optimizers.base import StructuredOptimizer


class Batch(NamedTuple):
    """Parameters of one group that one backend steps together."""

    backend: Backend
    items: list[Item]
    tasks: list[StepTask]


def assign(optimizer: "StructuredOptimizer", items: Sequence[Item]) -> tuple[list[Batch], list[Item]]:
    """The items that kernels can take, and the rest."""
    batches: dict[tuple[str, torch.device, int], Batch] = {}
    rest: list[Item] = []
    for item in items:
        task = _task(optimizer, item)
        backend = None if task is None else choose(task, optimizer.backend)
        if task is None or backend is None:
            rest.append(item)
            continue
        batch = batches.setdefault((backend.name, item.param.device, id(item.group)), Batch(backend, [], []))
        batch.items.append(item)
        batch.tasks.append(task)
    return list(batches.values()), rest


def _task(optimizer: "StructuredOptimizer", item: Item) -> StepTask | None:
    recurrence = optimizer.recurrence_of(item.group)
    if recurrence is None or optimizer.method not in ("auto", "metric_prox"):
        return None
    point = item.param.detach()
    norms = group_norms(item.group["regularizer"], point)
    if norms is None:
        if offers(item.group["regularizer"], "group_norms") and optimizer.backend != "plain":
            say_once("no kernel takes a parameter whose memory has gaps; plain torch takes the step")
        return None
    state = tuple(item.state[name] for name in recurrence.state)
    return StepTask(recurrence, point, item.param.grad, state, norms, flush=torch.finfo(point.dtype).tiny)


def take_step(optimizer: "StructuredOptimizer", batch: Batch, *, keep_structured: bool) -> Tensor:
    """Count the step, take the gradients in and move the parameters; with ``keep_structured`` What stays in the tasks.

    Returns the number of groups of each parameter that the kernel left as they were.
    """
    for task in batch.tasks:
        if keep_structured:
            task.structured = _like_sums(task.point)
    return _run(optimizer, batch, counted=True)


def find_structured(optimizer: "StructuredOptimizer", batch: Batch) -> list[Tensor]:
    """What of every parameter, recomputed from the state; nothing else is touched."""
    found = [_like_sums(task.point) for task in batch.tasks]
    for task, structured in zip(batch.tasks, found, strict=True):
        task.gradient, task.averages, task.structured = None, False, structured
    _run(optimizer, batch, counted=False)
    return found


def _like_sums(point: Tensor) -> Tensor:
    return torch.empty_like(point, dtype=accumulation_dtype(point))


def _run(optimizer: "StructuredOptimizer", batch: Batch, *, counted: bool) -> Tensor:
    group = batch.items[0].group
    mix = optimizer.averaging(group)
    if optimizer.capturable:
        return batch.backend.run(batch.tasks, _device_scalars(optimizer, batch.items, mix, counted))
    for item, task in zip(batch.items, batch.tasks, strict=True):
        if counted:
            optimizer.advance(item.state, group)
        lam = float(optimizer.psi_weight(item.state, group))
        task.scalars = (lam, mix, *optimizer.coefficients(int(item.state["step"]), group))
    return batch.backend.run(batch.tasks)


def _device_scalars(optimizer: "StructuredOptimizer", items: list[Item], mix: float, counted: bool) -> Tensor:
    """The scalars of all items as rows of a float64 tensor on their device, nothing of it read by the host."""
    group, steps = items[0].group, [item.state["step"] for item in items]
    if counted:
        torch._foreach_add_(steps, 1.0)
    step = torch.stack(steps)
    state: dict[str, Any] = {"step": step}
    if "weight_sum" in items[0].state:
        sums = [item.state["weight_sum"] for item in items]
        if counted:
            weight = optimizer.step_weight(step, group)
            torch._foreach_add_(sums, list(weight.unbind()))
            units = [item.state["unit"] for item in items]
            torch._foreach_copy_(units, list(torch.where(step == 1, weight, torch.stack(units)).unbind()))
        state["weight_sum"] = torch.stack(sums)
    numbers = (optimizer.psi_weight(state, group), mix, *optimizer.coefficients(step, group))
    columns = [number if isinstance(number, Tensor) else torch.full_like(step, number) for number in numbers]
    return torch.stack(columns, dim=1)
