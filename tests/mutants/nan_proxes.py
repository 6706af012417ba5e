"""Regularizers whose prox or value is NaN: always, for some inputs, or to one question among several."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from solvers import L1, GroupLasso, NuclearNorm
from tests.mutants.mutant import wrong_regularizer, wrong_solver
from tests.mutants.nans import first_spoiled, spoiled
from tests.mutants.patching import Patch, member
from tests.mutants.thresholds import PROX


@dataclass(frozen=True)
class NanProx(L1):
    """Every entry of prox is NaN."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return spoiled(super().prox(w, step))


@dataclass(frozen=True)
class NanEntryOfProx(GroupLasso):
    """The first entry of prox is NaN."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return first_spoiled(super().prox(w, step))


@dataclass(frozen=True)
class NanProxOfSmallSteps(NuclearNorm):
    """prox is NaN at steps below a hundredth: not at the last of several steps."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return spoiled(super().prox(w, step), torch.as_tensor(step) < 1e-2)


@dataclass(frozen=True)
class NanProxHidden(L1):
    """prox is NaN, and value does not look at entries that are."""

    def value(self, w: Tensor) -> Tensor:
        return super().value(torch.nan_to_num(w))

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return first_spoiled(super().prox(w, step))


@dataclass(frozen=True)
class NanProxInFloat32(GroupLasso):
    """prox is NaN in float32, right in float64 and bfloat16."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        found = super().prox(w, step)
        return spoiled(found) if w.dtype == torch.float32 else found


@dataclass(frozen=True)
class NanProxInBfloat16(L1):
    """One entry of prox is NaN in bfloat16."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        found = super().prox(w, step)
        return first_spoiled(found) if w.dtype == torch.bfloat16 else found


def _transposed(w: Tensor) -> bool:
    return not w.is_contiguous() and w.mT.is_contiguous()


@dataclass(frozen=True)
class NanProxTransposed(L1):
    """prox of a matrix in transposed memory is NaN: the first of two layouts."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        found = super().prox(w, step)
        return spoiled(found) if w.ndim == 2 and _transposed(w) else found


@dataclass(frozen=True)
class NanValueTransposed(GroupLasso):
    """value of a matrix in transposed memory is NaN."""

    def value(self, w: Tensor) -> Tensor:
        found = super().value(w)
        return spoiled(found) if w.ndim == 2 and _transposed(w) else found


@dataclass(frozen=True)
class NanValue(GroupLasso):
    """value is NaN."""

    def value(self, w: Tensor) -> Tensor:
        return spoiled(super().value(w))


@dataclass(frozen=True)
class NanValueOfLarge(L1):
    """value is NaN where an entry exceeds a hundred: at a few of the rivals of a point."""

    def value(self, w: Tensor) -> Tensor:
        return spoiled(super().value(w), w.abs().amax() > 100)


@dataclass(frozen=True)
class NanValueOfSparse(L1):
    """value is NaN where some entries are zero: at one end of a chord, at the solution of a subproblem."""

    def value(self, w: Tensor) -> Tensor:
        return spoiled(super().value(w), (w == 0).any() & (w != 0).any())


@dataclass(frozen=True)
class NanValueOfOne(L1):
    """value is NaN where one entry alone is not zero."""

    def value(self, w: Tensor) -> Tensor:
        return spoiled(super().value(w), (w != 0).sum() == 1)


def nan_value(cls: Any, where: Callable[[Tensor], Tensor]) -> Patch:
    """value of one of our own classes is NaN where the mask has a true entry."""
    right = cls.value

    def value(self: Any, w: Tensor) -> Tensor:
        return spoiled(right(self, w), where(w).any())

    return member(cls, "value", value)


VALUE = ("value-consistency", "prox-limits")
MUTANTS = [
    wrong_regularizer(NanProx, *PROX, *VALUE, "prox-firmly-nonexpansive", "layout-invariance", "dtype-agreement"),
    wrong_regularizer(
        NanEntryOfProx,
        *PROX,
        *VALUE,
        "prox-search",
        "prox-high-precision",
        "prox-firmly-nonexpansive",
        "layout-invariance",
    ),
    wrong_regularizer(NanProxOfSmallSteps, *VALUE, "prox-optimality", "certificate-membership"),
    wrong_regularizer(NanProxHidden, *PROX, *VALUE, "prox-firmly-nonexpansive"),
    wrong_regularizer(NanProxInFloat32, "dtype-agreement"),
    wrong_regularizer(NanProxInBfloat16, "dtype-agreement"),
    wrong_regularizer(NanProxTransposed, "layout-invariance"),
    wrong_regularizer(NanValueTransposed, "layout-invariance"),
    wrong_regularizer(NanValue, *PROX, *VALUE, "convex-claim", "layout-invariance", "metric-prox-claim"),
    wrong_solver("nan_value_of_l1", nan_value(L1, lambda w: (w == 0).any()), L1, "cvxpy-value", "subproblem-oracle"),
    wrong_solver("nan_value_of_nuclear_norm", nan_value(NuclearNorm, torch.ones_like), NuclearNorm, "cvxpy-value"),
    wrong_regularizer(NanValueOfLarge, *PROX, "value-consistency", "convex-claim", "metric-prox-claim"),
    wrong_regularizer(NanValueOfSparse, "convex-claim", "splitting-solution", "objective-descent"),
    wrong_regularizer(NanValueOfOne, "separable-claim", "prox-optimality"),
]
