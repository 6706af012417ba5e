"""The table of aten operations: what each makes of arrays of elements. An operation that is not here has no reading."""

import math
import operator
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from ramda_verify.proof import elementwise as e
from ramda_verify.proof import groups as g
from ramda_verify.proof.constants import read_constant
from ramda_verify.proof.elementwise import ELEMENTWISE, Unreadable
from ramda_verify.proof.extended import ZERO, Number, add, constant, magnitude, maximum, minimum, multiply
from ramda_verify.proof.groups import Coupled, Element, Part
from ramda_verify.proof.terms import Context, conjunction, disjunction, negation

#: What an operation is given and returns: an array of elements, or a plain argument.
Array = np.ndarray
Operation = Callable[..., Any]

#: Operations that mix the entries of a tensor in ways that neither entries nor norms of groups describe.
COUPLING = (
    "svd", "linalg_svd", "_linalg_svd", "linalg_svdvals", "linalg_qr", "linalg_eigh", "_linalg_eigh", "linalg_eig",
    "linalg_solve", "sort", "topk", "kthvalue", "median", "cumsum", "cumprod", "cummax", "cummin", "argsort", "argmax",
    "argmin", "argwhere", "mm", "bmm", "addmm", "mv", "matmul", "diff", "roll", "flip", "convolution", "_softmax",
    "logsumexp", "tril", "triu",
)  # fmt: skip


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
    return np.expand_dims(found, axes) if keepdim and axes else found


def total(elements: list[Element]) -> Element:
    if any(isinstance(element, Part) for element in elements):
        parts = [element for element in elements if isinstance(element, Part)]
        if len(parts) < len(elements):
            raise Coupled("it sums a part of what is one group elsewhere")
        return parts[0] if len(parts) == 1 else g.sum_of(parts)
    found = constant(ZERO)
    for place, element in enumerate(elements):
        found = e.number(element) if place == 0 else add(found, e.number(element))
    return found


def _extreme(choose: Callable[[Number, Number], Number]) -> Callable[[list[Element]], Element]:
    def pick(elements: list[Element]) -> Element:
        if all(isinstance(element, Part) for element in elements):
            parts = [element for element in elements if isinstance(element, Part)]
            if len(parts) > 1 and choose is minimum:
                raise Coupled("it takes the smallest entry of a group")
            return parts[0] if len(parts) == 1 else g.largest_of(parts)
        if all(not isinstance(element, Number | Part) for element in elements):
            return (disjunction if choose is maximum else conjunction)(*elements)
        found = e.number(elements[0])
        for element in elements[1:]:
            found = choose(found, e.number(element))
        return found

    return pick


largest, smallest = _extreme(maximum), _extreme(minimum)


def length(context: Context, order: float) -> Callable[[list[Element]], Element]:
    """The norm of some elements, of order 0, 1, 2 or infinity."""

    def measure(elements: list[Element]) -> Element:
        if any(isinstance(element, Part) for element in elements):
            parts = [element for element in elements if isinstance(element, Part)]
            if len(parts) < len(elements):
                raise Coupled("it takes the norm of a part of what is one group elsewhere")
            return g.size(parts[0]) if len(parts) == 1 and parts[0].group.count > 1 else g.norm_of(parts, order)
        numbers = [e.number(element) for element in elements]
        if order == 0:
            return total([negation(element.zero) for element in numbers])
        if order == 1 or (order == 2 and len(numbers) == 1):
            return total([magnitude(element) for element in numbers])
        if order == math.inf:
            return largest([magnitude(element) for element in numbers])
        if order == 2:
            return e.square_root(context, total([multiply(element, element) for element in numbers]))
        raise Unreadable(f"a norm of order {order:g}")

    return measure


def vector_norm(
    context: Context, array: Any, order: float = 2, dim: Any = None, keepdim: bool = False, **rest: Any
) -> Array:
    return reduced(as_array(context, array), dim, keepdim, length(context, float(order)))


def older_norm(
    context: Context, array: Any, order: Any = None, dim: Any = None, keepdim: bool = False, **rest: Any
) -> Array:
    return vector_norm(context, array, 2 if order is None else order, dim, keepdim)


def sum_over(context: Context, array: Any, dim: Any = None, keepdim: bool = False, **rest: Any) -> Array:
    return reduced(as_array(context, array), dim, keepdim, total)


