"""Regularizers that answer NaN to what is optional: subproblem, subgradient, screening, structure, groups, vmap."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from solvers import L1, GroupLasso, MetricProx, NuclearNorm
from solvers.regularizers.members import GroupNorms
from tests.mutants.mutant import wrong_regularizer
from tests.mutants.nans import first_spoiled, spoiled


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
class NanMetricProxInFloat32(GroupLasso):
    """metric_prox is NaN in float32, in which training asks, and right in float64."""

    def metric_prox(self, B: Tensor, D: Tensor, lam: Any) -> MetricProx:
        found = super().metric_prox(B, D, lam)
        return found._replace(point=spoiled(found.point)) if B.dtype == torch.float32 else found


@dataclass(frozen=True)
class NanProxOfStepsInFloat32(L1):
    """The same of prox with one step per entry."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        found = super().prox(w, step)
        several = isinstance(step, Tensor) and step.ndim
        return first_spoiled(found) if several and w.dtype == torch.float32 else found


@dataclass(frozen=True)
class NanSubgradientInFloat32(NuclearNorm):
    """The same of subgradient_residual at zero."""

    def subgradient_residual(self, point: Tensor, gradient: Tensor, lam: Any) -> Tensor:
        found = super().subgradient_residual(point, gradient, lam)
        return first_spoiled(found) if point.dtype == torch.float32 and not point.any() else found


@dataclass(frozen=True)
class NanBlockwiseMaxInFloat32(GroupLasso):
    """The same of blockwise_max."""

    def blockwise_max(self, D: Tensor) -> Tensor:
        found = super().blockwise_max(D)
        return spoiled(found) if D.dtype == torch.float32 else found


class NanSparsityAlone:
    """sparsity is NaN, and there is no structure that it could disagree with."""

    convex = True

    def __init__(self, reg_weight: float) -> None:
        self.reg_weight = reg_weight

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.reg_weight!r})"

    def value(self, w: Tensor) -> Tensor:
        return L1(self.reg_weight).value(w)

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return L1(self.reg_weight).prox(w, step)

    def sparsity(self, w: Tensor) -> Any:
        return math.nan, w.numel()


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


MUTANTS = [
    wrong_regularizer(NanProxOfSteps, "separable-claim"),
    wrong_regularizer(
        NanMetricProx, "metric-prox-claim", "metric-prox-search", "subproblem-high-precision", "group-norm-equation"
    ),
    wrong_regularizer(NanEntryOfMetricProx, "metric-prox-claim", "subproblem-high-precision", "subproblem-oracle"),
    wrong_regularizer(NanMetricProxOfNegative, "group-norm-equation", "solver-agreement"),
    wrong_regularizer(NanMetricProxInFloat32, "members-in-float32"),
    wrong_regularizer(NanProxOfStepsInFloat32, "members-in-float32"),
    wrong_regularizer(NanSubgradientInFloat32, "members-in-float32"),
    wrong_regularizer(NanBlockwiseMaxInFloat32, "members-in-float32"),
    wrong_regularizer(NanSparsityAlone, "structure-claim"),
    wrong_regularizer(NanIterations, "group-norm-equation"),
    wrong_regularizer(NanStructure, "structure-claim"),
    wrong_regularizer(NanSparsity, "structure-claim"),
    wrong_regularizer(NanSubgradient, "residual-claim", "minimum-norm-subgradient", "solver-agreement"),
    wrong_regularizer(NanSubgradientAtZero, "minimum-norm-subgradient"),
    wrong_regularizer(NanMask, "safe-screening", raises=("RuntimeError",)),
    wrong_regularizer(
        NanProxAndMask, "screening-switch", "safe-screening", "certificate-membership", "proximal-gradient-rate"
    ),
    wrong_regularizer(NanNorms, "group-norms-claim"),
    wrong_regularizer(NanUnderVmap, "batch-of-matrices"),
]
