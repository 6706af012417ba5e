"""Arrays of elements, as the interpreter has them where torch has tensors."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from ramda_verify.proof.constants import read_constant
from ramda_verify.proof.elementwise import Unreadable
from ramda_verify.proof.groups import Element
from ramda_verify.proof.terms import Context

#: What an operation is given and returns: an array of elements, or a plain argument.
Array = np.ndarray
Operation = Callable[..., Any]


def filled(shape: Sequence[int], element: Element) -> Array:
    found = np.empty(tuple(shape), dtype=object)
    for place in np.ndindex(*found.shape):
        found[place] = element
    return found


def as_array(context: Context, value: Any) -> Array:
    """A plain number or a tensor of constants as elements; an array of elements as it is."""
    if isinstance(value, Array):
        return value
    if isinstance(value, torch.Tensor):
        found = np.empty(tuple(value.shape), dtype=object)
        for place in np.ndindex(*found.shape):
            found[place] = _element(context, value[place].item())
        return found
    return filled((), _element(context, value))


def _element(context: Context, value: Any) -> Element:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return read_constant(context, value)
    raise Unreadable(f"a value of type {type(value).__name__}")


def map_elements(context: Context, rule: Callable[..., Element], *arrays: Any) -> Array:
    """``rule`` entry by entry, broadcast as in torch; None stays None."""
    given = [None if array is None else as_array(context, array) for array in arrays]
    shape = np.broadcast_shapes(*(array.shape for array in given if array is not None))
    spread = [None if array is None else np.broadcast_to(array, shape) for array in given]
    found = np.empty(shape, dtype=object)
    for place in np.ndindex(*shape):
        found[place] = rule(context, *(None if array is None else array[place] for array in spread))
    return found


def reduced(array: Array, dim: Any, keepdim: bool, rule: Callable[[list[Element]], Element]) -> Array:
    """``rule`` on the elements along the axes ``dim``, an int or several; None or none of them means all."""
    axes = tuple(range(array.ndim)) if dim is None or dim == [] else tuple(dim) if isinstance(dim, Sequence) else (dim,)
    axes = tuple(axis % array.ndim for axis in axes) if array.ndim else ()
    kept = [axis for axis in range(array.ndim) if axis not in axes]
    found = np.empty([array.shape[axis] for axis in kept], dtype=object)
    moved = np.transpose(array, (*kept, *axes))
    for place in np.ndindex(*found.shape):
        found[place] = rule(list(moved[place].flat) if axes or array.ndim else [moved[()]])
    return np.expand_dims(found, axes) if keepdim else found
