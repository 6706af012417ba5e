"""Wrong simplexes: maps into the set that are no projections, sets that are another one, members of half of it."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from solvers import Simplex
from tests.mutants.mutant import wrong_regularizer

PROX = ("prox-minimises", "prox-optimality")


@dataclass(frozen=True)
class Rescaled(Simplex):
    """Cuts off the negative entries and divides by the sum."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        positive = w.clamp_min(0)
        total = positive.sum()
        return torch.where(total > 0, positive * (self.radius / total), self.radius / w.numel())


@dataclass(frozen=True)
class ShiftedOnce(Simplex):
    """Shifts by the mean excess, cuts off the negative entries, and leaves it at that."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return (w - (w.sum() - self.radius) / w.numel()).clamp_min(0)


@dataclass(frozen=True)
class OneEntryTooFew(Simplex):
    """The level of one entry less than belongs to the support, where that has several."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        right = super().prox(w, step)
        count = max(int((right > 0).sum()) - 1, 1)
        level = (w.flatten().topk(count).values.sum() - self.radius) / count
        return (w - level).clamp_min(0)


@dataclass(frozen=True)
class UnitRadius(Simplex):
    """The projection on the simplex of radius 1, whatever the radius."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return Simplex(1.0).prox(w, step)


@dataclass(frozen=True)
class SolidSimplex(Simplex):
    """psi is finite also where the sum stays below the radius."""

    def value(self, w: Tensor) -> Tensor:
        inside = (w >= 0).all() & (w.sum() <= self.radius * (1 + 1e-9))
        return torch.where(inside, 0.0, torch.inf)


@dataclass(frozen=True)
class ProjectsTheCentre(Simplex):
    """In a diagonal metric the Euclidean projection of B/D."""

    def metric_prox(self, B: Tensor, D: Tensor, lam: Any) -> Tensor:
        return self.prox(B / D, lam)


@dataclass(frozen=True)
class LevelOfTheSupport(Simplex):
    """The certificate takes the mean slope of the support for mu, whatever lies beyond."""

    def subgradient_residual(self, point: Tensor, gradient: Tensor, lam: Any) -> Tensor:
        held = point > 0
        mu = -(gradient * held).sum() / held.sum()
        return torch.where(held, gradient + mu, (gradient + mu).clamp_max(0))


@dataclass(frozen=True)
class DistanceOfTheSum(Simplex):
    """violation measures the sum alone."""

    def violation(self, w: Tensor) -> Tensor:
        return (w.double().sum() - self.radius).abs()


@dataclass(frozen=True)
class OneFace(Simplex):
    """Names one manifold, the whole simplex, and counts the zeros of its faces."""

    def structure(self, w: Tensor) -> Tensor:
        return torch.empty(0, dtype=torch.bool, device=w.device)


@dataclass(frozen=True)
class NanInEqualEntries(Simplex):
    """Divides by the range of the entries."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        spread = w.amax() - w.amin()
        return super().prox(w / spread * spread, step)


@dataclass(frozen=True)
class NanInViolation(Simplex):
    """The distance is NaN where the sum is negative."""

    def violation(self, w: Tensor) -> Tensor:
        return super().violation(w) + 0 * w.double().sum().sqrt()


MUTANTS = [
    wrong_regularizer(Rescaled, *PROX, "prox-homotopy"),
    wrong_regularizer(ShiftedOnce, *PROX, "violation-claim"),
    wrong_regularizer(OneEntryTooFew, *PROX),
    wrong_regularizer(UnitRadius, PROX[0]),
    wrong_regularizer(SolidSimplex, PROX[0]),
    wrong_regularizer(ProjectsTheCentre, "metric-prox-claim", "subproblem-oracle", "subproblem-high-precision"),
    wrong_regularizer(LevelOfTheSupport, "minimum-norm-subgradient"),
    wrong_regularizer(DistanceOfTheSum, "violation-claim"),
    wrong_regularizer(OneFace, "structure-claim"),
    wrong_regularizer(NanInEqualEntries, *PROX, "prox-homotopy"),
    wrong_regularizer(NanInViolation, "violation-claim"),
]
