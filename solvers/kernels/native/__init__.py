"""The CPU backend: compiled loops, called by ctypes."""

from solvers.kernels.native.binding import Native

__all__ = ["Native"]
