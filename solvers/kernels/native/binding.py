"""The CPU backend: a small C++ library, built with the package where there is a compiler, called by ctypes.

It is compiled once per instruction set; the best one that the machine has is loaded. All tasks of a call are cut into
units that ``torch.get_num_threads()`` threads take in turn; a group is solved by one thread, in an order of sums that
does not depend on how many there are, so that results do not either.
"""

import ctypes
from array import array
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from solvers.kernels.contract import Counts, OptionalTensors, Scalars, StepTask, unlike
from solvers.kernels.native.library import Settings, Task, Team, load, machine_builds, recurrences, torch_team
from solvers.regularizers import norm_equation

#: dtype of the point, and its number in the library; the state is in the second.
DTYPES = {
    torch.float32: (0, torch.float32),
    torch.float64: (1, torch.float64),
    torch.bfloat16: (2, torch.float32),
}


def _word(name: str) -> int:
    """Where a field of ``Task`` begins, in words of 64 bits, of which all fields are made."""
    offset: int = getattr(Task, name).offset
    return offset // 8


POINT, STRUCTURED, GRADIENT, STATE, SHAPE = map(_word, ("point", "structured", "gradient", "state", "outer"))
KEPT, ZERO, SCALARS, AVERAGES = map(_word, ("kept", "zero", "scalars", "averages"))
WEIGHT, ENTRY_WEIGHT, FLUSH = map(_word, ("weight", "entry_weight", "flush"))
WORDS = ctypes.sizeof(Task) // 8


class Native:
    """Steps on the CPU by compiled loops.

    ``builds``: the names of the builds to choose from, best first; None means those that run here.
    ``scratch_entries``: how many entries of B and of D a thread may hold at a time; 0 means as the tensors suggest.
    """

    name = "native"
    device = "cpu"

    def __init__(self, builds: tuple[str, ...] | None = None, scratch_entries: int = 0) -> None:
        self.builds = machine_builds() if builds is None else builds
        self.scratch_entries = scratch_entries

    @cached_property
    def library(self) -> ctypes.CDLL | None:
        return load(self.builds)

    @cached_property
    def recurrences(self) -> dict[str, int]:
        """The numbers of the recurrences that the library knows, by their names."""
        return {} if self.library is None else recurrences(self.library)

    @cached_property
    def team(self) -> Team:
        return torch_team()

    def unavailable_reason(self) -> str | None:
        if self.library is None:
            return "it was not built when the package was installed (is there a C++ compiler?)"
        return None

    def refusal_reason(self, task: StepTask) -> str | None:
        point = task.point
        if point.device.type != "cpu":
            return f"tensors on {point.device}"
        if point.dtype not in DTYPES:
            return f"parameters of {point.dtype}"
        if task.recurrence.name not in self.recurrences:
            return f"the recurrence {task.recurrence.name}"
        sums = DTYPES[point.dtype][1]
        for tensor in task.state:
            if tensor.dtype != sums:
                return f"a state of {tensor.dtype} beside parameters of {point.dtype}"
        return unlike(point, task.state)

    def prepare(self, tasks: Sequence[StepTask]) -> "NativeSteps":
        assert self.library is not None
        settings = Settings(
            norm_equation.MAX_ITERATIONS,
            norm_equation.TIGHT,
            norm_equation.LOOSE,
            norm_equation.MARGIN,
            norm_equation.LEAST_PRICE,
            self.scratch_entries,
        )
        number = self.recurrences[tasks[0].recurrence.name]
        return NativeSteps(self.library, self.team, settings, number, tasks)


class NativeSteps:
    """Tables of tasks for the library, one for each dtype of the points."""

    def __init__(
        self, library: ctypes.CDLL, team: Team, settings: Settings, recurrence: int, tasks: Sequence[StepTask]
    ) -> None:
        self._library, self._team, self._settings, self._recurrence = library, team, settings, recurrence
        self._tasks = tasks  # which keep alive what the addresses in the tables point to
        places: dict[torch.dtype, list[int]] = {}
        for place, task in enumerate(tasks):
            places.setdefault(task.point.dtype, []).append(place)
        self._tables = [_Table([tasks[i] for i in mine], mine, DTYPES[dtype][0]) for dtype, mine in places.items()]

    def run(self, scalars: Scalars, gradients: OptionalTensors, structured: OptionalTensors) -> Counts:
        rows = scalars.tolist() if isinstance(scalars, Tensor) else scalars
        kept, zero = [0] * len(self._tasks), [0] * len(self._tasks)
        settings, threads = ctypes.addressof(self._settings), torch.get_num_threads()
        for table in self._tables:
            table.set(rows, gradients, structured)
            failed = self._library.ramda_verify_step(
                table.address, len(table.places), self._recurrence, table.dtype, settings, threads, *self._team
            )
            assert failed == 0
            for place, first in zip(table.places, range(0, len(table.words), WORDS), strict=True):
                kept[place], zero[place] = table.words[first + KEPT], table.words[first + ZERO]
        return Counts(kept, zero)


class _Table:
    """Some tasks as an array of the library's ``Task``."""

    def __init__(self, tasks: Sequence[StepTask], places: list[int], dtype: int) -> None:
        self.places, self.dtype = places, dtype
        memory = (ctypes.c_int64 * (WORDS * len(tasks)))()
        self.address = ctypes.addressof(memory)
        self.words = memoryview(memory).cast("B").cast("q")
        self.numbers = memoryview(memory).cast("B").cast("d")
        for first, task in zip(range(0, len(memory), WORDS), tasks, strict=True):
            self.words[first + POINT] = task.point.data_ptr()
            for i, tensor in enumerate(task.state):
                self.words[first + STATE + i] = tensor.data_ptr()
            norms = task.norms
            for i, size in enumerate((norms.outer, norms.groups, norms.inner, norms.blocks)):
                self.words[first + SHAPE + i] = size
            self.numbers[first + WEIGHT], self.numbers[first + ENTRY_WEIGHT] = norms.weight, norms.entry_weight
            self.numbers[first + FLUSH] = task.flush
            self.words[first + AVERAGES] = task.averages

    def set(self, rows: Sequence[Sequence[float]], gradients: OptionalTensors, structured: OptionalTensors) -> None:
        """Enter what changes from step to step."""
        self.words[GRADIENT::WORDS] = self._addresses(gradients)
        self.words[STRUCTURED::WORDS] = self._addresses(structured)
        for i, column in enumerate(zip(*(rows[place] for place in self.places), strict=True), start=SCALARS):
            self.numbers[i::WORDS] = array("d", column)

    def _addresses(self, tensors: OptionalTensors) -> "array[int]":
        return array("q", [0 if (t := tensors[place]) is None else t.data_ptr() for place in self.places])
