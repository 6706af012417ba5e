"""What the inner solvers ask of one subproblem, or of many in lock-step: their formulas are written once for both."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from solvers import validate
from solvers.regularizers.base import offers
from solvers.regularizers.members import Regularizer, Scalar
from solvers.subproblem.numbers import Numbers
from solvers.subproblem.per_problem import Number, all_of, where


@dataclass(frozen=True)
class Problems(Numbers):
    """``1/2<Z, D*Z> - <B, Z> + lam*psi(Z)``, of one problem or with a leading dimension for a batch of them.

    ``Subproblem`` is the one, ``SubproblemBatch`` the other. Elementwise formulas hold for both as they are. What sums
    over a problem or calls the regularizer, which is written for one tensor, is a method here. Numbers and flags come
    as ``per_problem`` describes them. A batch of problems has tensors of shape (batch, *shape) where one has (*shape).
    """

    B: Tensor
    D: Tensor
    lam: Scalar
    regularizer: Regularizer
    scale: float = 1.0

    #: The number of dimensions before those of one problem: 0 or 1.
    lead: ClassVar[int]

    @property
    def convex(self) -> bool:
        """Whether psi says that it is convex; Q is then strongly convex with modulus min D."""
        return offers(self.regularizer, "convex")

    def check_values(self) -> None:
        """Refuse values outside their range. Synchronises with the device.

        Raises:
            ValueError: B or D has a NaN or an infinity, or D an entry <= 0.
        """
        validate.finite("B", self.B)
        validate.finite("D", self.D)
        if self.D.numel() > 0 and not (low := float(self.D.amin())) > 0:
            raise ValueError(f"D must be > 0 everywhere, got a smallest entry of {low:g}")

    def gradient(self, Z: Tensor) -> Tensor:
        """Gradient of the smooth part, ``D*Z - B``.

        Arguments:
            Z: of the kind of B.

        Returns:
            A tensor of the kind of B.
        """
        return torch.addcmul(-self.B, self.D, Z)

    @property
    def entries(self) -> int:
        """The number of entries of one problem."""
        return self.B.shape[self.lead :].numel()

    def flat(self, tensor: Tensor) -> Tensor:
        """Each problem's part as a vector.

        Arguments:
            tensor: of the shape of B, or one that broadcasts to it.

        Returns:
            A tensor of 1 dimension, 2 for a batch.
        """
        return tensor.reshape(*tensor.shape[: self.lead], -1)

    def product(self, slope: Tensor, move: Tensor) -> Number:
        """A number with the sign of ``<slope, move>``; its size is that of ``slope`` where the plain sum of products
        leaves the range of the dtype, else it is that sum.

        Arguments:
            slope, move: of the kind of B.

        Returns:
            The number.
        """
        plain, info = self.sum(slope * move), torch.finfo(slope.dtype)
        # What underflows adds up to less than this.
        inside = (abs(plain) > info.tiny / info.eps * self.entries) & (abs(plain) <= info.max)
        if all_of(inside):
            return plain
        size = self.largest(move.abs())
        return where(inside, plain, self.sum(slope * (move / self.along(where(size > 0, size, 1.0), move))))

    @abstractmethod
    def prox(self, w: Tensor, theta: Any) -> Tensor:
        """The prox of ``theta*lam*psi``.

        Arguments:
            w: of the kind of B.
            theta: a number > 0, one of each problem or of each block.

        Returns:
            A tensor of the kind of B; NaN where ``w`` or the step has left the range of its dtype.
        """

    @abstractmethod
    def step_lipschitz(self, step_rule: str = "block") -> Tensor:
        """L, the largest entry of D: of each problem, or of each block of a regularizer that separates.

        Arguments:
            step_rule: "global" or "block".

        Returns:
            A tensor that broadcasts to D, of a batch one of shape (batch,) where each has a single L.

        Raises:
            ValueError: ``step_rule`` is none of the two.
        """
