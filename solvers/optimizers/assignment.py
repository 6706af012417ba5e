"""Steps by compiled kernels: which parameters they can take, and with which numbers.

What a kernel needs to know of a parameter is found out once and kept as long as the tensors stay where they are, so
that a step costs a few microseconds of Python a parameter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import is_
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from solvers.kernels import Backend, Prepared, Recurrence, StepTask, choose, group_norms, warn_once
from solvers.optimizers.saving import COUNTERS
from solvers.optimizers.slot import Item
from solvers.regularizers.base import accumulation_dtype, is_constant, offers

if TYPE_CHECKING:
    from solvers.optimizers.base import Group, StructuredOptimizer


@dataclass(eq=False)
class Terms:
    """What the parameters of a group have in common."""

    group: "Group"
    regularizer: Any
    recurrence: Recurrence | None
    method: str
    backend: str

    @staticmethod
    def of(optimizer: "StructuredOptimizer", group: "Group") -> "Terms":
        return Terms(group, group["regularizer"], optimizer.recurrence_of(group), optimizer.method, optimizer.backend)

    def same_as(self, other: "Terms") -> bool:
        """Whether what was found out on these terms holds on the others."""
        objects = self.group is other.group and self.regularizer is other.regularizer
        names = (self.recurrence, self.method, self.backend) == (other.recurrence, other.method, other.backend)
        return objects and names and is_constant(self.regularizer)


class Assignment:
    """A task, the backend that does it, and what makes both valid."""

    def __init__(self, terms: Terms, task: StepTask, backend: Backend) -> None:
        self.terms, self.task, self.backend = terms, task, backend
        point = task.point
        self._names = task.recurrence.state
        self._addresses = [point.data_ptr(), *[tensor.data_ptr() for tensor in task.state]]
        self._layout = (point.dtype, point.shape, point.stride())
        self._gradient = (point.dtype, point.stride())

    def holds(self, terms: Terms, item: Item) -> bool:
        _, param, _, state = item
        gradient, mine = param.grad, [state.get(name) for name in self._names]
        # Tensors may be replaced, and their memory: Module.to does the one, code that offloads a state the other.
        return (
            self.terms is terms
            and all(map(is_, mine, self.task.state))
            and [param.data_ptr(), *[tensor.data_ptr() for tensor in self.task.state]] == self._addresses
            and (param.dtype, param.shape, param.stride()) == self._layout
            and (gradient is None or (gradient.dtype, gradient.stride()) == self._gradient)
        )


class Batch(NamedTuple):
    """Parameters of one group that one backend steps together."""

    items: list[Item]
    tasks: list[StepTask]
    backend: Backend
    prepared: Prepared


class Assignments:
    """Which kernel steps which parameter of an optimizer."""

    def __init__(self) -> None:
        self._terms: dict[int, Terms] = {}
        self._known: dict[Tensor, Assignment] = {}
        self._last: tuple[list[Assignment | None], list[tuple[list[int], Batch]]] = ([], [])

    def assign(self, optimizer: "StructuredOptimizer", items: Sequence[Item]) -> tuple[list[Batch], list[Item]]:
        """The items that kernels can take, and the rest."""
        groups = {id(item.group): item.group for item in items}
        terms = {key: self._terms_of(optimizer, group) for key, group in groups.items()}
        self._terms = terms
        found = [self._assignment(item, terms[id(item.group)]) for item in items]
        rest = [item for item, assignment in zip(items, found, strict=True) if assignment is None]
        if found != self._last[0]:
            self._last = found, self._prepare(items, found)
        return [batch._replace(items=[items[i] for i in places]) for places, batch in self._last[1]], rest

    def _terms_of(self, optimizer: "StructuredOptimizer", group: "Group") -> Terms:
        known, terms = self._terms.get(id(group)), Terms.of(optimizer, group)
        return known if known is not None and known.same_as(terms) else terms

    def _assignment(self, item: Item, terms: Terms) -> Assignment | None:
        known = self._known.get(item.param)
        if known is not None and known.holds(terms, item):
            return known
        self._known.pop(item.param, None)
        task = _task(item, terms)
        backend = None if task is None else choose(task, item.param.grad, terms.backend)
        if task is None or backend is None:
            return None
        made = self._known[item.param] = Assignment(terms, task, backend)
        return made

    def _prepare(self, items: Sequence[Item], found: list[Assignment | None]) -> list[tuple[list[int], Batch]]:
        members: dict[tuple[str, torch.device, int], list[int]] = {}
        for place, (item, assignment) in enumerate(zip(items, found, strict=True)):
            if assignment is not None:
                key = (assignment.backend.name, item.param.device, id(item.group))
                members.setdefault(key, []).append(place)
        batches = []
        for places in members.values():
            chosen = [assignment for place in places if (assignment := found[place]) is not None]
            tasks, backend = [assignment.task for assignment in chosen], chosen[0].backend
            batches.append((places, Batch([], tasks, backend, backend.prepare(tasks))))
        return batches


def _task(item: Item, terms: Terms) -> StepTask | None:
    recurrence, regularizer = terms.recurrence, terms.regularizer
    if recurrence is None or terms.method not in ("auto", "metric_prox"):
        return None
    point = item.param
    norms = group_norms(regularizer, point.detach())
    if norms is None:
        if offers(regularizer, "group_norms") and terms.backend != "plain":
            warn_once("no kernel takes a parameter whose memory has gaps; plain torch takes the step")
        return None
    state = tuple(item.state[name] for name in recurrence.state)
    return StepTask(recurrence, point, state, norms, flush=torch.finfo(point.dtype).tiny)


def take_step(
    optimizer: "StructuredOptimizer", batch: Batch, *, keep_structured: bool
) -> tuple[Tensor, list[Tensor | None]]:
    """Count the step, take the gradients in and move the parameters.

    Returns the number of groups of each parameter that the kernel left as they were, and Ŵ where it is to be kept.
    """
    optimizer.advance([item.state for item in batch.items], batch.items[0].group)
    gradients = [item.param.grad for item in batch.items]
    structured = [_like_sums(task.point) if keep_structured else None for task in batch.tasks]
    return batch.prepared.run(_scalars(optimizer, batch.items), gradients, structured).kept, structured


def find_structured(optimizer: "StructuredOptimizer", batch: Batch) -> list[Tensor]:
    """Ŵ of every parameter, recomputed from the state; nothing else is touched."""
    tasks = [StepTask(task.recurrence, task.point, task.state, task.norms, 0.0, averages=False) for task in batch.tasks]
    found = [_like_sums(task.point) for task in tasks]
    batch.backend.prepare(tasks).run(_scalars(optimizer, batch.items), [None] * len(tasks), found)
    return found


def _like_sums(point: Tensor) -> Tensor:
    return torch.empty_like(point, dtype=accumulation_dtype(point))


def _scalars(optimizer: "StructuredOptimizer", items: Sequence[Item]) -> Tensor:
    """(lam, mix, k0, k1, ...) of every item as rows of a float64 tensor where the counters are, which are not waited
    for.
    """
    group, states = items[0].group, [item.state for item in items]
    counters = {key: torch.stack([state[key] for state in states]).double() for key in COUNTERS if key in states[0]}
    step = counters["step"]
    numbers = (optimizer.psi_weight(counters, group), optimizer.averaging(group), *optimizer.coefficients(step, group))
    columns = [number if isinstance(number, Tensor) else torch.full_like(step, number) for number in numbers]
    return torch.stack(columns, dim=1)
