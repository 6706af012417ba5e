"""The CPU backend: compiled loops, called by ctypes."""

from solvers.kernels.native.binding import Native
from solvers.kernels.native.library import machine_builds

__all__ = ["Native", "machine_builds"]
