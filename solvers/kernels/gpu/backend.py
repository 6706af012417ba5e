"""The Triton backend: steps on the GPU, many tensors a launch, without waiting for the device."""

import os
from collections import OrderedDict
from collections.abc import Sequence
from functools import cache, cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from solvers.kernels.contract import Counts, OptionalTensors, Scalars, StepTask, unlike
from solvers.kernels.gpu.spec import RECURRENCES

if TYPE_CHECKING:
    from solvers.kernels.gpu.plan import Plan

Key = tuple[object, ...]
#: The first that reads attributes of what a kernel is compiled for (comes with torch 2.8), and what it compiles for.
LEAST_TRITON = (3, 4)
LEAST_CAPABILITY = (8, 0)
#: Numbers a lane that a program posts: two boards of ``groups.QUANTITIES``.
BOARD = 2 * 6
#: Plans that are kept: more than a training run alternates between.
PLANS = 64
#: Programs that may wait for each other, where the GPU has as many processors. Two or three fit on a processor, so some
#: optimizers may step at a time, on different streams, and their kernels do not keep each other out for ever.
MOST_PARTS = 64


class Triton:
    """Steps on CUDA devices. Under ``TRITON_INTERPRET=1`` Triton's interpreter takes tensors on the CPU, slowly."""

    name = "triton"
    device = "cuda"

    def __init__(self) -> None:
        self._plans: OrderedDict[Key, Plan] = OrderedDict()
        #: Graphs read the tables of their plan for as long as they live.
        self._captured: list[Plan] = []

    @cached_property
    def _interpreted(self) -> bool:
        return os.environ.get("TRITON_INTERPRET", "0") == "1"

    @cached_property
    def _missing(self) -> str | None:
        if find_spec("triton") is None:
            return "triton is not installed"
        if not (self._interpreted or torch.cuda.is_available()):
            return "there is no CUDA device"
        import triton

        version = tuple(int(number) for number in triton.__version__.split(".")[:2])
        if version < LEAST_TRITON:
            return f"triton {triton.__version__} is too old"
        # Triton's own functions became kernels, or the interpreter's, when they were first imported.
        if self._interpreted == isinstance(triton.language.sum, triton.JITFunction):
            return "triton was imported before TRITON_INTERPRET was set"
        return None

    def unavailable_reason(self) -> str | None:
        return self._missing

    def refusal_reason(self, task: StepTask) -> str | None:
        point = task.point
        if point.device.type != ("cpu" if self._interpreted else "cuda"):
            return f"tensors on {point.device}"
        if point.is_cuda and _capability(point.device) < LEAST_CAPABILITY:
            return f"a GPU older than compute capability {LEAST_CAPABILITY[0]}.{LEAST_CAPABILITY[1]}"
        if point.dtype not in (torch.float32, torch.float64, torch.bfloat16, torch.float16):
            return f"parameters of {point.dtype}"
        if task.recurrence.name not in RECURRENCES:
            return f"the recurrence {task.recurrence.name}"
        return unlike(point, task.state)

    def prepare(self, tasks: Sequence[StepTask]) -> "TritonSteps":
        return TritonSteps(self, tasks)

    def plan(
        self,
        tasks: Sequence[StepTask],
        key: Key,
        gradients: OptionalTensors,
        structured: OptionalTensors,
        *,
        capturing: bool,
    ) -> "Plan":
        """The plan for such tasks with tensors such as these beside them, made when it is first asked for."""
        from solvers.kernels.gpu.plan import make_plan

        plan = self._plans.get(key)
        if plan is None:
            if capturing:
                raise RuntimeError(
                    "take a step of these tensors before capturing one: kernels and tables are made then"
                )
            device = tasks[0].point.device
            plan = self._plans[key] = make_plan(
                tasks, gradients, structured, self._most_parts(device), lambda table: _upload(table, device)
            )
            if len(self._plans) > PLANS:
                self._plans.popitem(last=False)
        self._plans.move_to_end(key)
        if capturing and not any(plan is other for other in self._captured):
            self._captured.append(plan)
        return plan

    def _most_parts(self, device: torch.device) -> int:
        """Programs that are surely on the device together; the interpreter runs one after the other."""
        if device.type == "cpu":
            return 1
        return min(MOST_PARTS, torch.cuda.get_device_properties(device).multi_processor_count)


