"""A build that fails is left out without an error, and its tests skip. Where there is a compiler that must not pass."""

import shutil
from typing import Any

import pytest

from solvers.kernels import BACKENDS
from solvers.kernels.native import Native

NATIVE: Any = BACKENDS["native"]
COMPILER = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")


@pytest.mark.skipif(COMPILER is None, reason="without a C++ compiler plain torch takes the steps")
@pytest.mark.parametrize("build", NATIVE.builds)
def test_every_build_that_runs_here_is_there(build: str):
    assert Native((build,)).unavailable_reason() is None
