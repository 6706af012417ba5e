"""What rounding may do to the numbers of subproblems: to psi, to Q, to a residual, and through a user's inexact prox.

What is asked of a prox is written in checks/regularizer/objective.py; here is what follows from it for a solver that
calls it. Every method gives one number for each problem.
"""

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ramda_verify.cases.exact_set import ROUNDING, edge, is_constrained
from ramda_verify.checks.helpers import Array, tensor
from ramda_verify.checks.regularizer.objective import (
    ACCURACY,
    EPS,
    STEP_ROUNDING,
    Psi,
    mixed_signs,
    slopes,
    unless_jump,
)
from ramda_verify.checks.subproblem.rows import column, norms, sizes
from ramda_verify.oracles.psi import is_known
from solvers.subproblem.criterion import rounding_floor

if TYPE_CHECKING:
    from ramda_verify.checks.subproblem.batches import Problems

#: Roundings by which the numbers that a point is computed from move it.
ROUNDINGS = 32
#: No prox is asked for a smaller step where psi is looked for beside a point; other checks ask for those.
LEAST_STEP = 1e-100


class Rounding:
    """Of the problems of one batch."""

    def __init__(self, problems: "Problems") -> None:
        self._problems = problems
        self._known = is_known(problems.regularizer)

    @cached_property
    def _psi(self) -> Psi:
        return Psi(self._problems.regularizer, tuple(self._problems.B.shape[1:]))

    @cached_property
    def _constrained(self) -> bool:
        return is_constrained(self._problems.regularizer, tuple(self._problems.B.shape[1:]))

    @cached_property
    def unit(self) -> Array:
        """What a residual is small beside: the largest of B, and of D times the numbers that psi has of its own, to
        which a prox rounds; one of ours rounds to prox(0, 1) only.
        """
        own = self._psi.anchor if self._known else self._psi.own_size
        return np.maximum(sizes(self._problems.B), self._problems.largest * own)

    def floors(self, points: Tensor) -> Array:
        """What rounding alone can leave of a residual at these points."""
        return np.asarray(rounding_floor(self._problems.batch, points))

    def prox_error(self, points: Tensor) -> Array:
        """What the inexactness that a user's prox is allowed may do to a residual at these points: its share of the
        move that made them, which is the slope over D, and the rounding of its step. 0 of ours.
        """
        problems = self._problems
        if self._known:
            return np.zeros(len(problems))
        move = norms(problems.D * points - problems.B)
        return ACCURACY * move + STEP_ROUNDING * self._slope(points, 1e-3 * sizes(points, problems.B / problems.D))

    def terms(self, points: Tensor) -> Array:
        """lam * psi of the magnitudes of the entries, with and without two signs in three: what psi may be a difference
        of; at least lam * psi at its own size. 0 where that is infinite.
        """
        problems = self._problems
        mixed = tensor(mixed_signs(tuple(problems.B.shape[1:]))) * points.abs()
        found = np.stack([problems.psi(points.abs()), problems.psi(mixed)])
        own = np.abs(problems.lam.numpy() * self._psi.value_at_own_size)
        return np.maximum(np.where(np.isfinite(found), np.abs(found), 0.0).max(axis=0), own)

    def lowest_psi(self, points: Tensor, scale: Array) -> Array:
        """The lowest lam * psi within a few roundings of points that were computed from numbers of size ``scale``: at
        rounded entries, which are zero or equal where they should be, and towards a prox, which is on a kink between
        many entries, as that of their mean.
        """
        problems = self._problems
        widest = ROUNDINGS * EPS * np.maximum(sizes(points), scale)
        unit = column(widest, points)
        near = [unit * (torch.round(points / unit + shift) - shift) for shift in (0.0, 0.5)]
        slope = self._slope(points, widest)
        step = widest / np.where(slope > 0, slope, 1.0)
        towards = problems.batch.prox(points, torch.as_tensor(np.where(step > LEAST_STEP, step, 1.0))) - points
        near.append(points + torch.minimum(torch.maximum(towards, -unit), unit))
        return np.asarray(problems.psi(torch.stack([points, *near])).min(axis=0))

    def edge(self, points: Tensor) -> Array:
        """How far rounding may put points on either side of the edge of a set, relative to them and to what they are
        projections of: some slope/D away. 0 where psi is finite.
        """
        problems = self._problems
        if not self._constrained:
            return np.zeros(len(problems))
        moves = (problems.B - problems.D * points) / column(problems.largest, points)
        return np.asarray(edge(sizes(points, moves), problems.B[0].numel()))

    def of_Q(self, points: Tensor, *origins: Tensor) -> Array:
        """How far Q may be moved at points that were computed from numbers of the size of ``origins`` and of B/D: by
        the sums that psi is; by the points, along the slope of psi; over the edge of a set, along that of the rest.
        """
        problems = self._problems
        terms = self.terms(points)
        unit = ROUNDINGS * EPS * sizes(points, *origins, problems.B / problems.D)
        convex = problems.single.convex
        spread = unit * self._slope(points, unit, zeros=convex)
        if not convex:
            spread = unless_jump(spread, unit / 4 * self._slope(points, unit / 4, zeros=False), terms)
        return np.asarray(ROUNDING * terms + 2 * norms(problems.B - problems.D * points) * self.edge(points) + spread)

    def _slope(self, points: Tensor, unit: Array, *, zeros: bool = True) -> Array:
        """About the length of a subgradient of lam * psi, or of the part of it where the points are not zero."""
        return slopes(lambda stack: self._problems.psi(tensor(stack)), points.numpy(), unit, zeros=zeros)
