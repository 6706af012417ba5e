"""Finding NaN and infinite entries of many tensors at once, where the compiled library can."""

from collections.abc import Sequence

from torch import Tensor

from solvers.kernels.dispatch import BACKENDS
from solvers.kernels.native import Native
from solvers.kernels.native.finite import all_finite as all_finite_on_cpu


def all_finite(tensors: Sequence[Tensor]) -> list[bool] | None:
    """For each tensor whether all of its entries are finite, in one pass at the speed of memory.

    None where the compiled library cannot take them: it was not built, or a tensor is on another device, has gaps in
    memory, or is not what its memory holds (see ``plain_memory``). Dtypes: float32, float64, bfloat16, float16.
    """
    native = BACKENDS["native"]
    if not isinstance(native, Native) or native.library is None:
        return None
    return all_finite_on_cpu(native.library, native.team, tensors)
