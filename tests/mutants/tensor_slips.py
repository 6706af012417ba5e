"""Right formulas in the wrong memory: layouts, dtypes, inputs that change, zero groups."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from solvers import L1, GroupLasso
from tests.mutants.mutant import wrong_regularizer


@dataclass(frozen=True)
class ChangesItsInput(L1):
    """Writes the answer into the input as well."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return w.copy_(super().prox(w, step))


@dataclass(frozen=True)
class ReturnsFloat32(GroupLasso):
    """The answer is float32, whatever came in."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return super().prox(w, step).float()


@dataclass(frozen=True)
class ReturnsFloat64(L1):
    """The answer is float64, whatever came in."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return super().prox(w, step).double()


@dataclass(frozen=True)
class ComputesInFloat32(L1):
    """Keeps the dtype but computes in float32."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return super().prox(w.float(), step).to(w.dtype)


@dataclass(frozen=True)
class ReadsStorageInOrder(GroupLasso):
    """Reads memory as if every tensor were contiguous."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        plain = torch.empty(w.shape).stride()
        return super().prox(torch.as_strided(w, w.shape, plain, w.storage_offset()), step)


@dataclass(frozen=True)
class LosesItsShape(L1):
    """Returns a vector."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return super().prox(w, step).reshape(-1)


@dataclass(frozen=True)
class RollsDice(L1):
    """The answer carries noise: two answers to one question."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return super().prox(w, step) + 1e-6 * torch.rand_like(w)


@dataclass(frozen=True)
class DividesByZeroNorm(GroupLasso):
    """The direction of a zero group is 0/0."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        norm = self.groups.norm(w)
        return w / norm * (norm - step * self.group_weight(w)).clamp_min(0)


@dataclass(frozen=True)
class DividesByZeroAtZeroWeight(GroupLasso):
    """NaN where a group and the threshold are both zero (as in the released code of the paper)."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return w * (1 - step * self.group_weight(w) / self.groups.norm(w)).clamp_min(0)


@dataclass(frozen=True)
class ReturnsArray(L1):
    """Returns a numpy array."""

    def prox(self, w: Tensor, step: Any) -> Any:
        return super().prox(w, step).numpy()


@dataclass(frozen=True)
class RaisesOnZero(L1):
    """Raises an error at zero."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        if not w.any():
            raise ZeroDivisionError("nothing to shrink")
        return super().prox(w, step)


MUTANTS = [
    wrong_regularizer(ChangesItsInput, "layout-invariance", raises=("RuntimeError",)),
    wrong_regularizer(ReturnsFloat32, "contract"),
    wrong_regularizer(ReturnsFloat64, "dtype-agreement"),
    wrong_regularizer(ComputesInFloat32, "prox-optimality"),
    wrong_regularizer(ReadsStorageInOrder, "layout-invariance"),
    wrong_regularizer(LosesItsShape, "contract"),
    wrong_regularizer(RollsDice, "layout-invariance"),
    wrong_regularizer(DividesByZeroNorm, "prox-minimises", "layout-invariance"),
    wrong_regularizer(DividesByZeroAtZeroWeight, "prox-minimises"),
    wrong_regularizer(ReturnsArray, "layout-invariance", "prox-minimises", raises=("AttributeError",)),
    wrong_regularizer(RaisesOnZero, "prox-minimises", raises=("ZeroDivisionError",)),
]
