"""The CPU backend: a small C++ library, built with the package where there is a compiler, called by ctypes.

It is compiled once per instruction set; the best one that the machine has is loaded. All tasks of a call are cut into
units that ``torch.get_num_threads()`` threads take in turn; a group is solved by one thread, in an order of sums that
does not depend on how many there are, so that results do not either.
"""

import ctypes
from functools import cached_property
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import torch
from torch import Tensor

from solvers.kernels.task import StepTask, unlike

RECURRENCES = {"ramda": 0, "rmda": 1, "proxsgd": 2, "proxgen": 3, "proxgen_amsgrad": 4, "subproblem": 5}
#: dtype of the point, and its number in the library; the state is in the second.
DTYPES = {
    torch.float32: (0, torch.float32),
    torch.float64: (1, torch.float64),
    torch.bfloat16: (2, torch.float32),
}
#: What torch calls the machine's instruction set, and the builds that run there, best first.
BUILDS = {"AVX512": ("avx512", "avx2", "baseline"), "AVX2": ("avx2", "baseline")}


class _Task(ctypes.Structure):
    """The library's ``Task``, see solvers/kernels/cpp/walk.h."""

    _fields_ = (
        ("point", ctypes.c_void_p),
        ("structured", ctypes.c_void_p),
        ("gradient", ctypes.c_void_p),
        ("state", ctypes.c_void_p * 3),
        ("outer", ctypes.c_int64),
        ("groups", ctypes.c_int64),
        ("inner", ctypes.c_int64),
        ("kept", ctypes.c_int64),
        ("weight", ctypes.c_double),
        ("flush", ctypes.c_double),
        ("lam", ctypes.c_double),
        ("mix", ctypes.c_double),
        ("k", ctypes.c_double * 7),
        ("averages", ctypes.c_int32),
        ("unused", ctypes.c_int32),
    )


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
                    if library.ramda_verify_task_size() == ctypes.sizeof(_Task):
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

    def missing(self) -> str | None:
        if self._library is None:
            return "it was not built when the package was installed (is there a C++ compiler?)"
        return None

    def refusal(self, task: StepTask) -> str | None:
        point = task.point
        if point.device.type != "cpu":
            return f"tensors on {point.device}"
        if point.dtype not in DTYPES:
            return f"parameters of {point.dtype}"
        if task.recurrence.name not in RECURRENCES:
            return f"the recurrence {task.recurrence.name}"
        sums = DTYPES[point.dtype][1]
        for tensor in (*task.state, *(() if task.structured is None else (task.structured,))):
            if tensor.dtype != sums:
                return f"a state of {tensor.dtype} beside parameters of {point.dtype}"
        return unlike(task)

    def run(self, tasks: list[StepTask], scalars: Tensor | None = None) -> Tensor:
        assert self._library is not None
        assert scalars is None, "on the CPU a task brings its own scalars"
        kept = [0] * len(tasks)
        by_dtype: dict[torch.dtype, list[int]] = {}
        for index, task in enumerate(tasks):
            by_dtype.setdefault(task.point.dtype, []).append(index)
        recurrence, threads = RECURRENCES[tasks[0].recurrence.name], torch.get_num_threads()
        for dtype, mine in by_dtype.items():
            table = (_Task * len(mine))(*(_pack(tasks[index]) for index in mine))
            failed = self._library.ramda_verify_step(
                table, len(mine), recurrence, DTYPES[dtype][0], threads, *self._team
            )
            assert failed == 0
            for index, entry in zip(mine, table, strict=True):
                kept[index] = entry.kept
        return torch.tensor(kept, dtype=torch.int64)


def _pack(task: StepTask) -> _Task:
    lam, mix, *k = task.scalars
    norms = task.norms
    return _Task(
        task.point.data_ptr(),
        None if task.structured is None else task.structured.data_ptr(),
        None if task.gradient is None else task.gradient.data_ptr(),
        tuple(tensor.data_ptr() for tensor in task.state),
        norms.outer,
        norms.groups,
        norms.inner,
        0,
        norms.weight,
        task.flush,
        lam,
        mix,
        tuple(k),
        task.averages,
    )
