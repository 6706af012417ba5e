"""psi = 0: a parameter without regularizer, so that it needs no special case anywhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from solvers.regularizers.base import check_prox_arguments
from solvers.regularizers.groups import memory_order
from solvers.regularizers.members import GroupNorms, Scalar


@dataclass(frozen=True)
class Zero:
    """``psi(w) = 0``. Its prox is the identity and the subproblem's solution is ``B / D``."""

    convex: ClassVar[bool] = True
    separable: ClassVar[bool] = True

    def check_shape(self, shape: Sequence[int]) -> None:
        """Every shape is allowed."""

    def value(self, w: Tensor) -> Tensor:
        return w.new_zeros(())

    def prox(self, w: Tensor, step: Scalar) -> Tensor:
        check_prox_arguments(w, step)
        return w.clone()

    def metric_prox(self, B: Tensor, D: Tensor, lam: Scalar) -> Tensor:
        return B / D

    def group_norms(self, w: Tensor) -> GroupNorms | None:
        return None if memory_order(w) is None else GroupNorms(0.0, 1, w.numel(), 1)

    def subgradient_residual(self, point: Tensor, gradient: Tensor, lam: Scalar) -> Tensor:
        return gradient

    def structure(self, w: Tensor) -> Tensor:
        """There is one manifold, the whole space: an empty mask."""
        return torch.empty(0, dtype=torch.bool, device=w.device)

    def sparsity(self, w: Tensor) -> tuple[int, int]:
        return 0, 0
