"""Maps that are no prox at all, or no prox of this psi, and values that are no psi."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from solvers import L1, GroupLasso, NuclearNorm
from tests.mutants.mutant import wrong_regularizer
from tests.mutants.thresholds import PROX


@dataclass(frozen=True)
class ConstantZero(GroupLasso):
    """Zero, whatever the input: passes every Moreau test whose dual is derived from it."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return torch.zeros_like(w)


@dataclass(frozen=True)
class ConstantOne(L1):
    """One, whatever the input."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return torch.ones_like(w)


@dataclass(frozen=True)
class Identity(NuclearNorm):
    """The input, whatever psi."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return w.clone()


@dataclass(frozen=True)
class RescaledToRightNorm(L1):
    """The input, rescaled to the norm of the right answer."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        right = super().prox(w, step)
        return w * (right.norm() / w.norm().clamp_min(1e-300))


@dataclass(frozen=True)
class Negated(GroupLasso):
    """The right point with the wrong sign: same psi, same distance from zero."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return -super().prox(w, step)


@dataclass(frozen=True)
class RidgeProx(L1):
    """The prox of the squared norm."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return w / (1 + step * self.reg_weight)


@dataclass(frozen=True)
class ValueWithoutWeight(GroupLasso):
    """value forgets reg_weight, which prox has."""

    def value(self, w: Tensor) -> Tensor:
        return self.groups.size_weight(w.shape) * self.groups.norm(w).sum()


@dataclass(frozen=True)
class ValueSquared(L1):
    """value is the squared norm."""

    def value(self, w: Tensor) -> Tensor:
        return self.reg_weight * w.square().sum()


@dataclass(frozen=True)
class ValueIsVector(GroupLasso):
    """value returns the norms of the groups, not their sum (as the released code of the paper does)."""

    def value(self, w: Tensor) -> Tensor:
        return self.group_weight(w) * self.groups.norm(w)


@dataclass(frozen=True)
class ValueForgetsOne(L1):
    """value leaves the first entry out."""

    def value(self, w: Tensor) -> Tensor:
        return self.reg_weight * w.reshape(-1)[1:].abs().sum()


@dataclass(frozen=True)
class ValueIsNegative(L1):
    """value has the wrong sign, and psi is concave."""

    def value(self, w: Tensor) -> Tensor:
        return -super().value(w)


@dataclass(frozen=True)
class RankOneTooFew(NuclearNorm):
    """The prox drops the smallest singular value that should stay."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        left, sigma, right = torch.linalg.svd(super().prox(w, step).reshape(w.shape[0], -1), full_matrices=False)
        kept = int((sigma > 1e-12 * sigma[0]).sum())
        sigma[max(kept - 1, 0) :] = 0
        return ((left * sigma) @ right).reshape(w.shape)


@dataclass(frozen=True)
class RankTruncation(NuclearNorm):
    """Cuts singular values off below the threshold and leaves the others as they are."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        left, sigma, right = torch.linalg.svd(w.reshape(w.shape[0], -1), full_matrices=False)
        return ((left * (sigma * (sigma > step * self.reg_weight))) @ right).reshape(w.shape)


@dataclass(frozen=True)
class WrongMatrix(NuclearNorm):
    """The prox sees a convolution as (everything else, last axis), value as (out, everything else)."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return NuclearNorm(self.reg_weight).prox(w.reshape(-1, w.shape[-1]), step).reshape(w.shape)


@dataclass(frozen=True)
class LargestOnly(NuclearNorm):
    """Shrinks the largest singular value only: the prox of nothing, close to that of the spectral norm."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        left, sigma, right = torch.linalg.svd(w.reshape(w.shape[0], -1), full_matrices=False)
        sigma[0] = (sigma[0] - step * self.reg_weight).clamp_min(0)
        return ((left * sigma) @ right).reshape(w.shape)


MUTANTS = [
    wrong_regularizer(ConstantZero, *PROX, "prox-limits"),
    wrong_regularizer(ConstantOne, *PROX),
    wrong_regularizer(Identity, *PROX),
    wrong_regularizer(RescaledToRightNorm, *PROX),
    wrong_regularizer(Negated, *PROX, "prox-limits"),
    wrong_regularizer(RidgeProx, *PROX),
    wrong_regularizer(ValueWithoutWeight, *PROX, "value-consistency"),
    wrong_regularizer(ValueSquared, *PROX, "value-consistency"),
    wrong_regularizer(ValueIsVector, "value-consistency"),
    wrong_regularizer(ValueForgetsOne, *PROX),
    wrong_regularizer(ValueIsNegative, *PROX, "convex-claim"),
    wrong_regularizer(RankOneTooFew, *PROX),
    wrong_regularizer(RankTruncation, *PROX, "prox-firmly-nonexpansive"),
    wrong_regularizer(WrongMatrix, "prox-minimises", "prox-search"),
    wrong_regularizer(LargestOnly, *PROX),
]
