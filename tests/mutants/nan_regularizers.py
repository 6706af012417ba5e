"""Regularizers that answer NaN: always, for some inputs, or to one question among several."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from solvers import L1, GroupLasso, MetricProx, NuclearNorm
from solvers.regularizers.base import GroupNorms
from tests.mutants.mutant import Patch, wrong_regularizer, wrong_solver
from tests.mutants.nans import first_spoiled, spoiled
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


@dataclass(frozen=True)
class NanProxOfSteps(L1):
    """With one step per entry the first is NaN."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        found = super().prox(w, step)
        return first_spoiled(found) if isinstance(step, Tensor) and step.ndim else found


@dataclass(frozen=True)
class NanMetricProx(GroupLasso):
    """metric_prox is NaN."""

    def metric_prox(self, B: Tensor, D: Tensor, lam: Any) -> MetricProx:
        found = super().metric_prox(B, D, lam)
        return found._replace(point=spoiled(found.point))


@dataclass(frozen=True)
class NanEntryOfMetricProx(L1):
    """One entry of metric_prox is NaN."""

    def metric_prox(self, B: Tensor, D: Tensor, lam: Any) -> Tensor:
        return first_spoiled(super().metric_prox(B, D, lam))


@dataclass(frozen=True)
class NanMetricProxOfNegative(GroupLasso):
    """metric_prox is NaN where B begins with a negative number: for some problems of a batch."""

    def metric_prox(self, B: Tensor, D: Tensor, lam: Any) -> MetricProx:
        found = super().metric_prox(B, D, lam)
        return found._replace(point=spoiled(found.point, B.reshape(-1)[0] < 0))


@dataclass(frozen=True)
class NanIterations(GroupLasso):
    """metric_prox does not know how long it took."""

    def metric_prox(self, B: Tensor, D: Tensor, lam: Any) -> MetricProx:
        found = super().metric_prox(B, D, lam)
        return found._replace(iterations=torch.tensor(math.nan))


@dataclass(frozen=True)
class NanStructure(GroupLasso):
    """structure names a point by NaN."""

    def structure(self, w: Tensor) -> Tensor:
        return spoiled(super().structure(w).double())


@dataclass(frozen=True)
class NanSparsity(L1):
    """sparsity is NaN but at zero."""

    def sparsity(self, w: Tensor) -> Any:
        zeros, total = super().sparsity(w)
        return (zeros if zeros == total else math.nan), total


@dataclass(frozen=True)
class NanSubgradient(GroupLasso):
    """subgradient_residual is NaN."""

    def subgradient_residual(self, point: Tensor, gradient: Tensor, lam: Any) -> Tensor:
        return spoiled(super().subgradient_residual(point, gradient, lam))


@dataclass(frozen=True)
class NanSubgradientAtZero(NuclearNorm):
    """subgradient_residual is NaN at zero, as 0/0 would be: at one of several points."""

    def subgradient_residual(self, point: Tensor, gradient: Tensor, lam: Any) -> Tensor:
        return spoiled(super().subgradient_residual(point, gradient, lam), (point == 0).all())


@dataclass(frozen=True)
class NanMask(GroupLasso):
    """zero_mask is no mask but NaN."""

    def zero_mask(self, B: Tensor, lam: Any) -> Tensor:
        return spoiled(super().zero_mask(B, lam).double())


@dataclass(frozen=True)
class NanProxAndMask(L1):
    """zero_mask calls everything zero, and prox, which would know better, is NaN."""

    def zero_mask(self, B: Tensor, lam: Any) -> Tensor:
        return torch.ones_like(B, dtype=torch.bool)

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return first_spoiled(super().prox(w, step))


@dataclass(frozen=True)
class NanNorms(GroupLasso):
    """group_norms has a weight of NaN, but for memory in another order."""

    def group_norms(self, w: Tensor) -> GroupNorms | None:
        claim = super().group_norms(w)
        return claim._replace(weight=math.nan) if claim is not None and w.is_contiguous() else claim


@dataclass(frozen=True)
class NanUnderVmap(NuclearNorm):
    """prox under torch.vmap is NaN in float64: the first of what is compared."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        found = super().prox(w, step)
        together = torch._C._functorch.is_batchedtensor(w) and w.dtype == torch.float64
        return first_spoiled(found) if together else found


def nan_value(cls: type, where: Callable[[Tensor], Tensor]) -> Patch:
    """value of one of our own classes is NaN where the mask has a true entry."""
    right = cls.value

    def value(self: Any, w: Tensor) -> Tensor:
        return spoiled(right(self, w), where(w).any())

    return lambda monkeypatch: monkeypatch.setattr(cls, "value", value)


VALUE = ("value-consistency", "prox-limits")
MUTANTS = [
    wrong_regularizer(NanProx, *PROX, *VALUE, "prox-firmly-nonexpansive", "layout-invariance", "dtype-agreement"),
    wrong_regularizer(NanEntryOfProx, *PROX, *VALUE, "prox-firmly-nonexpansive", "layout-invariance"),
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
    wrong_regularizer(NanProxOfSteps, "separable-claim"),
    wrong_regularizer(NanMetricProx, "metric-prox-claim", "subproblem-high-precision", "group-norm-equation"),
    wrong_regularizer(NanEntryOfMetricProx, "metric-prox-claim", "subproblem-high-precision", "subproblem-oracle"),
    wrong_regularizer(NanMetricProxOfNegative, "group-norm-equation", "solver-agreement"),
    wrong_regularizer(NanIterations, "group-norm-equation"),
    wrong_regularizer(NanStructure, "structure-claim"),
    wrong_regularizer(NanSparsity, "structure-claim"),
    wrong_regularizer(NanSubgradient, "minimum-norm-subgradient", "solver-agreement"),
    wrong_regularizer(NanSubgradientAtZero, "minimum-norm-subgradient"),
    wrong_regularizer(NanMask, "safe-screening"),
    wrong_regularizer(NanProxAndMask, "safe-screening", "certificate-membership", "proximal-gradient-rate"),
    wrong_regularizer(NanNorms, "group-norms-claim"),
    wrong_regularizer(NanUnderVmap, "batch-of-matrices"),
]
