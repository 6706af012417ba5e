"""Proxes whose derivative is that of something else, or NaN. The solver bears them, so the check has to see them."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from solvers import NuclearNorm
from solvers.regularizers.spectral_derivative import SpectralProx
from tests.mutants.mutant import wrong_regularizer


class LeftFactorAlone(SpectralProx):
    """The singular vectors are taken to stay where they are."""

    def derivative(self, direction: Tensor) -> Tensor:
        flat = direction.reshape(direction.shape[0], -1)
        found = self._left_factor @ (flat.mT if self.tall else flat)
        return (found.mT if self.tall else found).reshape(self.shape)


class Largest(SpectralProx):
    """The identity, as for a threshold of zero."""

    def derivative(self, direction: Tensor) -> Tensor:
        return direction


class NotANumber(SpectralProx):
    def derivative(self, direction: Tensor) -> Tensor:
        return super().derivative(direction) * math.nan


def recast(found: SpectralProx, cls: type[SpectralProx]) -> SpectralProx:
    return cls(found.wide, found.left, found.sigma, found.right, found.threshold, found.tall, found.shape)


@dataclass(frozen=True)
class LeftFactorForDerivative(NuclearNorm):
    def prox_with_derivative(self, w: Tensor, step: Any) -> Any:
        return recast(super().prox_with_derivative(w, step), LeftFactorAlone)


@dataclass(frozen=True)
class IdentityForDerivative(NuclearNorm):
    def prox_with_derivative(self, w: Tensor, step: Any) -> Any:
        return recast(super().prox_with_derivative(w, step), Largest)


@dataclass(frozen=True)
class NanInDerivative(NuclearNorm):
    def prox_with_derivative(self, w: Tensor, step: Any) -> Any:
        return recast(super().prox_with_derivative(w, step), NotANumber)


@dataclass(frozen=True)
class AnotherPoint(NuclearNorm):
    """The point of a threshold that is 1 % larger."""

    def prox_with_derivative(self, w: Tensor, step: Any) -> Any:
        return super().prox_with_derivative(w, 1.01 * step)


@dataclass(frozen=True)
class GainBeyondOne(NuclearNorm):
    def prox_with_derivative(self, w: Tensor, step: Any) -> Any:
        found = super().prox_with_derivative(w, step)
        found.gain = torch.inf
        return found


DERIVATIVE = "prox-derivative"
MUTANTS = [
    wrong_regularizer(cls, DERIVATIVE)
    for cls in (LeftFactorForDerivative, IdentityForDerivative, NanInDerivative, AnotherPoint, GainBeyondOne)
]
