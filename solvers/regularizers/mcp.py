"""The minimax concave penalty: zero entries, and no shrinkage of large ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from solvers import validate
from solvers.regularizers.base import accumulation_dtype, check_prox_arguments, shrink
from solvers.regularizers.members import Scalar


@dataclass(frozen=True)
class MCP:
    """``psi(w) = sum_i rho(|w_i|)`` on tensors of any shape, the minimax concave penalty (Zhang, 2010, equation 2.1):

    ``rho(x) = reg_weight*x - x^2/(2*gamma)`` up to ``x = gamma*reg_weight``, and the constant
    ``gamma*reg_weight^2/2`` beyond. Not convex; separable, so that a diagonal metric costs nothing.

    Prox: below ``step = gamma`` the firm threshold. From there on the objective is concave up to
    ``gamma*reg_weight``, and either zero or the entry itself is the minimiser: the entry where
    ``w^2 > gamma*reg_weight^2*step``; at equality, where both are, zero is returned.

    There is no ``zero_mask``: in a diagonal metric D the solution is zero up to ``|B| = lam*reg_weight`` where
    ``gamma*D >= lam``, but only up to ``reg_weight*sqrt(gamma*lam*D)`` where D is smaller, so that no B other than zero
    makes an entry zero whatever D.

    Arguments:
        reg_weight: a finite number >= 0, the slope at zero.
        gamma: a finite number > 0; the larger it is, the closer psi is to ``reg_weight * sum_i |w_i|``.

    Raises:
        ValueError or TypeError: an argument is none of these.
    """

    reg_weight: float
    gamma: float = 3.0
    convex: ClassVar[bool] = False
    separable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        validate.nonnegative("reg_weight", self.reg_weight)
        validate.positive("gamma", self.gamma)

    @classmethod
    def examples(cls) -> "Sequence[MCP]":
        """Penalties that are nearly the L1 norm and nearly a number of nonzeros; the verifier varies the weight."""
        return tuple(cls(1.0, gamma) for gamma in (3.0, 1.0, 0.1, 40.0))

    def check_shape(self, shape: Sequence[int]) -> None:
        """Every nonempty shape is allowed."""
        if 0 in shape:
            raise ValueError(f"MCP needs a nonempty tensor, got shape {tuple(shape)}")

    def value(self, w: Tensor) -> Tensor:
        """psi(w), a 0-d tensor."""
        size, end = w.to(accumulation_dtype(w)).abs(), self.gamma * self.reg_weight
        rising = size * (self.reg_weight - size / (2 * self.gamma))
        return torch.where(size <= end, rising, end * self.reg_weight / 2).sum()

    def prox(self, w: Tensor, step: Scalar) -> Tensor:
        """``step`` may also be a tensor of the shape of ``w``."""
        check_prox_arguments(w, step)
        return self._minimiser(w, 1.0, step)

    def metric_prox(self, B: Tensor, D: Tensor, lam: Scalar) -> Tensor:
        """A global ``argmin_z 1/2<z, D*z> - <B, z> + lam*psi(z)``, entry by entry."""
        return self._minimiser(B, D.to(accumulation_dtype(D)), lam)

    def _minimiser(self, B: Tensor, D: Scalar, lam: Scalar) -> Tensor:
        weight, gamma = self.reg_weight, self.gamma
        b = B.to(accumulation_dtype(B))
        size, own = b.abs(), b / D
        # Quotients and roots before products: near the largest number there are no gamma*D and gamma*lam.
        curvature = D - lam / gamma
        # Where the objective is convex, this is stationary on the first piece. Both sides of the quotient are small
        # where gamma*D is close to lam, and rounding may lead out of the piece.
        first = torch.sign(b) * ((size - lam * weight) / curvature).clamp(0, gamma * weight)
        firm = torch.where(own.abs() > gamma * weight, own, torch.where(size > lam * weight, first, 0.0))
        hard = torch.where(size > weight * gamma**0.5 * lam**0.5 * D**0.5, own, 0.0)
        return torch.where(torch.as_tensor(curvature > 0, device=b.device), firm, hard).to(B.dtype)

    def subgradient_residual(self, point: Tensor, gradient: Tensor, lam: Scalar) -> Tensor:
        """The member of ``gradient + lam*dpsi(point)`` of least norm, of the shape of ``point``."""
        slope = lam * (self.reg_weight - point.abs() / self.gamma).clamp_min(0)
        # psi is differentiable at a nonzero entry; at zero dpsi is [-reg_weight, reg_weight].
        return torch.where(point != 0, gradient + torch.sign(point) * slope, shrink(gradient, lam * self.reg_weight))

    def blockwise_max(self, D: Tensor) -> Tensor:
        """D itself: no entry depends on another."""
        return D

    def structure(self, w: Tensor) -> Tensor:
        """Boolean mask of the nonzero entries."""
        return w != 0

    def sparsity(self, w: Tensor) -> tuple[int, int]:
        """(zero entries, entries)."""
        return w.numel() - int(torch.count_nonzero(w)), w.numel()
