"""Wrong sparse group LASSOs: the two thresholds in the wrong order, metric or place, and members of one part alone."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from solvers import MetricProx, SparseGroupLasso
from solvers.regularizers.base import shrink
from solvers.regularizers.members import GroupNorms
from tests.mutants.mutant import wrong_regularizer

PROX = ("prox-minimises", "prox-optimality")
METRIC = ("metric-prox-claim", "subproblem-oracle", "subproblem-high-precision")


@dataclass(frozen=True)
class GroupsBeforeEntries(SparseGroupLasso):
    """The soft threshold of entries comes after that of the groups."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return shrink(self.norms.prox(w, step), step * self.entry_weight)


@dataclass(frozen=True)
class EntriesForgotten(SparseGroupLasso):
    """The prox of the group norms alone."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return self.norms.prox(w, step)


@dataclass(frozen=True)
class EntriesAfterNormsInMetric(SparseGroupLasso):
    """In a diagonal metric the entries are shrunk once the equation of the norms is solved."""

    def metric_prox(self, B: Tensor, D: Tensor, lam: Any) -> MetricProx:
        found = self.norms.metric_prox(B, D, lam)
        return found._replace(point=shrink(found.point, lam * self.entry_weight / D))


@dataclass(frozen=True)
class EntriesOutOfMetric(SparseGroupLasso):
    """Shrinks B/D, not B, by the weight of the entries."""

    def metric_prox(self, B: Tensor, D: Tensor, lam: Any) -> MetricProx:
        return self.norms.metric_prox(D * shrink(B / D, lam * self.entry_weight), D, lam)


@dataclass(frozen=True)
class ResidualOfNorms(SparseGroupLasso):
    """The certificate of the group norms alone."""

    def subgradient_residual(self, point: Tensor, gradient: Tensor, lam: Any) -> Tensor:
        return self.norms.subgradient_residual(point, gradient, lam)


@dataclass(frozen=True)
class ResidualAtZerosWhole(SparseGroupLasso):
    """At a zero entry of a nonzero group the gradient itself."""

    def subgradient_residual(self, point: Tensor, gradient: Tensor, lam: Any) -> Tensor:
        found = super().subgradient_residual(point, gradient, lam)
        return torch.where((point == 0) & (self.norms.groups.norm(point) > 0), gradient, found)


@dataclass(frozen=True)
class ScreensTwiceTheEntries(SparseGroupLasso):
    """Calls entries zero up to twice their threshold."""

    def zero_mask(self, B: Tensor, lam: Any) -> Tensor:
        return super().zero_mask(B, lam) | (B.abs() <= 2 * lam * self.entry_weight)


@dataclass(frozen=True)
class StructureOfGroups(SparseGroupLasso):
    """Names the zero groups and counts zero entries."""

    def structure(self, w: Tensor) -> Tensor:
        return self.norms.structure(w)


@dataclass(frozen=True)
class NormsWithoutEntries(SparseGroupLasso):
    """Tells the kernels the weight of the groups alone."""

    def group_norms(self, w: Tensor) -> GroupNorms | None:
        return self.norms.group_norms(w)


@dataclass(frozen=True)
class NanInEntryWeight(SparseGroupLasso):
    """Tells the kernels a NaN for the weight of the entries."""

    def group_norms(self, w: Tensor) -> GroupNorms | None:
        claim = super().group_norms(w)
        return None if claim is None else claim._replace(entry_weight=torch.nan)


@dataclass(frozen=True)
class NanInEmptyGroups(SparseGroupLasso):
    """Divides by the norm of what the threshold of the entries leaves, also where that is nothing."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        left = shrink(w, step * self.entry_weight)
        norm = self.norms.groups.norm(left)
        return left * ((norm - step * self.norms.group_weight(w)) / norm).clamp_min(0)


MUTANTS = [
    wrong_regularizer(GroupsBeforeEntries, *PROX),
    wrong_regularizer(EntriesForgotten, *PROX, "prox-search", "prox-rays"),
    wrong_regularizer(EntriesAfterNormsInMetric, *METRIC),
    wrong_regularizer(EntriesOutOfMetric, *METRIC),
    wrong_regularizer(ResidualOfNorms, "minimum-norm-subgradient", "residual-claim"),
    wrong_regularizer(ResidualAtZerosWhole, "minimum-norm-subgradient"),
    wrong_regularizer(ScreensTwiceTheEntries, "safe-screening", "screening-switch"),
    wrong_regularizer(StructureOfGroups, "structure-claim"),
    wrong_regularizer(NormsWithoutEntries, "group-norms-claim"),
    wrong_regularizer(NanInEntryWeight, "group-norms-claim"),
    wrong_regularizer(NanInEmptyGroups, *PROX),
]
