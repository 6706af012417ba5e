"""Regularizers that break their contract, their manners or a proof, and what NaN makes of each."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from solvers import L1
from solvers.regularizers.base import shrink
from tests.mutants.mutant import wrong_regularizer
from tests.mutants.nans import spoiled


@dataclass(frozen=True)
class ValueIsANumber(L1):
    """value is a Python number, which knows neither dtype nor device."""

    def value(self, w: Tensor) -> Any:
        return float(super().value(w))


@dataclass(frozen=True)
class ProxIsFlat(L1):
    """prox forgets the shape of w."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return super().prox(w, step).reshape(-1)


@dataclass(frozen=True)
class NanProxOfOnes(L1):
    """prox is NaN at the plainest tensor that there is, all ones, and right elsewhere."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return spoiled(super().prox(w, step), (w == 1).all())


@dataclass(frozen=True)
class NanValueOfOnes(L1):
    """value is NaN there."""

    def value(self, w: Tensor) -> Tensor:
        found = super().value(w)
        return torch.where((w == 1).all(), math.nan, found)


@dataclass(frozen=True)
class WritesIntoItsInput(L1):
    """What is set to zero is set to zero in w, too."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        found = super().prox(w, step)
        w[found == 0] = 0
        return found


@dataclass(frozen=True)
class ReturnsItsInput(L1):
    """Where nothing is shrunk, the answer is w itself."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        found = super().prox(w, step)
        return w if torch.equal(found, w) else found


@dataclass(frozen=True)
class Reseeds(L1):
    """A generator of the process is set to a seed, as a prox does that breaks ties at random."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        torch.manual_seed(0)
        return super().prox(w, step)


@dataclass(frozen=True)
class NanValueOfNegative(L1):
    """value is NaN where w begins with a negative number."""

    def value(self, w: Tensor) -> Tensor:
        return torch.where(w.reshape(-1)[0] < 0, math.nan, super().value(w))


@dataclass(frozen=True)
class OnePercentTooMuch(L1):
    """The threshold of prox is one percent too high."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return shrink(w, 1.01 * step * self.reg_weight)


@dataclass(frozen=True)
class NanAtTheThreshold(L1):
    """prox divides zero by zero where it shrinks an entry to zero."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        kept = (w.abs() - step * self.reg_weight).clamp(min=0)
        return w.sign() * kept * kept / kept


MUTANTS = (
    wrong_regularizer(ValueIsANumber, "contract"),
    wrong_regularizer(ProxIsFlat, "contract"),
    wrong_regularizer(NanProxOfOnes, "contract"),
    wrong_regularizer(NanValueOfOnes, "contract"),
    wrong_regularizer(WritesIntoItsInput, "manners"),
    wrong_regularizer(ReturnsItsInput, "manners"),
    wrong_regularizer(Reseeds, "manners"),
    wrong_regularizer(NanValueOfNegative, "manners"),
    wrong_regularizer(OnePercentTooMuch, "proof"),
    wrong_regularizer(NanAtTheThreshold, "proof"),
)
