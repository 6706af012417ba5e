"""Wrong solutions of the subproblem in closed or scalar form."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from solvers import L1, GroupLasso, MetricProx
from solvers.regularizers.base import shrink
from tests.mutants.mutant import wrong_regularizer

CLAIM = ("metric-prox-claim", "subproblem-high-precision")


@dataclass(frozen=True)
class IgnoresMetric(GroupLasso):
    """Solves with D = 1."""

    def metric_prox(self, B: Tensor, D: Tensor, lam: Any) -> MetricProx:
        return super().metric_prox(B, torch.ones_like(D), lam)


@dataclass(frozen=True)
class DividesEarly(GroupLasso):
    """The ordinary prox of B/D with the threshold of the undivided problem."""

    def metric_prox(self, B: Tensor, D: Tensor, lam: Any) -> MetricProx:
        return MetricProx(GroupLasso(lam * self.reg_weight, self.grouping).prox(B / D, 1.0), 1)


@dataclass(frozen=True)
class MeanMetric(GroupLasso):
    """The ordinary prox of B/D with the mean of D: right for constant D."""

    def metric_prox(self, B: Tensor, D: Tensor, lam: Any) -> MetricProx:
        return MetricProx(self.prox(B / D, lam / float(D.mean())) if lam > 0 else B / D, 1)


def of_length(B: Tensor, D: Tensor, threshold: float, r: Tensor, active: Tensor) -> MetricProx:
    """The point of the group equation for the length ``r``, right or wrong."""
    return MetricProx(torch.where(active, r * B / (r * D + threshold).clamp_min(1e-300), 0.0), 1)


@dataclass(frozen=True)
class NoNewtonStep(GroupLasso):
    """Takes the starting point of the iteration for the root."""

    def metric_prox(self, B: Tensor, D: Tensor, lam: Any) -> MetricProx:
        size, threshold = self.groups.norm(B), lam * self.group_weight(B)
        mean = self.groups.sum(D * B * B) / size.square().clamp_min(1e-300)
        return of_length(B, D, threshold, (size - threshold) / mean.clamp_min(1e-300), size > threshold)


@dataclass(frozen=True)
class UpperBoundForRoot(GroupLasso):
    """Takes the upper bound (||B|| - t)/min D for the root."""

    def metric_prox(self, B: Tensor, D: Tensor, lam: Any) -> MetricProx:
        size, threshold = self.groups.norm(B), lam * self.group_weight(B)
        smallest = -self.groups.max(-D)
        return of_length(B, D, threshold, (size - threshold) / smallest, size > threshold)


@dataclass(frozen=True)
class MetricSizeForgotten(GroupLasso):
    """The metric prox lacks sqrt(|g|)."""

    def metric_prox(self, B: Tensor, D: Tensor, lam: Any) -> MetricProx:
        return super().metric_prox(B, D, lam / self.groups.size_weight(B.shape))


@dataclass(frozen=True)
class EndlessIteration(GroupLasso):
    """Right, after a hundred iterations."""

    def metric_prox(self, B: Tensor, D: Tensor, lam: Any) -> MetricProx:
        return super().metric_prox(B, D, lam)._replace(iterations=100)


@dataclass(frozen=True)
class ThresholdAfterDivision(L1):
    """Shrinks B/D by the threshold of B."""

    def metric_prox(self, B: Tensor, D: Tensor, lam: Any) -> Tensor:
        return shrink(B / D, lam * self.reg_weight)


@dataclass(frozen=True)
class SmallEntriesLost(L1):
    """A guard against division by zero that is far too large."""

    def metric_prox(self, B: Tensor, D: Tensor, lam: Any) -> Tensor:
        return shrink(B, lam * self.reg_weight) / (D + 1e-8)


@dataclass(frozen=True)
class TenthDigit(L1):
    """A threshold that is late by 1e-10 of itself: the prox step at the end of ``solve`` mends it."""

    def metric_prox(self, B: Tensor, D: Tensor, lam: Any) -> Tensor:
        return shrink(B, lam * self.reg_weight * (1 + 1e-10)) / D


MUTANTS = [
    wrong_regularizer(IgnoresMetric, *CLAIM, "metric-prox-search"),
    wrong_regularizer(DividesEarly, *CLAIM, "group-norm-equation"),
    wrong_regularizer(MeanMetric, *CLAIM, "metric-prox-search"),
    wrong_regularizer(NoNewtonStep, "group-norm-equation"),
    wrong_regularizer(UpperBoundForRoot, *CLAIM, "group-norm-equation"),
    wrong_regularizer(MetricSizeForgotten, *CLAIM, "group-norm-equation"),
    wrong_regularizer(EndlessIteration, "group-norm-equation"),
    wrong_regularizer(ThresholdAfterDivision, *CLAIM),
    wrong_regularizer(SmallEntriesLost, "subproblem-high-precision"),
    wrong_regularizer(TenthDigit, "subproblem-high-precision"),
]
