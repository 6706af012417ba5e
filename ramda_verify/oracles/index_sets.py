"""Which entries of a tensor belong together, found by walking over every index of it.

No formula is shared with the library, which reduces over axes.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ramda_verify.oracles.answer import Array

Indices = NDArray[np.intp]

#: Whether a group is one input channel of the linear map (True) or one output channel.
READS_AN_INPUT = {"input": True, "channel": True, "output": False, "filter": False}
#: The weight of a linear map is (out, in/conv_groups, *kernel) or (in, out/conv_groups, *kernel).
LAYOUTS = ("out_in", "in_out")


def every(shape: tuple[int, ...]) -> Indices:
    """All flat (row-major) indices of a tensor of ``shape``."""
    return np.arange(math.prod(shape), dtype=np.intp)


def matrix_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """(out, everything else). Raises ValueError on a shape without axes."""
    if not shape:
        raise ValueError(f"a matrix needs at least one axis, got shape {shape}")
    return shape[0], math.prod(shape[1:])


def as_matrix(w: Array) -> Array:
    """The tensor as (out, everything else), row by row."""
    return np.stack([np.asarray(row).ravel() for row in w])


@lru_cache(maxsize=256)
def group_index_sets(
    shape: tuple[int, ...], grouping: str, layout: str = "out_in", conv_groups: int = 1
) -> tuple[Indices, ...]:
    """One array of flat (row-major) indices per group, by enumeration of every index of a tensor of ``shape``.

    Every entry of the weight links one input channel to one output channel; both numbers are computed from its index.
    Raises ValueError on an unknown grouping or layout, fewer than 2 dimensions, or blocks that do not fit.
    """
    if grouping not in READS_AN_INPUT or layout not in LAYOUTS or len(shape) < 2 or shape[0] % conv_groups:
        raise ValueError(
            f"grouping {grouping!r}, layout {layout!r}, {conv_groups} blocks of the shape {shape} are not defined"
        )
    members: dict[int, list[int]] = {}
    for flat, index in enumerate(np.ndindex(*shape)):
        whole, within = index[0], index[1]
        # The second axis numbers the channels of one block; the block is that of the channel on the first axis.
        split = (whole * conv_groups // shape[0]) * shape[1] + within
        output, source = (whole, split) if layout == "out_in" else (split, whole)
        members.setdefault(source if READS_AN_INPUT[grouping] else output, []).append(flat)
    return tuple(np.array(members[group], dtype=np.intp) for group in sorted(members))
