"""Groups of a weight tensor: the only place that knows their axes and the only place that weighs their size."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from solvers import validate
from solvers.regularizers.base import accumulation_dtype
from solvers.regularizers.layout import WeightLayout

#: The side of the linear map that numbers the groups: a group is all weights that read one input (channel), or all
#: that make one output (channel).
GROUP_SIDE = {"input": "in", "output": "out", "channel": "in", "filter": "out"}

#: A norm above the largest number of float64, which finite entries may have, is kept times this.
SMALL_UNIT = 2.0**-100


class GroupsInMemory(NamedTuple):
    """In the order of memory a tensor is an array (blocks, outer, groups, inner); a group is one index of the first
    and the third axis.
    """

    blocks: int
    outer: int
    groups: int
    inner: int


@dataclass(frozen=True)
class Grouping:
    """Groups of a tensor of 2 to 5 dimensions, one per input or one per output of the linear map that it stands for.

    In a weight (out, in, *kernel) ``input`` and ``channel`` are the indices of axis 1, ``output`` and ``filter`` those
    of axis 0; ``layout`` "in_out" swaps the two. In a convolution with groups the second axis is split: there a group
    is one pair (block of the first axis, index of the second axis), see ``WeightLayout``.

    Reductions run over a view of the tensor and come back in a shape that broadcasts against it: 1 along every axis
    that is reduced over, and the length of the first axis where the groups are pairs.

    Arguments:
        name: "input", "channel", "output" or "filter".
        layout: "out_in" or "in_out", the order of the first two axes.
        conv_groups: the number of blocks of a convolution with groups.

    Raises:
        ValueError or TypeError: an argument is none of these.
    """

    name: str
    layout: str = "out_in"
    conv_groups: int = 1

    def __post_init__(self) -> None:
        validate.one_of("grouping", self.name, tuple(GROUP_SIDE))
        WeightLayout(self.layout, self.conv_groups)

    @property
    def weight_layout(self) -> WeightLayout:
        """The order of the axes and the blocks, which the side of the groups does not change."""
        return WeightLayout(self.layout, self.conv_groups)

    @property
    def axis(self) -> int:
        """The axis whose indices are the groups, within a block."""
        return 0 if self.layout.startswith(GROUP_SIDE[self.name]) else 1

    @property
    def blocks(self) -> int:
        """Blocks of the first axis, each with groups of its own; 1 where the first axis itself numbers the groups."""
        return self.conv_groups if self.axis == 1 else 1

    def check_shape(self, shape: Sequence[int]) -> None:
        """Raise ValueError unless ``shape`` has 2 to 5 dimensions, at least one entry, and ``conv_groups`` blocks."""
        if not 2 <= len(shape) <= 5 or 0 in shape:
            raise ValueError(
                f"grouping {self.name!r} needs a nonempty tensor of 2 to 5 dimensions, got shape {tuple(shape)}"
            )
        self.weight_layout.check_shape(shape)

    def sum(self, w: Tensor) -> Tensor:
        """Sum over each group in float64, so that long groups lose nothing; broadcasts against ``w``.

        Arguments:
            w: a floating-point tensor of a shape that ``check_shape`` allows.

        Returns:
            The sums, float64: 1 long along every axis that is reduced over.
        """
        return self._reduced(w, lambda view, axes: view.sum(dim=axes, keepdim=True, dtype=torch.float64))

    def max(self, w: Tensor) -> Tensor:
        """Largest entry of each group; broadcasts against ``w``.

        Arguments:
            w: a floating-point tensor of a shape that ``check_shape`` allows.

        Returns:
            The largest entries, in the dtype of ``w``: 1 long along every axis that is reduced over.
        """
        return self._reduced(w, lambda view, axes: view.amax(dim=axes, keepdim=True))

    def norm(self, w: Tensor) -> Tensor:
        """Euclidean norm of each group, in float64: that of entries in the range of float32 may lie above it.
        Broadcasts against ``w``.

        Arguments:
            w: a floating-point tensor of a shape that ``check_shape`` allows.

        Returns:
            The norms, float64: 1 long along every axis that is reduced over. Infinite only where the norm of entries in
            float64 is above the largest number.
        """
        norm, unit = self.norm_in_unit(w)
        return norm / unit

    def norm_in_unit(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """The norm of each group times a power of two, and that power, with which the product is in range: 1 but for
        groups of the largest numbers.

        Scaled by the largest entry first, so that no square vanishes or overflows: the norm is zero only at zero.

        Arguments:
            w: as ``norm`` takes it.

        Returns:
            Two tensors of the shape that ``norm`` returns, float64.
        """
        w = w.to(accumulation_dtype(w))
        scale = self.max(w.abs())
        safe = torch.where(scale > 0, scale, torch.ones_like(scale))
        wide, root = scale.double(), self.sum((w / safe).square()).sqrt()
        unit = torch.ones_like(wide).masked_fill(torch.isinf(wide * root), SMALL_UNIT)
        return wide * unit * root, unit

    def count(self, shape: Sequence[int]) -> int:
        """Number of groups.

        Arguments:
            shape: that of a tensor that ``check_shape`` allows.

        Returns:
            The number.
        """
        return self.blocks * shape[self.axis]

    def size_weight(self, shape: Sequence[int]) -> float:
        """sqrt(|g|), the weight of a group's norm (the groups of one tensor are all of one size).

        Arguments:
            shape: that of a tensor that ``check_shape`` allows.

        Returns:
            The root of the number of entries of a group.
        """
        return math.sqrt(math.prod(shape) // self.count(shape))

    def flat(self, per_group: Tensor) -> Tensor:
        """A reduction as a vector with one entry per group, in the order of the inputs or outputs.

        Arguments:
            per_group: what ``sum``, ``max`` or ``norm`` returns.

        Returns:
            A tensor of shape (count,).
        """
        if self.blocks == 1:
            return per_group.reshape(-1)
        return self.weight_layout.blocks(per_group)[:, 0].reshape(-1)

    def in_memory(self, w: Tensor) -> GroupsInMemory | None:
        """Where the groups lie in memory; None for a tensor with gaps or overlaps, or where they form no such array.

        Arguments:
            w: a floating-point tensor of a shape that ``check_shape`` allows.

        Returns:
            The array (blocks, outer, groups, inner) that the entries are in the order of memory, or None.
        """
        order = memory_order(w)
        if order is None:
            return None
        if self.blocks == 1:
            place = order.index(self.axis)
            before, after = order[:place], order[place + 1 :]
            return GroupsInMemory(
                1, math.prod(w.shape[a] for a in before), w.shape[self.axis], math.prod(w.shape[a] for a in after)
            )
        return _merged([part for axis in order for part in self._parts(w, axis)])

    def _parts(self, w: Tensor, axis: int) -> list[tuple[int, bool]]:
        """(length, whether it numbers groups) of the axes that ``axis`` is in the view by blocks."""
        if axis == 0:
            return [(self.blocks, True), (w.shape[0] // self.blocks, False)]
        return [(w.shape[axis], axis == 1)]

    def _reduced(self, w: Tensor, reduce: Callable[[Tensor, tuple[int, ...]], Tensor]) -> Tensor:
        if self.blocks == 1:
            return reduce(w, tuple(axis for axis in range(w.ndim) if axis != self.axis))
        view = self.weight_layout.blocks(w)
        found = reduce(view, (1, *range(3, view.ndim)))
        return found.expand(-1, view.shape[1], *found.shape[2:]).flatten(0, 1)


def _merged(parts: list[tuple[int, bool]]) -> GroupsInMemory | None:
    """Neighbouring axes that both number groups, or both do not, are one; at most (blocks, outer, groups, inner)
    remain.
    """
    runs: list[tuple[int, bool]] = []
    for length, numbers in parts:
        if length == 1:
            continue
        if runs and runs[-1][1] == numbers:
            runs[-1] = (runs[-1][0] * length, numbers)
        else:
            runs.append((length, numbers))
    lengths, kinds = [length for length, _ in runs], [numbers for _, numbers in runs]
    if kinds.count(True) == 2 and kinds[0]:
        return GroupsInMemory(*lengths, *([] if len(lengths) == 4 else [1]))
    if kinds.count(True) == 2:
        return None
    place = kinds.index(True) if True in kinds else len(kinds)
    groups = math.prod(lengths[place : place + 1])
    return GroupsInMemory(1, math.prod(lengths[:place]), groups, math.prod(lengths[place + 1 :]))


def memory_order(w: Tensor) -> list[int] | None:
    """The axes of ``w`` from the slowest to the fastest in memory; None unless its entries fill a block of memory."""
    if w.is_contiguous():
        return list(range(w.ndim))
    # An axis of length 1 may have any stride; it goes first, where it does no harm.
    order = sorted(range(w.ndim), key=lambda axis: -w.stride()[axis] if w.shape[axis] > 1 else -math.inf)
    expected = 1
    for axis in reversed(order):
        if w.shape[axis] > 1:
            if w.stride()[axis] != expected:
                return None
            expected *= w.shape[axis]
    return order