class TritonSteps:
    """Tasks with the plan by which they were last done."""

    def __init__(self, backend: Triton, tasks: Sequence[StepTask]) -> None:
        self._backend, self._tasks, self._device = backend, tasks, tasks[0].point.device
        self._key = tuple(_key(task) for task in tasks)
        self._last: tuple[tuple[int, ...], Plan] | None = None

    def run(self, scalars: Scalars, gradients: OptionalTensors, structured: OptionalTensors) -> Counts:
        if not isinstance(scalars, Tensor):
            scalars = torch.tensor(scalars, dtype=torch.float64)
        if self._device.type == "cpu":
            return self._run(scalars, gradients, structured, capturing=False)
        with torch.cuda.device(self._device):
            capturing = torch.cuda.is_current_stream_capturing()
            return self._run(scalars, gradients, structured, capturing=capturing)

    def _run(
        self, scalars: Tensor, gradients: OptionalTensors, structured: OptionalTensors, *, capturing: bool
    ) -> Counts:
        device = self._device
        if scalars.device != device:
            if capturing:
                raise RuntimeError("the numbers of this step would be captured as they are: use capturable=True")
            scalars = _upload(scalars, device)
        assert scalars.dtype == torch.float64
        assert scalars.is_contiguous()
        addresses = tuple(
            0 if tensor is None else tensor.data_ptr()
            for pair in zip(gradients, structured, strict=True)
            for tensor in pair
        )
        if self._last is None or self._last[0] != addresses or capturing:
            key = (device, self._key, tuple(address % 16 if address else None for address in addresses))
            plan = self._backend.plan(self._tasks, key, gradients, structured, capturing=capturing)
            self._last = addresses, plan
        plan = self._last[1]
        moving = _moving(plan, addresses, device, capturing=capturing)
        # Groups kept and groups that are zero of every task, a ticket counter of every launch, arrivals at each of its
        # programs.
        split = [launch for launch in plan.launches if launch.tile.split]
        tickets = 2 * len(self._tasks)
        arrivals = tickets + len(split)
        counters = torch.zeros(arrivals + sum(launch.programs for launch in split), dtype=torch.int64, device=device)
        for launch in plan.launches:
            board = counters
            if launch.tile.split:
                board = torch.empty(launch.programs * BOARD * launch.tile.lanes, dtype=torch.float64, device=device)
            launch.kernel[(launch.programs,)](
                launch.units,
                plan.fixed,
                moving,
                plan.shapes,
                plan.weights,
                scalars,
                counters,
                board,
                tickets,
                arrivals,
                launch.spec,
                launch.tile,
                **launch.options,
            )
            if launch.tile.split:
                tickets += 1
                arrivals += launch.programs
        return Counts(*counters[: 2 * len(self._tasks)].view(-1, 2).unbind(1))


@cache
def _capability(device: torch.device) -> tuple[int, int]:
    return torch.cuda.get_device_capability(device)


def _key(task: StepTask) -> Key:
    """All that a plan depends on but for the tensors beside."""
    return (
        task.recurrence.name,
        task.point.dtype,
        task.point.data_ptr(),
        *(tensor.data_ptr() for tensor in task.state),
        task.norms,
        task.flush,
        task.averages,
    )


def _moving(plan: "Plan", addresses: tuple[int, ...], device: torch.device, *, capturing: bool) -> Tensor:
    """The addresses of gradients and of Ŵ on the device, int64 of shape (tasks, 2); taken there if they are new."""
    if capturing:
        # Kernel arguments stay in the graph; memory of the host would have to. And each graph has its own table.
        table = torch.zeros(len(addresses), dtype=torch.int64, device=device)
        known = [(cell, address) for cell, address in zip(table.unbind(), addresses, strict=True) if address]
        if known:
            cells, numbers = zip(*known, strict=True)
            torch._foreach_add_(cells, numbers)
        return table
    if plan.moving is None or plan.addresses != addresses:
        plan.addresses = addresses
        plan.moving = _upload(torch.tensor(addresses, dtype=torch.int64), device)
    return plan.moving


def _upload(table: Tensor, device: torch.device) -> Tensor:
    """``table`` on the device, which is not waited for."""
    return table if device.type == "cpu" else table.pin_memory().to(device, non_blocking=True)
