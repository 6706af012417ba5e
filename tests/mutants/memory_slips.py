"""prox or value that is a part in a million off in one kind of memory: each arm of ``layout-invariance`` by itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from solvers import L1
from tests.mutants.mutant import wrong_regularizer

Memory = Callable[[Tensor], bool]


def has_gaps(w: Tensor) -> bool:
    return w.numel() > 1 and w.ndim > 0 and w.stride(-1) == 2


def lies_transposed(w: Tensor) -> bool:
    return w.ndim > 1 and w.stride(0) == 1 and not w.is_contiguous()


def begins_late(w: Tensor) -> bool:
    return w.storage_offset() > 0


def shares_rows(w: Tensor) -> bool:
    return w.ndim > 1 and w.shape[0] > 1 and w.stride(0) == 0


def has_channels_last(w: Tensor) -> bool:
    return w.ndim == 4 and not w.is_contiguous() and w.is_contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class _OffInMemory(L1):
    """The member is off where ``memory`` holds."""

    memory: ClassVar[Memory]

    def _factor(self, w: Tensor) -> float:
        return 1 + 1e-6 * type(self).memory(w)


class _Prox(_OffInMemory):
    def prox(self, w: Tensor, step: Any) -> Tensor:
        return super().prox(w, step) * self._factor(w)


class _Value(_OffInMemory):
    def value(self, w: Tensor) -> Tensor:
        return super().value(w) * self._factor(w)


def _slip(base: type, memory: Memory) -> type:
    """A class of this module, so that the snippet of a counterexample finds it by its name."""
    name = f"{base.__name__.strip('_')}_{memory.__name__}"
    made = type(name, (base,), {"memory": staticmethod(memory), "__module__": __name__, "__qualname__": name})
    globals()[name] = made
    return made


MUTANTS = [
    wrong_regularizer(_slip(base, memory), "layout-invariance")
    for base in (_Prox, _Value)
    for memory in (has_gaps, lies_transposed, begins_late, shares_rows, has_channels_last)
]