def mean_over(context: Context, array: Any, dim: Any = None, keepdim: bool = False, **rest: Any) -> Array:
    given = as_array(context, array)
    sums = sum_over(context, given, dim, keepdim)
    return map_elements(context, e.divide, sums, given.size // max(sums.size, 1))


def extreme_over(rule: Callable[[list[Element]], Element], *, with_place: bool = False) -> Operation:
    def reduce(context: Context, array: Any, dim: Any = None, keepdim: bool = False) -> Any:
        found = reduced(as_array(context, array), dim, keepdim, rule)
        return (found, None) if with_place and dim is not None else found

    return reduce


def holds_over(rule: Callable[..., Any]) -> Operation:
    def reduce(context: Context, array: Any, dim: Any = None, keepdim: bool = False) -> Array:
        return reduced(as_array(context, array), dim, keepdim, lambda some: rule(*map(e.truth, some)))

    return reduce


def count_nonzero(context: Context, array: Any, dim: Any = None) -> Array:
    return reduced(as_array(context, array), dim, False, lambda some: total([e.truth(element) for element in some]))


def with_alpha(rule: Callable[..., Element], *, swapped: bool = False) -> Operation:
    """add, sub and rsub: the second argument times ``alpha``."""

    def apply(context: Context, a: Any, b: Any, alpha: Any = 1) -> Array:
        if alpha != 1:
            a, b = (
                (map_elements(context, e.multiply, a, alpha), b)
                if swapped
                else (a, map_elements(context, e.multiply, b, alpha))
            )
        return map_elements(context, rule, *((b, a) if swapped else (a, b)))

    return apply


def divide(context: Context, a: Any, b: Any, rounding_mode: str | None = None) -> Array:
    if rounding_mode is not None:
        raise Unreadable(f"division with rounding_mode {rounding_mode!r}")
    return map_elements(context, e.divide, a, b)


def masked_fill(context: Context, array: Any, mask: Any, value: Any) -> Array:
    return map_elements(context, e.where, mask, value, array)


def index_put(context: Context, array: Any, indices: Any, values: Any, accumulate: bool = False) -> Array:
    """``array[mask] = value`` for a mask of truth values and one value; other places have no reading."""
    (mask,) = indices if len(indices) == 1 else (None,)
    value = as_array(context, values)
    if mask is None or accumulate or value.size != 1 or mask.shape != array.shape:
        raise Unreadable("index_put")
    if any(isinstance(element, Number | Part) for element in mask.flat):
        raise Unreadable("index_put")
    return map_elements(context, e.where, mask, value.reshape(()), array)


def cast(context: Context, array: Any, dtype: torch.dtype | None = None, **rest: Any) -> Array:
    """Another dtype of floating point is the same number here; a float as an integer would be rounded."""
    given = as_array(context, array)
    if dtype is torch.bool:
        return map_elements(context, lambda _, element: e.truth(element), given)
    if dtype is not None and not dtype.is_floating_point and not all(map(_is_whole, given.flat)):
        raise Unreadable(f"a cast to {dtype}")
    if dtype is None:
        return given
    return map_elements(context, lambda _, x: x if isinstance(x, Part) else e.number(x), given)


def entrywise(rule: Callable[..., Element]) -> Operation:
    return lambda context, *args, **rest: map_elements(context, rule, *args, **rest)


def _is_whole(element: Element) -> bool:
    if isinstance(element, Number):
        return isinstance(element.term, Fraction) and element.term.denominator == 1 and element.finite is True
    return not isinstance(element, Part)


def same(context: Context, array: Any, *rest: Any, **more: Any) -> Array:
    return as_array(context, array)


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


OPERATIONS: dict[str, Operation] = {
    "add": with_alpha(e.add),
    "sub": with_alpha(e.subtract),
    "rsub": with_alpha(e.subtract, swapped=True),
    "div": divide,
    "true_divide": divide,
    "masked_fill": masked_fill,
    "index_put": index_put,
    "sum": sum_over,
    "mean": mean_over,
    "amax": extreme_over(largest),
    "amin": extreme_over(smallest),
    "max": extreme_over(largest, with_place=True),
    "min": extreme_over(smallest, with_place=True),
    "all": holds_over(conjunction),
    "any": holds_over(disjunction),
    "count_nonzero": count_nonzero,
    "norm": older_norm,
    "linalg_vector_norm": vector_norm,
    "zeros_like": like(0.0),
    "ones_like": like(1.0),
    "full_like": lambda context, array, value, **rest: full(context, array.shape, value),
    "empty_like": like(math.nan),
    "new_zeros": new(0.0),
    "new_ones": new(1.0),
    "new_empty": new(math.nan),
    "new_full": lambda context, array, shape, value, **rest: full(context, shape, value),
    "zeros": made(0.0),
    "ones": made(1.0),
    "empty": made(math.nan),
    "full": full,
    "fill": lambda context, array, value: full(context, array.shape, value),
    "scalar_tensor": lambda context, value, **rest: as_array(context, value),
    "copy": lambda context, array, source, *rest: np.broadcast_to(as_array(context, source), array.shape),
    # The last act of a graph whose function changed its input; what it returns has the new values already.
    "copy_": lambda context, array, source, *rest: np.broadcast_to(as_array(context, source), array.shape),
    "select_scatter": lambda context, array, source, dim, index: _placed(context, array, source, dim, index),
    "slice_scatter": lambda context, array, source, dim=0, start=None, end=None, step=1: _placed(
        context, array, source, dim, _range(array, dim, start, end, step)
    ),
    "_to_copy": cast,
    "to": cast,
    **dict.fromkeys(("clone", "detach", "alias", "lift_fresh", "positive", "contiguous", "_local_scalar_dense"), same),
    "view": lambda context, array, shape: array.reshape(shape),
    "reshape": lambda context, array, shape: array.reshape(shape),
    "_unsafe_view": lambda context, array, shape: array.reshape(shape),
    "expand": lambda context, array, shape, **rest: _expanded(array, shape),
    "squeeze": lambda context, array, dim=None: _squeezed(array, dim),
    "unsqueeze": lambda context, array, dim: np.expand_dims(array, dim),
    "permute": lambda context, array, dims: np.transpose(array, dims),
    "transpose": lambda context, array, one, other: np.swapaxes(array, one, other),
    "t": lambda context, array: array.T,
    "select": lambda context, array, dim, index: (
        np.take(array, index, axis=dim) if array.ndim > 1 else filled((), array[index])
    ),
    "slice": lambda context, array, dim=0, start=None, end=None, step=1: _sliced(array, dim, start, end, step),
    "unbind": lambda context, array, dim=0: [
        filled((), part) if array.ndim == 1 else part for part in np.moveaxis(array, dim, 0)
    ],
    "stack": lambda context, arrays, dim=0: np.stack(arrays, axis=dim),
    "cat": lambda context, arrays, dim=0: np.concatenate(arrays, axis=dim),
    "getitem": lambda context, parts, index: parts[index],
    "dot": lambda context, a, b: sum_over(context, map_elements(context, e.multiply, a, b)),
    **{name: entrywise(rule) for name, rule in ELEMENTWISE.items()},
}


def _expanded(array: Array, shape: Sequence[int]) -> Array:
    lead = len(shape) - array.ndim
    lengths = [array.shape[axis - lead] if length == -1 else length for axis, length in enumerate(shape)]
    return np.broadcast_to(array, lengths)


def _squeezed(array: Array, dim: Any) -> Array:
    dims = range(array.ndim) if dim is None else dim if isinstance(dim, Sequence) else (dim,)
    return array.reshape(
        [length for axis, length in enumerate(array.shape) if length != 1 or axis not in [d % array.ndim for d in dims]]
    )


def _range(array: Array, dim: int, start: int | None, end: int | None, step: int) -> slice:
    return slice(start, None if end is None else min(end, array.shape[dim]), step)


def _sliced(array: Array, dim: int, start: int | None, end: int | None, step: int) -> Array:
    place = [slice(None)] * array.ndim
    place[dim] = _range(array, dim, start, end, step)
    return array[tuple(place)]


def _placed(context: Context, array: Array, source: Any, dim: int, where: int | slice) -> Array:
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


def name_of(target: Any) -> str:
    """The name of an operation of a traced graph, without its overload; a copy of a view is read as the view."""
    if target is operator.getitem:
        return "getitem"
    name = str(getattr(target, "_opname", None) or getattr(target, "__name__", target))
    return name.removesuffix("_copy") if name not in ("_to_copy",) else name


def operation(name: str) -> Operation:
    """The reading of an operation. Raises Coupled or Unreadable where there is none."""
    if name in OPERATIONS:
        return OPERATIONS[name]
    if name in COUPLING:
        raise Coupled(f"it uses {name.strip('_')}, which mixes entries")
    raise Unreadable(f"the operation {name}")
