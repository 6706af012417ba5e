"""Arrays of elements made, seen in another form, and written into at some places."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ramda_verify.proof.arrays import Array, Operation, as_array, filled
from ramda_verify.proof.constants import read_constant
from ramda_verify.proof.terms import Context


def like(value: float) -> Operation:
    def make(context: Context, array: Array, *rest: Any, **more: Any) -> Array:
        return filled(array.shape, read_constant(context, value))

    return make


def new(value: float) -> Operation:
    def make(context: Context, array: Array, shape: Any, **rest: Any) -> Array:
        return filled(shape, read_constant(context, value))

    return make


def made(value: float) -> Operation:
    def make(context: Context, shape: Any, **rest: Any) -> Array:
        return filled(shape, read_constant(context, value))

    return make


def full(context: Context, shape: Any, value: Any, **rest: Any) -> Array:
    return filled(shape, as_array(context, value).reshape(())[()])


def expanded(array: Array, shape: Sequence[int]) -> Array:
    lead = len(shape) - array.ndim
    lengths = [array.shape[axis - lead] if length == -1 else length for axis, length in enumerate(shape)]
    return np.broadcast_to(array, lengths)


def squeezed(array: Array, dim: Any) -> Array:
    dims = range(array.ndim) if dim is None else dim if isinstance(dim, Sequence) else (dim,)
    return array.reshape(
        [length for axis, length in enumerate(array.shape) if length != 1 or axis not in [d % array.ndim for d in dims]]
    )


def span(array: Array, dim: int, start: int | None, end: int | None, step: int) -> slice:
    return slice(start, None if end is None else min(end, array.shape[dim]), step)


def sliced(array: Array, dim: int, start: int | None, end: int | None, step: int) -> Array:
    place = [slice(None)] * array.ndim
    place[dim] = span(array, dim, start, end, step)
    return array[tuple(place)]


def placed(context: Context, array: Array, source: Any, dim: int, where: int | slice) -> Array:
    """A copy with ``source`` at some places along an axis."""
    found = array.copy()
    place: list[Any] = [slice(None)] * array.ndim
    place[dim] = where
    given = as_array(context, source)
    target = found[tuple(place)]
    if not isinstance(target, np.ndarray):
        found[tuple(place)] = given.reshape(())[()]
        return found
    spread = np.broadcast_to(given, target.shape)
    for index in np.ndindex(*target.shape):
        target[index] = spread[index]
    return found
