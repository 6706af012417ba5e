"""Shapes of tensors of one entry, of two, and of one group, where the class takes them."""

from collections.abc import Sequence

#: (axis, dimensions) of a tensor with ``n`` entries along one axis, from the plainest on.
FORMS = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (0, 4), (1, 4), (0, 5), (1, 5))
#: A tensor of fewer dimensions says the same as one with more axes of length 1.
MOST_FORMS = 3


def allowed_shapes(regularizer: object, count: int) -> list[tuple[int, ...]]:
    """Tensors with ``count`` entries along one axis, of the dimensions that the class takes."""
    found = []
    dimensions = {len(shape) for shape in getattr(regularizer, "shapes", None) or ()}
    for axis, ndim in FORMS:
        shape = [1] * ndim
        shape[axis] = count
        if (not dimensions or ndim in dimensions) and _takes(regularizer, shape) and tuple(shape) not in found:
            found.append(tuple(shape))
    return found[:MOST_FORMS]


def _takes(regularizer: object, shape: Sequence[int]) -> bool:
    check = getattr(regularizer, "check_shape", None)
    if not callable(check):
        return True
    try:
        check(tuple(shape))
    except ValueError:
        return False
    return True
