"""How the axes of a weight tensor stand for the inputs and outputs of a linear map."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from solvers import validate

#: Which side the first axis numbers: "out_in" is (out, in/conv_groups, *kernel), the order of nn.Linear and of
#: convolutions; "in_out" is (in, out/conv_groups, *kernel), that of transposed convolutions and of GPT-2's Conv1D.
ORDERS = ("out_in", "in_out")


@dataclass(frozen=True)
class WeightLayout:
    """The order of a weight's axes and the number of blocks of a convolution with groups.

    A convolution with ``conv_groups`` blocks (its ``groups``) maps block q of the input channels to block q of the
    output channels, so its weight is block diagonal and only the blocks are stored: entry ``[o, j]`` of an "out_in"
    weight reads the input channel ``q*(in/conv_groups) + j``, where q is the block of the output channel o; entry
    ``[i, j]`` of an "in_out" weight makes the output channel ``q*(out/conv_groups) + j``, where q is the block of i.

    Arguments:
        order: "out_in" or "in_out".
        conv_groups: number of blocks, an integer >= 1; it divides the length of the first axis.

    Raises:
        ValueError or TypeError: ``order`` is neither of the two, or ``conv_groups`` is no integer >= 1.
    """

    order: str = "out_in"
    conv_groups: int = 1

    def __post_init__(self) -> None:
        validate.one_of("layout", self.order, ORDERS)
        validate.positive_integer("conv_groups", self.conv_groups)

    def check_shape(self, shape: Sequence[int]) -> None:
        """Raise ValueError unless the first axis of ``shape`` has ``conv_groups`` equal blocks."""
        if self.conv_groups > 1 and (len(shape) < 2 or shape[0] % self.conv_groups):
            raise ValueError(
                f"conv_groups must divide the first length of a weight, got {self.conv_groups} and {tuple(shape)}"
            )

    def blocks(self, w: Tensor) -> Tensor:
        """``w`` as (conv_groups, first/conv_groups, second, *kernel), a view of the same memory.

        Arguments:
            w: a tensor whose first length ``conv_groups`` divides.

        Returns:
            The view, of one dimension more.
        """
        return torch.unflatten(w, 0, (self.conv_groups, -1))

    def swapped(self, w: Tensor) -> Tensor:
        """The same linear map in the other order: (out, in/g, *kernel) from (in, out/g, *kernel) or back, a copy.

        Arguments:
            w: a tensor of 2 or more dimensions whose first length ``conv_groups`` divides.

        Returns:
            The copy, in which the first two axes of each block have changed places.
        """
        return self.blocks(w).transpose(1, 2).flatten(0, 1)
