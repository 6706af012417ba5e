"""The L1 norm: zero entries."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from solvers import validate
from solvers.regularizers.base import accumulation_dtype, check_prox_arguments, shrink
from solvers.regularizers.groups import memory_order
from solvers.regularizers.members import GroupNorms, Scalar


@dataclass(frozen=True)
class L1:
    """``psi(w) = reg_weight * sum_i |w_i|`` on tensors of any shape.

    Prox: the soft threshold (Parikh and Boyd, Proximal Algorithms, 2014, section 6.5.2). Separable, so the diagonal
    metric costs nothing: ``Z = shrink(B, lam*reg_weight) / D``.

    Arguments:
        reg_weight: a finite number >= 0.

    Raises:
        ValueError or TypeError: ``reg_weight`` is negative, not finite or no number.
    """

    reg_weight: float
    convex: ClassVar[bool] = True
    separable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        validate.nonnegative("reg_weight", self.reg_weight)

    @classmethod
    def examples(cls) -> "Sequence[L1]":
        """The plainest instance; the verifier varies its weight."""
        return (cls(1.0),)

    def check_shape(self, shape: Sequence[int]) -> None:
        """Every nonempty shape is allowed."""
        if 0 in shape:
            raise ValueError(f"L1 needs a nonempty tensor, got shape {tuple(shape)}")

    def value(self, w: Tensor) -> Tensor:
        return self.reg_weight * w.abs().sum(dtype=accumulation_dtype(w))

    def prox(self, w: Tensor, step: Scalar) -> Tensor:
        check_prox_arguments(w, step)
        return shrink(w, step * self.reg_weight)

    def metric_prox(self, B: Tensor, D: Tensor, lam: Scalar) -> Tensor:
        return shrink(B, lam * self.reg_weight) / D

    def group_norms(self, w: Tensor) -> GroupNorms | None:
        return None if memory_order(w) is None else GroupNorms(self.reg_weight, 1, w.numel(), 1)

    def subgradient_residual(self, point: Tensor, gradient: Tensor, lam: Scalar) -> Tensor:
        threshold = lam * self.reg_weight
        # dpsi is {sign} at a nonzero entry and [-1, 1] at zero, where the nearest point to -gradient is its clip.
        return torch.where(point != 0, gradient + threshold * torch.sign(point), shrink(gradient, threshold))

    def blockwise_max(self, D: Tensor) -> Tensor:
        return D

    def zero_mask(self, B: Tensor, lam: Scalar) -> Tensor:
        return B.abs() <= lam * self.reg_weight

    def structure(self, w: Tensor) -> Tensor:
        """Boolean mask of the nonzero entries."""
        return w != 0

    def sparsity(self, w: Tensor) -> tuple[int, int]:
        """(zero entries, entries)."""
        return w.numel() - int(torch.count_nonzero(w)), w.numel()
