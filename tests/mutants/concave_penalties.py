"""Wrong minimax concave penalties: the branch past gamma, the jump, the metric, the members."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from solvers import MCP
from solvers.regularizers.base import check_prox_arguments, shrink
from tests.mutants.mutant import wrong_regularizer

PROX = "prox-minimises"


def firm(regularizer: MCP, w: Tensor, step: Any) -> Tensor:
    """The formula below step = gamma, wherever it leads."""
    shrunk = shrink(w, step * regularizer.reg_weight) / (1 - step / regularizer.gamma)
    return torch.where(w.abs() <= regularizer.gamma * regularizer.reg_weight, shrunk, w)


@dataclass(frozen=True)
class FirmForEveryStep(MCP):
    """As textbooks print the prox, without a word on step >= gamma."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        check_prox_arguments(w, step)
        return firm(self, w, step)


@dataclass(frozen=True)
class SoftForEveryEntry(MCP):
    """Large entries are shrunk as well."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return shrink(w, step * self.reg_weight)


@dataclass(frozen=True)
class JumpsAtGamma(MCP):
    """Past gamma the entry is kept from gamma*reg_weight on, where psi becomes flat, not from where it pays."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        past = torch.as_tensor(step >= self.gamma)
        return torch.where(past, w * (w.abs() > self.gamma * self.reg_weight), super().prox(w, step))


@dataclass(frozen=True)
class JumpsALittleEarly(MCP):
    """The jump past gamma lies 2.5 % too low."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        past = torch.as_tensor(step >= self.gamma)
        jump = 0.975 * self.reg_weight * (self.gamma * step) ** 0.5
        return torch.where(past, w * (w.abs() > jump), super().prox(w, step))


@dataclass(frozen=True)
class BranchOfTheLargest(MCP):
    """In a diagonal metric its largest entry decides for all whether the objective is convex."""

    def metric_prox(self, B: Tensor, D: Tensor, lam: Any) -> Tensor:
        past = self.gamma * D.amax() <= lam
        return torch.where(past, super().metric_prox(B, D, lam), D.reciprocal() * firm(self, B, lam))


@dataclass(frozen=True)
class ConcaveResidualOfL1(MCP):
    """The certificate of the L1 norm."""

    def subgradient_residual(self, point: Tensor, gradient: Tensor, lam: Any) -> Tensor:
        threshold = lam * self.reg_weight
        return torch.where(point != 0, gradient + threshold * torch.sign(point), shrink(gradient, threshold))


@dataclass(frozen=True)
class ScreensAsL1(MCP):
    """Calls entries zero up to the threshold of the L1 norm, which holds for large D only."""

    def zero_mask(self, B: Tensor, lam: Any) -> Tensor:
        return B.abs() <= lam * self.reg_weight


@dataclass(frozen=True)
class NeverFlat(MCP):
    """psi goes on falling past gamma*reg_weight."""

    def value(self, w: Tensor) -> Tensor:
        size = w.abs()
        return (size * (self.reg_weight - size / (2 * self.gamma))).sum()


@dataclass(frozen=True)
class NanInSigns(MCP):
    """Takes the sign of an entry for w/|w|."""

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return w / w.abs() * super().prox(w.abs(), step)


MUTANTS = [
    wrong_regularizer(FirmForEveryStep, PROX, "prox-rays"),
    wrong_regularizer(SoftForEveryEntry, PROX, "prox-search"),
    wrong_regularizer(JumpsAtGamma, PROX, "prox-rays"),
    wrong_regularizer(JumpsALittleEarly, "prox-rays"),
    wrong_regularizer(BranchOfTheLargest, "metric-prox-claim", "subproblem-high-precision"),
    wrong_regularizer(ConcaveResidualOfL1, "residual-claim", "minimum-norm-subgradient"),
    wrong_regularizer(ScreensAsL1, "safe-screening"),
    wrong_regularizer(NeverFlat, PROX),
    wrong_regularizer(NanInSigns, PROX, "prox-rays", "prox-homotopy"),
]
