"""The indicator of a simplex: nonnegative entries that sum to a given number."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from solvers import validate
from solvers.regularizers.base import check_prox_arguments
from solvers.regularizers.members import Scalar

#: A point belongs to the set for ``value`` up to this distance, in epsilons of its dtype times the radius: rounding the
#: entries of a point of the set moves it by half of one.
TOLERANCE = 16.0


@dataclass(frozen=True)
class Simplex:
    """``psi(w) = 0`` where all entries of w are >= 0 and their sum is ``radius``, else +inf; tensors of any shape.

    Prox: the projection on the set, ``z = max(w - nu, 0)`` with the one nu at which the entries sum to the radius
    (Held, Wolfe and Crowder, 1974). In a diagonal metric ``z = max((B - nu)/D, 0)``: the sum falls as nu grows and is
    linear between entries of B, so that sorting those finds the piece on which nu lies. All of it is computed in
    float64 and rounded once. The step and lam do not matter.

    ``value`` is 0 up to a distance of ``16 * eps * radius`` from the set, eps that of the dtype of w; a point that was
    rounded to a narrower dtype is not in the set for a wider one.

    Arguments:
        radius: a finite number > 0, what the entries sum to.

    Raises:
        ValueError or TypeError: ``radius`` is not positive, not finite or no number.
    """

    radius: float = 1.0
    convex: ClassVar[bool] = True

    def __post_init__(self) -> None:
        validate.positive("radius", self.radius)

    @classmethod
    def examples(cls) -> "Sequence[Simplex]":
        """The probability simplex, a small one and a large one."""
        return tuple(cls(radius) for radius in (1.0, 0.01, 300.0))

    def check_shape(self, shape: Sequence[int]) -> None:
        """Every nonempty shape is allowed."""
        if 0 in shape:
            raise ValueError(f"Simplex needs a nonempty tensor, got shape {tuple(shape)}")

    def value(self, w: Tensor) -> Tensor:
        """0 or inf, a 0-d tensor."""
        return torch.where(self._belongs(w), 0.0, torch.inf)

    def violation(self, w: Tensor) -> Tensor:
        """The Euclidean distance from ``w`` to the set, a 0-d float64 tensor; 0 inside, up to its rounding."""
        wide = w.double()
        distance: Tensor = torch.linalg.vector_norm(wide - self._projection(wide, torch.ones_like(wide)))
        return distance

    def prox(self, w: Tensor, step: Scalar) -> Tensor:
        """The point of the set that is nearest to ``w``, whatever ``step``."""
        check_prox_arguments(w, step)
        wide = w.double()
        return self._projection(wide, torch.ones_like(wide)).to(w.dtype)

    def metric_prox(self, B: Tensor, D: Tensor, lam: Scalar) -> Tensor:
        """``argmin 1/2<z, D*z> - <B, z>`` over the set, whatever ``lam``."""
        return self._projection(B.double(), D.double()).to(B.dtype)

    def _belongs(self, w: Tensor) -> Tensor:
        return self.violation(w) <= TOLERANCE * torch.finfo(w.dtype).eps * self.radius

    def _projection(self, B: Tensor, D: Tensor) -> Tensor:
        b, order = B.flatten().sort(descending=True)
        shares = (1 / D).flatten()[order]
        # The sum of the entries at nu = b_k, for every k: each gap is passed by the entries above it. No term is
        # negative, so that nothing cancels.
        gaps = (b[:-1] - b[1:]) * shares.cumsum(0)[:-1]
        sums = torch.cat([torch.zeros_like(b[:1]), gaps.cumsum(0)])
        # The smallest b_k at which they do not reach the radius, and how far below it nu is. Measured from there, an
        # entry keeps its digits however D spreads.
        anchor = torch.where(sums < self.radius, b, torch.inf).amin()
        above = B - anchor
        held = above >= 0
        rest = self.radius - torch.where(held, above / D, 0.0).sum()
        depth = rest.clamp_min(0) / torch.where(held, 1 / D, 0.0).sum()
        # In this order a NaN stays.
        return torch.where(above < 0, 0.0, (above + depth) / D)

    def subgradient_residual(self, point: Tensor, gradient: Tensor, lam: Scalar) -> Tensor:
        """The member of ``gradient + N(point)`` of least norm, N the normal cone of the set; infinite outside of it.

        A normal vector has one entry mu where ``point > 0`` and entries up to mu elsewhere.
        """
        v, held = -gradient.double(), point > 0
        # mu is the mean of v over the entries > 0 and those others that exceed it. It is the largest of the means over
        # the former and the k largest of the latter.
        count = held.sum()
        mean = torch.where(held, v, 0.0).sum() / count
        excess = torch.where(held, -torch.inf, v - mean).flatten().sort(descending=True).values.clamp_min(0)
        places = torch.arange(1, excess.numel() + 1, device=v.device)
        mu = mean + (excess.cumsum(0) / (count + places)).amax()
        residual = torch.where(held, mu - v, (mu - v).clamp_max(0))
        return torch.where(self._belongs(point), residual, torch.inf).to(point.dtype)

    def structure(self, w: Tensor) -> Tensor:
        """Boolean mask of the nonzero entries: the face of the simplex on which w lies."""
        return w != 0

    def sparsity(self, w: Tensor) -> tuple[int, int]:
        """(zero entries, entries)."""
        return w.numel() - int(torch.count_nonzero(w)), w.numel()
