"""Which of many tensors on the CPU have only finite entries, in one pass over their memory."""

import ctypes
from array import array
from collections.abc import Sequence

import torch
from torch import Tensor

from solvers.kernels.contract import plain_memory
from solvers.kernels.native.library import Numbers, Team
from solvers.regularizers.groups import memory_order

#: The numbers by which the library knows dtypes here.
DTYPES = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 2, torch.float16: 3}
WORDS = ctypes.sizeof(Numbers) // 8
FINITE = Numbers.finite.offset // 8


def all_finite(library: ctypes.CDLL, team: Team, tensors: Sequence[Tensor]) -> list[bool] | None:
    """For each tensor whether all of its entries are finite; None where one is not a block of memory on the CPU."""
    places: dict[int, list[int]] = {}
    cells: dict[int, array[int]] = {}
    for place, tensor in enumerate(tensors):
        dtype = DTYPES.get(tensor.dtype)
        if dtype is None or not tensor.is_cpu or plain_memory(tensor) is not None:
            return None
        if not tensor.is_contiguous() and memory_order(tensor) is None:
            return None
        places.setdefault(dtype, []).append(place)
        cells.setdefault(dtype, array("q")).extend((tensor.data_ptr(), tensor.numel(), 0))
    found, threads = [True] * len(tensors), torch.get_num_threads()
    for dtype, table in cells.items():
        library.ramda_verify_finite(table.buffer_info()[0], len(places[dtype]), dtype, threads, *team)
        for place, finite in zip(places[dtype], table[FINITE::WORDS], strict=True):
            found[place] = finite != 0
    return found
