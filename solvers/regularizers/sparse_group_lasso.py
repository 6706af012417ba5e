"""The sparse group LASSO: zero groups, and zero entries in the others."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from solvers import validate
from solvers.regularizers.base import accumulation_dtype, check_prox_arguments, price_of_norm, shrink
from solvers.regularizers.group_lasso import GroupLasso
from solvers.regularizers.group_shrinkage import shortest_with_norms, shrink_norms
from solvers.regularizers.groups import Grouping
from solvers.regularizers.layout import WeightLayout
from solvers.regularizers.members import GroupNorms, MetricProx, Scalar
from solvers.regularizers.norm_equation import solve_norm_equation


@dataclass(frozen=True)
class SparseGroupLasso:
    """``psi(w) = entry_weight * sum_i |w_i| + reg_weight * sum_g sqrt(|g|) * ||w_g||_2`` on tensors of 2 to 5
    dimensions (Simon, Friedman, Hastie and Tibshirani, 2013).

    Prox: a soft threshold of the entries, then that of the group norms (Friedman, Hastie and Tibshirani, 2010). In a
    diagonal metric D likewise: ``D*z - B + lam*entry_weight*d|z| + ...`` has the same signs and zeros as the soft
    threshold of B by ``lam*entry_weight``, after which the equation of the norms is left.

    Arguments:
        reg_weight: a finite number >= 0, the weight of the group norms.
        entry_weight: a finite number >= 0, the weight of the entries.
        grouping, layout, conv_groups: the groups, as of ``GroupLasso``.

    Raises:
        ValueError or TypeError: an argument is none of these.
    """

    reg_weight: float
    entry_weight: float
    grouping: str = "input"
    layout: str = "out_in"
    conv_groups: int = 1
    convex: ClassVar[bool] = True

    def __post_init__(self) -> None:
        validate.nonnegative("entry_weight", self.entry_weight)
        self.norms  # noqa: B018 - whose constructor checks the rest

    @property
    def norms(self) -> GroupLasso:
        """The part of psi that is a sum of group norms."""
        return GroupLasso(self.reg_weight, self.grouping, self.layout, self.conv_groups)

    @property
    def groups(self) -> Grouping:
        """The groups as reductions of a tensor."""
        return Grouping(self.grouping, self.layout, self.conv_groups)

    def group_weight(self, w: Tensor) -> float:
        """``reg_weight * sqrt(|g|)``: what psi charges for a unit of a group's norm.

        Arguments:
            w: a tensor of 2 to 5 dimensions; only its shape counts.

        Returns:
            The weight, the same for all groups of the tensor, since they are of one size.
        """
        return self.reg_weight * self.groups.size_weight(w.shape)

    def for_layout(self, layout: WeightLayout, shape: Sequence[int]) -> "SparseGroupLasso":
        """The same groups of inputs or outputs in a weight of ``layout``, as ``GroupLasso.for_layout``."""
        norms = self.norms.for_layout(layout, shape)
        return replace(self, layout=norms.layout, conv_groups=norms.conv_groups)

    @classmethod
    def examples(cls) -> "Sequence[SparseGroupLasso]":
        """Those of the group LASSO, with a weight for the entries; the verifier varies both."""
        return [cls(1.0, 0.5, e.grouping, e.layout, e.conv_groups) for e in GroupLasso.examples()]

    def check_shape(self, shape: Sequence[int]) -> None:
        """Raise ValueError unless ``shape`` has 2 to 5 dimensions, at least one entry, and ``conv_groups`` blocks."""
        self.norms.check_shape(shape)

    def value(self, w: Tensor) -> Tensor:
        """psi(w), a 0-d tensor."""
        entries, norms = w.abs().sum(dtype=torch.float64), self.groups.flat(self.groups.norm(w)).sum()
        return (self.entry_weight * entries + self.group_weight(w) * norms).to(accumulation_dtype(w))

    def prox(self, w: Tensor, step: Scalar) -> Tensor:
        """``step`` may also be a tensor with one entry per group, of the shape that ``blockwise_max`` returns."""
        check_prox_arguments(w, step)
        price = price_of_norm(step, self.group_weight(w))
        return shrink_norms(self._shrunk(w, step), price, self.groups).to(w.dtype)

    def metric_prox(self, B: Tensor, D: Tensor, lam: Scalar) -> MetricProx:
        """``argmin_z 1/2<z, D*z> - <B, z> + lam*psi(z)``, one scalar equation a group, see ``norm_equation``."""
        found = solve_norm_equation(self._shrunk(B, lam), D, lam * self.group_weight(B), self.groups)
        return found._replace(point=found.point.to(B.dtype))

    def _shrunk(self, w: Tensor, lam: Scalar) -> Tensor:
        """The soft threshold of the entries, in the dtype of sums."""
        return shrink(w.to(accumulation_dtype(w)), lam * self.entry_weight)

    def group_norms(self, w: Tensor) -> GroupNorms | None:
        """The groups in the memory of ``w``, with the weight of the entries; None as of ``GroupLasso``."""
        found = self.norms.group_norms(w)
        return None if found is None else found._replace(entry_weight=self.entry_weight)

    def subgradient_residual(self, point: Tensor, gradient: Tensor, lam: Scalar) -> Tensor:
        """The member of ``gradient + lam*dpsi(point)`` of least norm, of the shape of ``point``."""
        threshold = lam * self.entry_weight
        # At a zero entry the L1 norm adds an interval, and the norm of its group nothing or, where all of the group is
        # zero, a ball: what sticks out of the intervals is then shortened as a whole.
        slope = torch.where(point != 0, gradient + threshold * torch.sign(point), shrink(gradient, threshold))
        return shortest_with_norms(point, slope, lam * self.group_weight(point), self.groups)

    def blockwise_max(self, D: Tensor) -> Tensor:
        """The largest entry of D in each group; broadcasts against D."""
        return self.groups.max(D)

    def zero_mask(self, B: Tensor, lam: Scalar) -> Tensor:
        """True where the entry is zero in the solution, whatever D: it or its group does not reach its threshold."""
        shrunk = self._shrunk(B, lam)
        return (shrunk == 0) | self.norms.zero_mask(shrunk, lam)

    def structure(self, w: Tensor) -> Tensor:
        """Boolean mask of the nonzero entries, which tells the zero groups as well."""
        return w != 0

    def sparsity(self, w: Tensor) -> tuple[int, int]:
        """(zero entries, entries), those of zero groups among them; ``norms.sparsity`` counts zero groups alone."""
        return w.numel() - int(torch.count_nonzero(w)), w.numel()
