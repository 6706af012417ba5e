"""The group LASSO norm with size weights: zero groups."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from solvers import validate
from solvers.regularizers.base import GroupNorms, MetricProx, check_prox_arguments
from solvers.regularizers.groups import Grouping
from solvers.regularizers.norm_equation import solve_norm_equation


@dataclass(frozen=True)
class GroupLasso:
    """``psi(w) = reg_weight * sum_g sqrt(|g|) * ||w_g||_2`` on tensors of 2 to 5 dimensions.

    ``grouping`` is "input" or "output" for (out, in) matrices, "channel" or "filter" for (out, in, *kernel)
    convolutions. Prox: every group keeps its direction and loses ``step * reg_weight * sqrt(|g|)`` of its length
    (Yuan and Lin, 2006). In a diagonal metric the length of each group is the root of a scalar equation.

    Raises ValueError or TypeError on a negative or non-finite ``reg_weight`` or an unknown ``grouping``.
    """

    reg_weight: float
    grouping: str = "input"
    convex: ClassVar[bool] = True

    def __post_init__(self) -> None:
        validate.nonnegative("reg_weight", self.reg_weight)
        validate.one_of("grouping", self.grouping, ("input", "output", "channel", "filter"))

    @property
    def groups(self) -> Grouping:
        return Grouping(self.grouping)

    def group_weight(self, w: Tensor) -> float:
        """``reg_weight * sqrt(|g|)``: what psi charges per unit of a group's norm. Every method below uses this."""
        return self.reg_weight * self.groups.size_weight(w.shape)

    def check_shape(self, shape: Sequence[int]) -> None:
        self.groups.check_shape(shape)

    def value(self, w: Tensor) -> Tensor:
        return self.group_weight(w) * self.groups.norm(w).sum()

    def prox(self, w: Tensor, step: Any) -> Tensor:
        """``step`` may also be a tensor with one entry per group, of the shape that ``blockwise_max`` returns."""
        check_prox_arguments(w, step)
        threshold = step * self.group_weight(w)
        norm = self.groups.norm(w)
        kept = torch.where(norm > threshold, 1 - threshold / norm, torch.zeros_like(norm))
        return torch.where(kept > 0, w * kept, torch.zeros_like(w)).to(w.dtype)

    def metric_prox(self, B: Tensor, D: Tensor, lam: Any) -> MetricProx:
        return solve_norm_equation(B, D, lam * self.group_weight(B), self.groups)

    def group_norms(self, w: Tensor) -> GroupNorms | None:
        found = self.groups.in_memory(w)
        return None if found is None else GroupNorms(self.group_weight(w), *found)

    def subgradient_residual(self, point: Tensor, gradient: Tensor, lam: Any) -> Tensor:
        threshold = lam * self.group_weight(point)
        norm = self.groups.norm(point)
        # At a nonzero group dpsi is one vector; at zero it is a ball and the distance is that of -gradient to it.
        direction = point / torch.where(norm > 0, norm, torch.ones_like(norm))
        size = self.groups.norm(gradient)
        outside = torch.where(size > threshold, 1 - threshold / size, torch.zeros_like(size))
        return torch.where(norm > 0, gradient + threshold * direction, gradient * outside)

    def blockwise_max(self, D: Tensor) -> Tensor:
        return self.groups.max(D)

    def zero_mask(self, B: Tensor, lam: Any) -> Tensor:
        # Theorem 1 of Deleu and Bengio (arXiv 2102.03869), with the weight of the group.
        return self.groups.norm(B) <= lam * self.group_weight(B)

    def structure(self, w: Tensor) -> Tensor:
        """Boolean mask of the nonzero groups."""
        return self.groups.flat(self.groups.max((w != 0).to(torch.uint8))).bool()

    def sparsity(self, w: Tensor) -> tuple[int, int]:
        """(parameters in zero groups, parameters)."""
        nonzero = self.structure(w)
        return int((~nonzero).sum()) * (w.numel() // nonzero.numel()), w.numel()
