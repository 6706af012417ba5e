"""The GPU backend: Triton kernels that do a whole step of many tensors while each group of entries is on the chip."""

from solvers.kernels.gpu.backend import Triton

__all__ = ["Triton"]
