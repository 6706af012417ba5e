"""Which kernel steps which parameter, and with which numbers.

What a kernel needs of a parameter is found once and kept as long as the tensors stay where they are, so that a step
costs a few microseconds of Python a parameter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import is_
from typing import Any, NamedTuple

import torch
from torch import Tensor

from solvers.kernels import (
    Backend,
    Prepared,
    Recurrence,
    StepTask,
    choose,
    group_norms,
    no_group_norms_reason,
    plain_memory,
    warn_once,
)
from solvers.optimizers.method import Counters, Group, Method, warmed_up
from solvers.optimizers.slot import ParameterSlot
from solvers.regularizers.base import accumulation_dtype, is_constant, offers
from solvers.regularizers.members import Regularizer, Scalar

#: Inner methods whose solution a kernel gives.
DIRECT = ("auto", "metric_prox")


@dataclass(eq=False)
class KernelSettings:
    """The settings of a parameter group that decide which kernel can step it."""

    group: dict[str, Any]
    regularizer: Regularizer
    recurrence: Recurrence | None
    method: str
    backend: str

    def same_as(self, other: "KernelSettings") -> bool:
        """Whether a kernel that was chosen under these settings may be used under the others."""
        objects = self.group is other.group and self.regularizer is other.regularizer
        names = (self.recurrence, self.method, self.backend) == (other.recurrence, other.method, other.backend)
        return objects and names and is_constant(self.regularizer)


class Assignment:
    """A parameter with the backend that steps it, valid until its memory, its state or its settings change."""

    def __init__(self, settings: KernelSettings, task: StepTask, backend: Backend) -> None:
        self.settings, self.task, self.backend = settings, task, backend
        point = task.point
        self._names = task.recurrence.state
        self._addresses = [point.data_ptr(), *[tensor.data_ptr() for tensor in task.state]]
        self._layout = (point.dtype, point.shape, point.stride())
        self._gradient = (point.dtype, point.stride())

    def holds(self, settings: KernelSettings, slot: ParameterSlot) -> bool:
        param, state = slot.param, slot.state
        gradient, mine = param.grad, [state.get(name) for name in self._names]
        # Tensors may be replaced, and their memory: Module.to does the one, code that offloads a state the other.
        return (
            self.settings is settings
            and all(map(is_, mine, self.task.state))
            and [param.data_ptr(), *[tensor.data_ptr() for tensor in self.task.state]] == self._addresses
            and (param.dtype, param.shape, param.stride()) == self._layout
            and (
                gradient is None
                or ((gradient.dtype, gradient.stride()) == self._gradient and not plain_memory(gradient))
            )
        )


class KernelRun(NamedTuple):
    """Parameters that one backend steps in one call."""

    slots: list[ParameterSlot]
    tasks: list[StepTask]
    backend: Backend
    prepared: Prepared


class Assignments:
    """The kernels of the parameters of one optimizer."""

    def __init__(self) -> None:
        self._settings: dict[int, KernelSettings] = {}
        self._known: dict[Tensor, Assignment] = {}
        self._last: tuple[list[Assignment | None], list[tuple[list[int], KernelRun]]] = ([], [])

    def assign(
        self, method: Method, slots: Sequence[ParameterSlot], inner_method: str, backend: str, *, one_group: bool
    ) -> tuple[list[KernelRun], list[ParameterSlot]]:
        """The parameters that kernels can step, and the rest. ``one_group``: a run holds those of one group only."""
        groups = {id(slot.group): slot for slot in slots}
        settings = {}
        for key, slot in groups.items():
            recurrence = method.recurrence_of(slot.settings)
            new = KernelSettings(slot.group, slot.settings["regularizer"], recurrence, inner_method, backend)
            known = self._settings.get(key)
            settings[key] = known if known is not None and known.same_as(new) else new
        self._settings = settings
        found = [self._assignment(slot, settings[id(slot.group)]) for slot in slots]
        rest = [slot for slot, assignment in zip(slots, found, strict=True) if assignment is None]
        if found != self._last[0]:
            self._last = found, _prepare(slots, found, one_group=one_group)
        return [run._replace(slots=[slots[i] for i in places]) for places, run in self._last[1]], rest

    def _assignment(self, slot: ParameterSlot, settings: KernelSettings) -> Assignment | None:
        known = self._known.get(slot.param)
        if known is not None and known.holds(settings, slot):
            return known
        self._known.pop(slot.param, None)
        task = _task(slot, settings)
        backend = None if task is None else choose(task, slot.param.grad, settings.backend)
        if task is None or backend is None:
            return None
        made = self._known[slot.param] = Assignment(settings, task, backend)
        return made


def _prepare(
    slots: Sequence[ParameterSlot], found: list[Assignment | None], *, one_group: bool
) -> list[tuple[list[int], KernelRun]]:
    members: dict[tuple[object, ...], list[int]] = {}
    for place, (slot, assignment) in enumerate(zip(slots, found, strict=True)):
        if assignment is not None:
            recurrence = assignment.task.recurrence
            key = (assignment.backend.name, slot.param.device, recurrence, id(slot.group) if one_group else 0)
            members.setdefault(key, []).append(place)
    runs = []
    for places in members.values():
        chosen = [assignment for place in places if (assignment := found[place]) is not None]
        tasks, backend = [assignment.task for assignment in chosen], chosen[0].backend
        runs.append((places, KernelRun([], tasks, backend, backend.prepare(tasks))))
    return runs


def _task(slot: ParameterSlot, settings: KernelSettings) -> StepTask | None:
    recurrence, regularizer = settings.recurrence, settings.regularizer
    if recurrence is None or settings.method not in DIRECT:
        return None
    point = slot.param
    norms = group_norms(regularizer, point.detach())
    if norms is None:
        if offers(regularizer, "group_norms") and settings.backend != "plain":
            reason = no_group_norms_reason(regularizer, point.detach())
            warn_once(f"no kernel is used: {reason}; plain torch takes the step")
        return None
    state = tuple(slot.state[name] for name in recurrence.state)
    return StepTask(recurrence, point, state, norms, flush=torch.finfo(point.dtype).tiny)


def scalars(method: Method, slots: Sequence[ParameterSlot], counters: Sequence[Counters]) -> list[list[float]]:
    """(lam, mix, k0, k1, ...) of every parameter after the counters have counted."""
    made: dict[tuple[int, int], list[float]] = {}
    rows = []
    for slot, numbers in zip(slots, counters, strict=True):
        key = (id(slot.settings), id(numbers))
        if key not in made:
            made[key] = [float(number) for number in _row(method, numbers, slot.settings)]
        rows.append(made[key])
    return rows


def scalars_on_device(method: Method, settings: Group, counters: Counters) -> Tensor:
    """The same for the parameters of one group, from counters that stay on a device: one vector each."""
    step = torch.as_tensor(counters["step"])
    numbers = _row(method, counters, settings)
    return torch.stack(
        [
            number.double().expand_as(step) if isinstance(number, Tensor) else torch.full_like(step, number)
            for number in numbers
        ],
        dim=1,
    )


def _row(method: Method, counters: Counters, settings: Group) -> tuple[Scalar, ...]:
    lam = warmed_up(method.psi_weight(counters, settings), counters["step"], settings)
    return (lam, method.averaging(settings), *method.coefficients(counters, settings))


def like_sums(point: Tensor) -> Tensor:
    """An empty tensor of the dtype of the sums that lies in memory as ``point`` does."""
    return torch.empty_like(point, dtype=accumulation_dtype(point))
