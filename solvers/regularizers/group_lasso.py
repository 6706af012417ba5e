"""The group LASSO norm with size weights: zero groups."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from solvers import validate
from solvers.regularizers.base import accumulation_dtype, check_prox_arguments, price_of_norm
from solvers.regularizers.group_shrinkage import shortest_with_norms, shrink_norms
from solvers.regularizers.groups import Grouping
from solvers.regularizers.layout import WeightLayout
from solvers.regularizers.members import GroupNorms, MetricProx, Scalar
from solvers.regularizers.norm_equation import solve_norm_equation


@dataclass(frozen=True, repr=False)
class GroupLasso:
    """``psi(w) = reg_weight * sum_g sqrt(|g|) * ||w_g||_2`` on tensors of 2 to 5 dimensions.

    Prox: every group keeps its direction and loses ``step * reg_weight * sqrt(|g|)`` of its length (Yuan and Lin,
    2006). In a diagonal metric the length of each group is the root of a scalar equation.

    Arguments:
        reg_weight: a finite number >= 0.
        grouping: what is one group. "input" and "channel" (two names of one thing): all weights that read one input
            or input channel, the columns of an (out, in) matrix. "output" and "filter": all weights that make one
            output or output channel, its rows.
        layout: the order of the first two axes of the weight, "out_in" as in nn.Linear and convolutions, or "in_out" as
            in transposed convolutions and GPT-2's Conv1D. ``parameter_groups`` fills it in from the layer.
        conv_groups: the ``groups`` of a convolution, whose second axis holds one block of the channels, see
            ``WeightLayout``. ``parameter_groups`` fills it in from the layer.

    Raises:
        ValueError or TypeError: ``reg_weight`` is negative, not finite or no number; another argument is none of the
            above.
    """

    reg_weight: float
    grouping: str = "input"
    layout: str = "out_in"
    conv_groups: int = 1
    convex: ClassVar[bool] = True

    def __post_init__(self) -> None:
        validate.nonnegative("reg_weight", self.reg_weight)
        Grouping(self.grouping, self.layout, self.conv_groups)

    def __repr__(self) -> str:
        """As a dataclass prints itself, without a layout and conv_groups that are the defaults."""
        shown = [f"reg_weight={self.reg_weight!r}", f"grouping={self.grouping!r}"]
        if self.layout != "out_in":
            shown.append(f"layout={self.layout!r}")
        if self.conv_groups != 1:
            shown.append(f"conv_groups={self.conv_groups!r}")
        return f"{type(self).__qualname__}({', '.join(shown)})"

    @property
    def groups(self) -> Grouping:
        """The groups as reductions of a tensor."""
        return Grouping(self.grouping, self.layout, self.conv_groups)

    def for_layout(self, layout: WeightLayout, shape: Sequence[int]) -> "GroupLasso":
        """The same groups of inputs or outputs in a weight of ``layout``.

        Raises ValueError where this regularizer already names another layout, or where ``shape`` does not fit.
        """
        if self.groups.weight_layout not in (WeightLayout(), layout):
            raise ValueError(
                f"layout={self.layout!r}, conv_groups={self.conv_groups} of the regularizer are not those of the "
                f"layer, layout={layout.order!r}, conv_groups={layout.conv_groups}"
            )
        layout.check_shape(shape)
        return replace(self, layout=layout.order, conv_groups=layout.conv_groups)

    def group_weight(self, w: Tensor) -> float:
        """``reg_weight * sqrt(|g|)``: what psi charges per unit of a group's norm. Every method below uses this.

        Arguments:
            w: a tensor of 2 to 5 dimensions; only its shape counts.

        Returns:
            The weight, the same for all groups of the tensor, since they are of one size.
        """
        return self.reg_weight * self.groups.size_weight(w.shape)

    @classmethod
    def examples(cls) -> "Sequence[GroupLasso]":
        """Rows and columns, the same of the other layout, and the pairs (block, index) of convolutions with groups; the
        verifier varies their weights.
        """
        kinds = [
            *((grouping, "out_in", 1) for grouping in ("input", "output", "channel", "filter")),
            *(("input", "in_out", 1), ("filter", "in_out", 1), ("output", "out_in", 2)),
            *(("channel", "out_in", 2), ("output", "in_out", 2), ("input", "out_in", 3), ("filter", "in_out", 3)),
        ]
        return [cls(1.0, *kind) for kind in kinds]

    def check_shape(self, shape: Sequence[int]) -> None:
        """Raise ValueError unless ``shape`` has 2 to 5 dimensions, at least one entry, and ``conv_groups`` blocks."""
        self.groups.check_shape(shape)

    def value(self, w: Tensor) -> Tensor:
        """psi(w), a 0-d tensor."""
        found = self.group_weight(w) * self.groups.flat(self.groups.norm(w)).sum()
        return found.to(accumulation_dtype(w))

    def prox(self, w: Tensor, step: Scalar) -> Tensor:
        """``step`` may also be a tensor with one entry per group, of the shape that ``blockwise_max`` returns."""
        check_prox_arguments(w, step)
        return shrink_norms(w, price_of_norm(step, self.group_weight(w)), self.groups)

    def metric_prox(self, B: Tensor, D: Tensor, lam: Scalar) -> MetricProx:
        """``argmin_z 1/2<z, D*z> - <B, z> + lam*psi(z)``, one scalar equation a group, see ``norm_equation``."""
        return solve_norm_equation(B, D, lam * self.group_weight(B), self.groups)

    def group_norms(self, w: Tensor) -> GroupNorms | None:
        """The groups in the memory of ``w``; None where it has gaps or the groups form no array (blocks, outer, groups,
        inner) in it.
        """
        found = self.groups.in_memory(w)
        if found is None:
            return None
        return GroupNorms(self.group_weight(w), found.outer, found.groups, found.inner, found.blocks)

    def subgradient_residual(self, point: Tensor, gradient: Tensor, lam: Scalar) -> Tensor:
        """The member of ``gradient + lam*dpsi(point)`` of least norm, of the shape of ``point``."""
        return shortest_with_norms(point, gradient, lam * self.group_weight(point), self.groups)

    def blockwise_max(self, D: Tensor) -> Tensor:
        """The largest entry of D in each group; broadcasts against D."""
        return self.groups.max(D)

    def zero_mask(self, B: Tensor, lam: Scalar) -> Tensor:
        """True where the group is zero in the solution, whatever D; broadcasts against B."""
        # Theorem 1 of Deleu and Bengio (arXiv 2102.03869), with the weight of the group.
        return self.groups.norm(B) <= lam * self.group_weight(B)

    def structure(self, w: Tensor) -> Tensor:
        """Boolean mask of the nonzero groups, in the order of the inputs or outputs."""
        return self.groups.flat(self.groups.max((w != 0).to(torch.uint8))).bool()

    def sparsity(self, w: Tensor) -> tuple[int, int]:
        """(parameters in zero groups, parameters)."""
        nonzero = self.structure(w)
        return int((~nonzero).sum()) * (w.numel() // nonzero.numel()), w.numel()
