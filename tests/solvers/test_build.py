"""A build that fails is left out without an error, and its tests skip. Where there is a compiler that must not pass.

A library that was built from other sources than these is not used either.
"""

import ctypes
import shutil
from pathlib import Path
from typing import Any

import pytest

from solvers.kernels import BACKENDS
from solvers.kernels.native import Native, library

NATIVE: Any = BACKENDS["native"]
COMPILER = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")


@pytest.mark.skipif(COMPILER is None, reason="without a C++ compiler plain torch takes the steps")
@pytest.mark.parametrize("build", NATIVE.builds)
def test_every_build_that_runs_here_is_there(build: str):
    assert Native((build,)).unavailable_reason() is None


class Library:
    """What ctypes loads, as far as it is asked before a step: sizes of the structures, and names of recurrences."""

    def __init__(self, *sizes: int, functions: tuple[str, ...]) -> None:
        for name in functions:
            setattr(self, f"ramda_verify_{name}", lambda which: sizes[which])


FUNCTIONS = ("sizes", "recurrence", "step", "finite")
SIZES = tuple(map(ctypes.sizeof, (library.Task, library.Settings, library.Numbers)))


def test_a_library_that_was_built_from_these_sources_is_used(tmp_path, monkeypatch):
    monkeypatch.setattr(library, "path_of", lambda build: tmp_path / build)
    monkeypatch.setattr(ctypes, "CDLL", lambda path: Library(*SIZES, functions=FUNCTIONS))
    assert library.load(("baseline",)) is not None


@pytest.mark.parametrize("structure", range(len(SIZES)))
def test_a_library_with_other_structures_is_not_used(structure, tmp_path, monkeypatch):
    """Built from older sources: a call would read beyond what it is given."""
    sizes = [size + 8 * (place == structure) for place, size in enumerate(SIZES)]
    monkeypatch.setattr(library, "path_of", lambda build: tmp_path / build)
    monkeypatch.setattr(ctypes, "CDLL", lambda path: Library(*sizes, functions=FUNCTIONS))
    assert library.load(("baseline",)) is None


def test_a_library_without_recurrences_is_not_used(tmp_path, monkeypatch):
    """Built from sources of before methods were numbered by name."""
    monkeypatch.setattr(library, "path_of", lambda build: tmp_path / build)
    monkeypatch.setattr(ctypes, "CDLL", lambda path: Library(*SIZES, functions=("sizes", "step", "finite")))
    assert library.load(("baseline",)) is None


def test_the_first_library_that_fits_is_used(tmp_path, monkeypatch):
    fits = {
        "avx512": None,
        "avx2": Library(*SIZES, functions=("step",)),
        "baseline": Library(*SIZES, functions=FUNCTIONS),
    }
    monkeypatch.setattr(library, "path_of", lambda build: tmp_path / build if fits[build] else None)
    monkeypatch.setattr(ctypes, "CDLL", lambda path: fits[Path(path).name])
    assert library.load(tuple(fits)) is fits["baseline"]


@pytest.mark.parametrize("error", [AttributeError, OSError, TypeError])
def test_torch_without_a_team_of_threads_that_can_be_used(error, monkeypatch):
    def fails(name):
        raise error("invented")

    monkeypatch.setattr(ctypes, "CDLL", fails)
    assert library.torch_team() == (None, None)
