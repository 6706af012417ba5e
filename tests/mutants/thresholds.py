"""Proxes that shrink by a wrong amount: the classical slips of step, weight and group size."""

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from solvers import L1, GroupLasso, NuclearNorm
from solvers.regularizers.base import shrink
from tests.mutants.mutant import wrong_regularizer

PROX = ("prox-minimises", "prox-optimality")


def shrink_groups(regularizer: GroupLasso, w: Tensor, threshold: Any) -> Tensor:
    norm = regularizer.groups.norm(w)
    return w * (1 - threshold / norm.clamp_min(1e-300)).clamp_min(0)


@dataclass(frozen=True)
class ThresholdTwice(GroupLasso):
    """Shrinks by twice the threshold, as a missing 1/2 in the prox objective would."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return shrink_groups(self, w, 2 * step * self.group_weight(w))


@dataclass(frozen=True)
class StepForgotten(GroupLasso):
    """The prox of psi, whatever the step."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return shrink_groups(self, w, self.group_weight(w))


@dataclass(frozen=True)
class StepSquared(GroupLasso):
    """Shrinks by the square of the step."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return shrink_groups(self, w, step * step * self.group_weight(w))


@dataclass(frozen=True)
class RegWeightForgotten(GroupLasso):
    """The weight of the regularizer does not reach its prox."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return shrink_groups(self, w, step * self.groups.size_weight(w.shape))


@dataclass(frozen=True)
class SizeForgotten(GroupLasso):
    """The prox lacks sqrt(|g|), which value has."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return shrink_groups(self, w, step * self.reg_weight)


@dataclass(frozen=True)
class SizeWithoutRoot(GroupLasso):
    """|g| in place of sqrt(|g|)."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return shrink_groups(self, w, step * self.reg_weight * self.groups.size_weight(w.shape) ** 2)


@dataclass(frozen=True)
class SizeOfWrongAxis(GroupLasso):
    """The square root of the number of groups in place of that of their size."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return shrink_groups(self, w, step * self.reg_weight * math.sqrt(self.groups.count(w.shape)))


@dataclass(frozen=True)
class AxesSwapped(GroupLasso):
    """Shrinks rows where psi counts columns, and the other way round."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        other = {"input": "output", "output": "input", "channel": "filter", "filter": "channel"}[self.grouping]
        return GroupLasso(self.reg_weight, other).prox(w, step)


@dataclass(frozen=True)
class ThresholdTenThousandthTooLarge(L1):
    """Shrinks by 1.0001 times the threshold: far below what a plot would show."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return shrink(w, 1.0001 * step * self.reg_weight)


@dataclass(frozen=True)
class ResultTenThousandthTooLarge(L1):
    """The right point times 1.0001."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return 1.0001 * super().prox(w, step)


@dataclass(frozen=True)
class SignError(L1):
    """Moves entries away from zero."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return w + w.sign() * step * self.reg_weight


@dataclass(frozen=True)
class NegativeEntriesLost(L1):
    """max(w - threshold, 0): right for positive entries only."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return (w - step * self.reg_weight).clamp_min(0)


@dataclass(frozen=True)
class HardThreshold(L1):
    """Keeps what is above the threshold as it is: the prox of another, nonconvex psi."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return w * (w.abs() > step * self.reg_weight)


@dataclass(frozen=True)
class TenthDigitOfProx(L1):
    """A threshold that is late by 1e-10 of itself, a tenth of what a user's prox may be wrong by."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return shrink(w, step * self.reg_weight * (1 + 1e-10))


@dataclass(frozen=True)
class DecomposedInSingle(NuclearNorm):
    """The prox in float32."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return super().prox(w.float(), step).to(w.dtype)


MUTANTS = [
    wrong_regularizer(ThresholdTwice, *PROX, "value-consistency"),
    wrong_regularizer(StepForgotten, *PROX, "value-consistency"),
    wrong_regularizer(StepSquared, *PROX, "prox-search"),
    wrong_regularizer(RegWeightForgotten, *PROX),
    wrong_regularizer(SizeForgotten, *PROX),
    wrong_regularizer(SizeWithoutRoot, *PROX, "prox-search"),
    wrong_regularizer(SizeOfWrongAxis, *PROX),
    wrong_regularizer(AxesSwapped, *PROX),
    wrong_regularizer(ThresholdTenThousandthTooLarge, "prox-optimality"),
    wrong_regularizer(ResultTenThousandthTooLarge, "prox-optimality", "value-consistency"),
    wrong_regularizer(SignError, *PROX, "prox-firmly-nonexpansive", "prox-limits"),
    wrong_regularizer(NegativeEntriesLost, *PROX),
    wrong_regularizer(HardThreshold, *PROX, "prox-firmly-nonexpansive", "prox-search"),
    wrong_regularizer(TenthDigitOfProx, "prox-high-precision"),
    wrong_regularizer(DecomposedInSingle, "prox-high-precision"),
]
