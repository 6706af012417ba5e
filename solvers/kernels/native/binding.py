"""The CPU backend: a small C++ library, built with the package where there is a compiler, called by ctypes.

It is compiled once per instruction set; the best one that the machine has is loaded. All tasks of a call are cut into
units that ``torch.get_num_threads()`` threads take in turn; a group is solved by one thread, in an order of sums that
does not depend on how many there are, so that results do not either.
"""

import ctypes
from array import array
from collections.abc import Sequence
from functools import cached_property
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from solvers.kernels.contract import OptionalTensors, StepTask, unlike

RECURRENCES = {"ramda": 0, "rmda": 1, "proxsgd": 2, "proxgen": 3, "proxgen_amsgrad": 4, "subproblem": 5}
#: dtype of the point, and its number in the library; the state is in the second.
DTYPES = {
    torch.float32: (0, torch.float32),
    torch.float64: (1, torch.float64),
    torch.bfloat16: (2, torch.float32),
}
#: What torch calls the machine's instruction set, and the builds that run there, best first.
BUILDS = {"AVX512": ("avx512", "avx2", "baseline"), "AVX2": ("avx2", "baseline")}
#: Where the fields of the library's ``Task`` begin, and its length, in words of 64 bits, see cpp/tensors.h.
POINT, STRUCTURED, GRADIENT, STATE, SHAPE = 0, 1, 2, 3, 6
KEPT, WEIGHT, FLUSH, SCALARS, AVERAGES = 9, 10, 11, 12, 21
WORDS = 22


class Native:
    """Steps on the CPU by compiled loops."""

    name = "native"
    device = "cpu"

    def __init__(self, builds: tuple[str, ...] | None = None) -> None:
        """``builds``: the names of the builds to choose from, best first; None means those that run here."""
        self.builds = BUILDS.get(torch.backends.cpu.get_cpu_capability(), ("baseline",)) if builds is None else builds

    @cached_property
    def _library(self) -> ctypes.CDLL | None:
        for build in self.builds:
            for suffix in EXTENSION_SUFFIXES:
                path = Path(__file__).parent / f"_step_{build}{suffix}"
                if path.is_file():
                    library = ctypes.CDLL(str(path))
                    library.ramda_verify_task_size.restype = ctypes.c_int64
                    pointer, number = ctypes.c_void_p, ctypes.c_int
                    library.ramda_verify_step.argtypes = (
                        *(pointer, ctypes.c_int64, number, number, number),
                        *(pointer, pointer),
                    )
                    if library.ramda_verify_task_size() == 8 * WORDS:
                        return library
        return None

    @cached_property
    def _team(self) -> tuple[ctypes.c_void_p | None, ctypes.c_void_p | None]:
        """The functions of the OpenMP runtime that torch has loaded by which torch's threads are given work."""
        try:
            loaded = ctypes.CDLL(None)
            found = (loaded.GOMP_parallel, loaded.omp_get_thread_num)
        except (AttributeError, OSError, TypeError):  # another runtime, or a system without a global name space
            return None, None
        return ctypes.cast(found[0], ctypes.c_void_p), ctypes.cast(found[1], ctypes.c_void_p)

    def unavailable_reason(self) -> str | None:
        if self._library is None:
            return "it was not built when the package was installed (is there a C++ compiler?)"
        return None

    def refusal_reason(self, task: StepTask) -> str | None:
        point = task.point
        if point.device.type != "cpu":
            return f"tensors on {point.device}"
        if point.dtype not in DTYPES:
            return f"parameters of {point.dtype}"
        if task.recurrence.name not in RECURRENCES:
            return f"the recurrence {task.recurrence.name}"
        sums = DTYPES[point.dtype][1]
        for tensor in task.state:
            if tensor.dtype != sums:
                return f"a state of {tensor.dtype} beside parameters of {point.dtype}"
        return unlike(point, task.state)

    def prepare(self, tasks: Sequence[StepTask]) -> "NativeSteps":
        assert self._library is not None
        return NativeSteps(self._library, self._team, tasks)


class NativeSteps:
    """Tables of tasks for the library, one for each dtype of the points."""

    def __init__(self, library: ctypes.CDLL, team: tuple[Any, Any], tasks: Sequence[StepTask]) -> None:
        self._library, self._team = library, team
        self._recurrence = RECURRENCES[tasks[0].recurrence.name]
        self._tasks = tasks  # which keep alive what the addresses in the tables point to
        places: dict[torch.dtype, list[int]] = {}
        for place, task in enumerate(tasks):
            places.setdefault(task.point.dtype, []).append(place)
        self._tables = [_Table([tasks[i] for i in mine], mine, DTYPES[dtype][0]) for dtype, mine in places.items()]

    def run(self, scalars: Tensor, gradients: OptionalTensors, structured: OptionalTensors) -> Tensor:
        rows, kept = scalars.tolist(), [0] * len(self._tasks)
        for table in self._tables:
            table.set(rows, gradients, structured)
            failed = self._library.ramda_verify_step(
                table.address, len(table.places), self._recurrence, table.dtype, torch.get_num_threads(), *self._team
            )
            assert failed == 0
            for place, count in zip(table.places, table.words[KEPT::WORDS], strict=True):
                kept[place] = count
        return torch.tensor(kept, dtype=torch.int64)


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
            for i, size in enumerate(task.norms[1:]):
                self.words[first + SHAPE + i] = size
            self.numbers[first + WEIGHT], self.numbers[first + FLUSH] = task.norms.weight, task.flush
            self.words[first + AVERAGES] = task.averages

    def set(self, rows: list[list[float]], gradients: OptionalTensors, structured: OptionalTensors) -> None:
        """Enter what changes from step to step."""
        self.words[GRADIENT::WORDS] = self._addresses(gradients)
        self.words[STRUCTURED::WORDS] = self._addresses(structured)
        self.words[KEPT::WORDS] = array("q", bytes(8 * len(self.places)))
        for i, column in enumerate(zip(*(rows[place] for place in self.places), strict=True), start=SCALARS):
            self.numbers[i::WORDS] = array("d", column)

    def _addresses(self, tensors: OptionalTensors) -> "array[int]":
        return array("q", [0 if (t := tensors[place]) is None else t.data_ptr() for place in self.places])
