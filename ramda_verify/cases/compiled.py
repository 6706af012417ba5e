"""The registered regularizers that compiled steps take, those that offer ``group_norms``, as cases need them."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any

import torch

from ramda_verify.engine.targets import known_regularizers
from solvers import Zero
from solvers.regularizers import WeightLayout
from solvers.regularizers.base import offers
from solvers.regularizers.layout import ORDERS

#: What a regularizer of groups calls them, see ``solvers.regularizers.Grouping``.
GROUPING = ("grouping", "layout", "conv_groups")


@cache
def of_groups() -> tuple[Any, ...]:
    """Examples that take every order of a weight's axes by ``for_layout``: their groups are parts of a linear map."""
    return tuple(example for example in _examples() if all(_in_layout(example, order, 1, (2, 3)) for order in ORDERS))


@cache
def of_entries() -> tuple[Any, ...]:
    """Examples without a layout, the groups of which are entries, and psi = 0."""
    return (*(example for example in _examples() if not offers(example, "for_layout")), Zero())


def in_blocks(order: str, conv_groups: int, shape: tuple[int, ...]) -> list[Any]:
    """``of_groups`` for the weight of a convolution with groups, where a group is a pair (block, index)."""
    found = (_in_layout(example, order, conv_groups, shape) for example in of_groups())
    pairs, weight = conv_groups * shape[1], torch.zeros(shape)
    return [regularizer for regularizer in found if regularizer.group_norms(weight).all_groups == pairs]


def on_axes(shape: tuple[int, ...]) -> list[Any]:
    """``of_groups`` for a weight of this shape, in both orders of its axes."""
    return [_in_layout(example, order, 1, shape) for example in of_groups() for order in ORDERS]


@cache
def grouped_as(grouping: str, layout: str, conv_groups: int) -> tuple[Any, ...]:
    """Of each class with a grouping the plainest example, with this one."""
    found: dict[type, Any] = {}
    for example in _examples():
        if is_dataclass(example) and {*GROUPING} <= {field.name for field in fields(example)}:
            found.setdefault(type(example), example)
    kind = dict(zip(GROUPING, (grouping, layout, conv_groups), strict=True))
    return tuple(replace(example, **kind) for example in found.values())


def _examples() -> Iterator[Any]:
    for cls in known_regularizers().values():
        described: Any = cls
        if offers(cls, "group_norms") and offers(cls, "examples"):
            yield from described.examples()


def _in_layout(example: Any, order: str, conv_groups: int, shape: tuple[int, ...]) -> Any:
    """The example in this layout; None where it has another one of its own, or none."""
    if not offers(example, "for_layout"):
        return None
    try:
        return example.for_layout(WeightLayout(order, conv_groups), shape)
    except ValueError:
        return None
