"""The compiled library: its structures, finding the build that runs here, and the threads that it works with."""

import ctypes
from collections.abc import Sequence
from importlib.machinery import EXTENSION_SUFFIXES
from itertools import count, takewhile
from pathlib import Path
from typing import NamedTuple

import torch

#: What torch calls the machine's instruction set, and the builds that run there, best first.
BUILDS = {"AVX512": ("avx512", "avx2", "baseline"), "AVX2": ("avx2", "baseline")}


class Task(ctypes.Structure):
    """The library's ``Task``, see cpp/tensors.h."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("point", "structured", "gradient")),
        ("state", ctypes.c_void_p * 3),
        *((name, ctypes.c_int64) for name in ("outer", "groups", "inner", "blocks", "kept", "zero")),
        *((name, ctypes.c_double) for name in ("weight", "entry_weight", "flush")),
        ("scalars", ctypes.c_double * 9),
        ("averages", ctypes.c_int64),
    )


class Settings(ctypes.Structure):
    """The library's ``Settings``, see cpp/tensors.h."""

    _fields_ = (
        ("max_iterations", ctypes.c_int64),
        *((name, ctypes.c_double) for name in ("tight", "loose", "margin", "least_price")),
        ("scratch_entries", ctypes.c_int64),
    )


class Numbers(ctypes.Structure):
    """The library's ``Numbers``, see cpp/finite.h."""

    _fields_ = (("first", ctypes.c_void_p), ("count", ctypes.c_int64), ("finite", ctypes.c_int64))


class Team(NamedTuple):
    """The functions of the OpenMP runtime by which torch's threads are given work; None where they are not found."""

    parallel: ctypes.c_void_p | None
    number: ctypes.c_void_p | None


def machine_builds() -> tuple[str, ...]:
    """The builds that run on this machine, best first."""
    return BUILDS.get(torch.backends.cpu.get_cpu_capability(), ("baseline",))


def load(builds: Sequence[str]) -> ctypes.CDLL | None:
    """The first of ``builds`` that is there; None where none is."""
    for build in builds:
        path = path_of(build)
        if path is not None:
            library = ctypes.CDLL(str(path))
            if _declare(library):
                return library
    return None


def path_of(build: str) -> Path | None:
    """The file of a build; None where it was not built."""
    paths = (Path(__file__).parent / f"_step_{build}{suffix}" for suffix in EXTENSION_SUFFIXES)
    return next((path for path in paths if path.is_file()), None)


def _declare(library: ctypes.CDLL) -> bool:
    """Tell ctypes the types of the library's functions; False where it was built from other sources than these."""
    if not hasattr(library, "ramda_verify_recurrence"):
        return False
    pointer, long, number = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
    library.ramda_verify_sizes.restype = long
    library.ramda_verify_recurrence.restype = ctypes.c_char_p
    library.ramda_verify_step.argtypes = (pointer, long, number, number, pointer, number, pointer, pointer)
    library.ramda_verify_finite.argtypes = (pointer, long, number, number, pointer, pointer)
    sizes = [library.ramda_verify_sizes(which) for which in range(3)]
    return sizes == [ctypes.sizeof(structure) for structure in (Task, Settings, Numbers)]


def recurrences(library: ctypes.CDLL) -> dict[str, int]:
    """The numbers of the recurrences that the library knows, by their names."""
    names = map(library.ramda_verify_recurrence, count())
    return {name.decode(): number for number, name in enumerate(takewhile(lambda name: name is not None, names))}


def torch_team() -> Team:
    try:
        loaded = ctypes.CDLL(None)
        found = (loaded.GOMP_parallel, loaded.omp_get_thread_num)
    except (AttributeError, OSError, TypeError):  # another runtime, or a system without a global name space
        return Team(None, None)
    return Team(*(ctypes.cast(function, ctypes.c_void_p) for function in found))
