"""Groups of a weight tensor: the only place that knows their axes and the only place that weighs their size."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from solvers import validate
from solvers.regularizers.base import accumulation_dtype

#: Axis that a grouping leaves standing: a group is one index of it, all other axes are reduced over.
#: Linear and recurrent weights are (out, in), convolution weights (out, in, *kernel).
GROUP_AXIS = {"input": 1, "channel": 1, "output": 0, "filter": 0}


@dataclass(frozen=True)
class Grouping:
    """Groups of a tensor of 2 to 5 dimensions, one per index of the axis that ``name`` stands for.

    ``input`` (a column) and ``channel`` (all weights that read one input channel) leave axis 1 standing; ``output``
    (a row) and ``filter`` (all weights of one output) leave axis 0. No tensor is reshaped or copied: reductions run
    over the other axes and keep them, so that every result broadcasts against the tensor.
    """

    name: str

    def __post_init__(self) -> None:
        validate.one_of("grouping", self.name, tuple(GROUP_AXIS))

    @property
    def axis(self) -> int:
        return GROUP_AXIS[self.name]

    def check_shape(self, shape: Sequence[int]) -> None:
        """Raise ValueError unless ``shape`` has 2 to 5 dimensions and at least one entry."""
        if not 2 <= len(shape) <= 5 or 0 in shape:
            raise ValueError(
                f"grouping {self.name!r} needs a nonempty tensor of 2 to 5 dimensions, got shape {tuple(shape)}"
            )

    def reduced_axes(self, w: Tensor) -> tuple[int, ...]:
        return tuple(axis for axis in range(w.ndim) if axis != self.axis)

    def sum(self, w: Tensor) -> Tensor:
        """Sum over each group in float64, so that long groups lose nothing; shape 1 along every reduced axis."""
        return w.sum(dim=self.reduced_axes(w), keepdim=True, dtype=torch.float64)

    def max(self, w: Tensor) -> Tensor:
        """Largest entry of each group; shape 1 along every reduced axis."""
        return w.amax(dim=self.reduced_axes(w), keepdim=True)

    def norm(self, w: Tensor) -> Tensor:
        """Euclidean norm of each group, summed in float64, as float32 at least; shape 1 along every reduced axis.

        Scaled by the largest entry first, so that no square vanishes or overflows: the norm is zero only at zero.
        """
        w = w.to(accumulation_dtype(w))
        scale = self.max(w.abs())
        safe = torch.where(scale > 0, scale, torch.ones_like(scale))
        return scale * self.sum((w / safe).square()).sqrt().to(w.dtype)

    def in_memory(self, w: Tensor) -> tuple[int, int, int] | None:
        """(outer, groups, inner): what lies around the standing axis in the order of memory; None for a tensor with
        gaps or overlaps.
        """
        order = memory_order(w)
        if order is None:
            return None
        place = order.index(self.axis)
        return (
            math.prod(w.shape[axis] for axis in order[:place]),
            w.shape[self.axis],
            math.prod(w.shape[axis] for axis in order[place + 1 :]),
        )

    def count(self, shape: Sequence[int]) -> int:
        """Number of groups."""
        return shape[self.axis]

    def size_weight(self, shape: Sequence[int]) -> float:
        """sqrt(|g|), the weight of a group's norm (the groups of one tensor are all of one size)."""
        return math.sqrt(math.prod(shape) // shape[self.axis])

    def flat(self, per_group: Tensor) -> Tensor:
        """A keepdim result as a vector with one entry per group."""
        return per_group.reshape(-1)


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
