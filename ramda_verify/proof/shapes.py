"""Shapes of tensors of one entry, of two, and of one group, where the class takes them."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

#: (axis, dimensions) of a tensor with ``n`` entries along one axis, from the plainest on.
FORMS = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (0, 4), (1, 4), (0, 5), (1, 5))
#: A tensor of fewer dimensions says the same as one with more axes of length 1.
MOST_FORMS = 3
#: The step of an example.
STEP = 0.75


def allowed_shapes(regularizer: Any, count: int) -> list[tuple[int, ...]]:
    """Tensors with ``count`` entries along one axis, of the dimensions that the class takes; none twice."""
    found: list[tuple[int, ...]] = []
    dimensions = {len(shape) for shape in getattr(regularizer, "shapes", None) or ()}
    for axis, ndim in FORMS:
        lengths = [1] * ndim
        lengths[axis] = count
        shape = tuple(lengths)
        if shape not in found and (not dimensions or ndim in dimensions) and refusal(regularizer, shape) is None:
            found.append(shape)
        if len(found) == MOST_FORMS:
            break
    return found


def refusal(regularizer: Any, shape: Sequence[int]) -> str | None:
    """Why the class does not take such a tensor: ``check_shape``, ``value`` or ``prox`` raises; None if it does."""
    check = getattr(regularizer, "check_shape", None)
    try:
        if callable(check):
            check(tuple(shape))
        regularizer.value(example(shape))
        regularizer.prox(example(shape), STEP)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def example(shape: Sequence[int]) -> Tensor:
    """A tensor of positive entries, no two alike."""
    size = 1
    for length in shape:
        size *= length
    return torch.linspace(0.5, 1.5, size, dtype=torch.float64).reshape(tuple(shape))
