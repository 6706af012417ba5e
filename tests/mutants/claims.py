"""False claims in optional members: subgradients, screening, structure, convexity, separability, models."""

from dataclasses import dataclass
from typing import Any, ClassVar

import cvxpy as cp
import torch
from torch import Tensor

from solvers import L1, GroupLasso, NuclearNorm
from solvers.regularizers.base import check_prox_arguments, shrink
from tests.mutants.mutant import wrong_regularizer

MINIMUM = "minimum-norm-subgradient"


@dataclass(frozen=True)
class ResidualNotMinimal(GroupLasso):
    """At a zero group the gradient itself: a member, not the shortest."""

    def subgradient_residual(self, point: Tensor, gradient: Tensor, lam: Any) -> Tensor:
        zero = self.groups.norm(point) == 0
        return torch.where(zero, gradient, super().subgradient_residual(point, gradient, lam))


@dataclass(frozen=True)
class ZeroAlwaysStationary(GroupLasso):
    """A zero group counts as stationary, however large the gradient."""

    def subgradient_residual(self, point: Tensor, gradient: Tensor, lam: Any) -> Tensor:
        zero = self.groups.norm(point) == 0
        return torch.where(zero, 0.0, super().subgradient_residual(point, gradient, lam))


@dataclass(frozen=True)
class ResidualUnweighted(GroupLasso):
    """The residual lacks sqrt(|g|), which prox has."""

    def subgradient_residual(self, point: Tensor, gradient: Tensor, lam: Any) -> Tensor:
        return super().subgradient_residual(point, gradient, lam / self.groups.size_weight(point.shape))


@dataclass(frozen=True)
class StaleGradient(L1):
    """Judges the point by a gradient taken a little way off, as a solver does that keeps the one of its last step."""

    def subgradient_residual(self, point: Tensor, gradient: Tensor, lam: Any) -> Tensor:
        return super().subgradient_residual(point, 0.99 * gradient, lam)


@dataclass(frozen=True)
class ResidualSignFlipped(L1):
    """The subgradient of -psi at nonzero entries."""

    def subgradient_residual(self, point: Tensor, gradient: Tensor, lam: Any) -> Tensor:
        return super().subgradient_residual(-point, gradient, lam)


@dataclass(frozen=True)
class ResidualOfFullRank(NuclearNorm):
    """Treats every matrix as if none of its singular values could be zero."""

    def subgradient_residual(self, point: Tensor, gradient: Tensor, lam: Any) -> Tensor:
        left, _, right = torch.linalg.svd(point.reshape(point.shape[0], -1), full_matrices=False)
        return gradient + lam * self.reg_weight * (left @ right).reshape(point.shape)


@dataclass(frozen=True)
class ScreensTwiceAsMuch(GroupLasso):
    """Calls groups zero up to twice the threshold."""

    def zero_mask(self, B: Tensor, lam: Any) -> Tensor:
        return super().zero_mask(B, 2 * lam)


@dataclass(frozen=True)
class ScreensWithoutRoot(GroupLasso):
    """Calls groups zero up to |g| in place of sqrt(|g|)."""

    def zero_mask(self, B: Tensor, lam: Any) -> Tensor:
        return super().zero_mask(B, lam * self.groups.size_weight(B.shape))


@dataclass(frozen=True)
class ScreensByMean(NuclearNorm):
    """Calls the matrix zero where the root mean square of its singular values is below the threshold."""

    def zero_mask(self, B: Tensor, lam: Any) -> Tensor:
        matrix = B.reshape(B.shape[0], -1)
        zero = matrix.norm() <= min(matrix.shape) ** 0.5 * lam * self.reg_weight
        return zero.reshape((1,) * B.ndim)


@dataclass(frozen=True)
class ZeroHasStructure(GroupLasso):
    """structure calls every group nonzero, sparsity knows better."""

    def structure(self, w: Tensor) -> Tensor:
        return torch.ones(self.groups.count(w.shape), dtype=torch.bool)

    def sparsity(self, w: Tensor) -> tuple[int, int]:
        return GroupLasso(self.reg_weight, self.grouping).sparsity(w)


@dataclass(frozen=True)
class CountsGroups(GroupLasso):
    """sparsity counts zero groups against parameters."""

    def sparsity(self, w: Tensor) -> tuple[int, int]:
        return int((~self.structure(w)).sum()), w.numel()


@dataclass(frozen=True)
class CountsNonzeros(L1):
    """sparsity counts what is not zero."""

    def sparsity(self, w: Tensor) -> tuple[int, int]:
        return int(torch.count_nonzero(w)), w.numel()


@dataclass(frozen=True)
class SeparableGroups(GroupLasso):
    """Claims to be a sum over entries."""

    separable: ClassVar[bool] = True


@dataclass(frozen=True)
class OneStepForAll(L1):
    """Claims to be separable, but its prox takes the mean of the steps."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return shrink(w, (step.mean() if isinstance(step, Tensor) else step) * self.reg_weight)


@dataclass(frozen=True)
class MeanForMax(GroupLasso):
    """blockwise_max returns the mean: the step is too long."""

    def blockwise_max(self, D: Tensor) -> Tensor:
        return self.groups.sum(D) * self.groups.count(D.shape) / D.numel()


@dataclass(frozen=True)
class CountNonzero:
    """``reg_weight * #{w_i != 0}`` with its right prox: nothing is wrong with it, and it does not claim convexity."""

    reg_weight: float

    def value(self, w: Tensor) -> Tensor:
        return self.reg_weight * (w != 0).sum().to(w.dtype)

    def prox(self, w: Tensor, step: Any) -> Tensor:
        check_prox_arguments(w, step)
        return torch.where(0.5 * w * w > step * self.reg_weight, w, 0.0)


@dataclass(frozen=True)
class ConvexCount(CountNonzero):
    """The number of nonzeros, claimed to be convex."""

    convex: ClassVar[bool] = True


@dataclass(frozen=True)
class WrongModel(GroupLasso):
    """as_cvxpy models the L1 norm."""

    def as_cvxpy(self, x: Any) -> Any:
        return self.reg_weight * cp.sum(cp.abs(x))


MUTANTS = [
    wrong_regularizer(ResidualNotMinimal, MINIMUM),
    wrong_regularizer(ZeroAlwaysStationary, MINIMUM),
    wrong_regularizer(ResidualUnweighted, MINIMUM),
    wrong_regularizer(StaleGradient, MINIMUM),
    wrong_regularizer(ResidualSignFlipped, MINIMUM),
    wrong_regularizer(ResidualOfFullRank, MINIMUM),
    wrong_regularizer(ScreensTwiceAsMuch, "safe-screening"),
    wrong_regularizer(ScreensWithoutRoot, "safe-screening"),
    wrong_regularizer(ScreensByMean, "safe-screening"),
    wrong_regularizer(ZeroHasStructure, "structure-claim"),
    wrong_regularizer(CountsGroups, "structure-claim"),
    wrong_regularizer(CountsNonzeros, "structure-claim"),
    wrong_regularizer(SeparableGroups, "separable-claim"),
    wrong_regularizer(OneStepForAll, "separable-claim"),
    wrong_regularizer(ConvexCount, "convex-claim", "prox-optimality", "prox-firmly-nonexpansive"),
    wrong_regularizer(WrongModel, "cvxpy-value"),
    wrong_regularizer(MeanForMax, "proximal-gradient-rate"),
]
