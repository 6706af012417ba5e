"""The known regularizers as plain data, and psi evaluated by loops.

The group index sets are found here by walking over every index of the tensor, so that no formula is shared with the
library, which reduces over axes.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ramda_verify.oracles.answer import Array

KINDS = ("Zero", "L1", "GroupLasso", "NuclearNorm")

#: Whether a group is one input channel of the linear map (True) or one output channel.
READS_AN_INPUT = {"input": True, "channel": True, "output": False, "filter": False}
#: The weight of a linear map is (out, in/conv_groups, *kernel) or (in, out/conv_groups, *kernel).
LAYOUTS = ("out_in", "in_out")


@dataclass(frozen=True)
class PsiModel:
    """psi by name: Zero; L1, ``reg_weight*sum|w_i|``; GroupLasso, ``reg_weight*sum_g sqrt(|g|)*||w_g||``;
    NuclearNorm, ``reg_weight*sum sigma_i`` of the matrix (out, everything else).

    Raises ValueError on an unknown kind, grouping or layout.
    """

    kind: str
    reg_weight: float = 0.0
    grouping: str | None = None
    layout: str = "out_in"
    conv_groups: int = 1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {self.kind!r}")
        if self.kind == "GroupLasso" and self.grouping not in READS_AN_INPUT:
            raise ValueError(f"grouping must be one of {', '.join(READS_AN_INPUT)}, got {self.grouping!r}")
        if self.layout not in LAYOUTS:
            raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, got {self.layout!r}")


def describe(regularizer: Any) -> PsiModel | None:
    """The model of a regularizer of the library (or of a subclass that keeps ``value``); None for any other object.

    Goes by class name and module name and reads plain attributes. A class of the user's that happens to be called L1
    is not ours, and neither is a subclass that defines its own psi.
    """
    if isinstance(regularizer, PsiModel):
        return regularizer
    for cls in type(regularizer).__mro__:
        if cls.__module__.split(".")[0] == "solvers" and cls.__name__ in KINDS:
            weight = float(getattr(regularizer, "reg_weight", 0.0))
            order, blocks = getattr(regularizer, "layout", "out_in"), getattr(regularizer, "conv_groups", 1)
            return PsiModel(cls.__name__, weight, getattr(regularizer, "grouping", None), order, blocks)
        if "value" in vars(cls):
            return None
    return None


def require_model(regularizer: Any) -> PsiModel:
    """As ``describe``; raises TypeError where the regularizer is none of the known four."""
    model = describe(regularizer)
    if model is None:
        raise TypeError(
            f"regularizer must be one of {', '.join(KINDS)} of the library or a PsiModel, got {regularizer!r}"
        )
    return model


@lru_cache(maxsize=256)
def group_index_sets(
    shape: tuple[int, ...], grouping: str, layout: str = "out_in", conv_groups: int = 1
) -> tuple[NDArray[np.intp], ...]:
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


def as_matrix(w: Array) -> Array:
    """The tensor as (out, everything else), row by row."""
    return np.stack([np.asarray(row).ravel() for row in w])


def norm_terms(model: PsiModel, shape: tuple[int, ...]) -> list[tuple[float, NDArray[np.intp]]]:
    """psi as a list of (price, flat indices): ``sum price * ||w[indices]||``. Raises TypeError for the nuclear norm."""
    if model.kind == "NuclearNorm":
        raise TypeError("the nuclear norm is not a sum of norms of entries")
    if model.kind == "L1":
        return [(model.reg_weight, np.array([flat])) for flat in range(math.prod(shape))]
    if model.kind == "GroupLasso":
        sets = group_index_sets(tuple(shape), str(model.grouping), model.layout, model.conv_groups)
        return [(model.reg_weight * math.sqrt(len(indices)), indices) for indices in sets]
    return []


def psi_value(x: Array, regularizer: Any) -> float:
    """psi(x) by plain loops in float64. Raises TypeError for an unknown regularizer."""
    model = require_model(regularizer)
    x = np.asarray(x, dtype=np.float64)
    if model.kind == "NuclearNorm":
        return model.reg_weight * math.fsum(np.linalg.svd(as_matrix(x), compute_uv=False))
    flat = x.ravel()
    # hypot neither overflows nor underflows where a sum of squares would.
    return math.fsum(price * math.hypot(*flat[indices]) for price, indices in norm_terms(model, x.shape))
