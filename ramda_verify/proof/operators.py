"""The table of aten operations: what each makes of arrays of elements. An operation that is not here has no reading."""

import math
import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from ramda_verify.proof import elementwise as e
from ramda_verify.proof import forms as f
from ramda_verify.proof import reductions as r
from ramda_verify.proof.arrays import Array, Operation, as_array, filled, map_elements
from ramda_verify.proof.elementwise import ELEMENTWISE, Unreadable
from ramda_verify.proof.extended import Number
from ramda_verify.proof.groups import Coupled, Element, Part
from ramda_verify.proof.terms import Context, conjunction, disjunction

#: Operations that mix the entries of a tensor in ways that neither entries nor norms of groups describe.
COUPLING = (
    "svd", "linalg_svd", "_linalg_svd", "linalg_svdvals", "linalg_qr", "linalg_eigh", "_linalg_eigh", "linalg_eig",
    "linalg_solve", "sort", "topk", "kthvalue", "median", "cumsum", "cumprod", "cummax", "cummin", "argsort", "argmax",
    "argmin", "argwhere", "mm", "bmm", "addmm", "mv", "matmul", "diff", "roll", "flip", "convolution", "_softmax",
    "logsumexp", "tril", "triu",
)  # fmt: skip


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


OPERATIONS: dict[str, Operation] = {
    "add": with_alpha(e.add),
    "sub": with_alpha(e.subtract),
    "rsub": with_alpha(e.subtract, swapped=True),
    "div": divide,
    "true_divide": divide,
    "masked_fill": masked_fill,
    "index_put": index_put,
    "sum": r.sum_over,
    "mean": r.mean_over,
    "amax": r.extreme_over(r.largest),
    "amin": r.extreme_over(r.smallest),
    "max": r.extreme_over(r.largest, with_place=True),
    "min": r.extreme_over(r.smallest, with_place=True),
    "all": r.holds_over(conjunction),
    "any": r.holds_over(disjunction),
    "count_nonzero": r.count_nonzero,
    "norm": r.older_norm,
    "linalg_vector_norm": r.vector_norm,
    "zeros_like": f.like(0.0),
    "ones_like": f.like(1.0),
    "full_like": lambda context, array, value, **rest: f.full(context, array.shape, value),
    "empty_like": f.like(math.nan),
    "new_zeros": f.new(0.0),
    "new_ones": f.new(1.0),
    "new_empty": f.new(math.nan),
    "new_full": lambda context, array, shape, value, **rest: f.full(context, shape, value),
    "zeros": f.made(0.0),
    "ones": f.made(1.0),
    "empty": f.made(math.nan),
    "full": f.full,
    "fill": lambda context, array, value: f.full(context, array.shape, value),
    "scalar_tensor": lambda context, value, **rest: as_array(context, value),
    "copy": lambda context, array, source, *rest: np.broadcast_to(as_array(context, source), array.shape),
    # The last act of a graph whose function changed its input; what it returns has the new values already.
    "copy_": lambda context, array, source, *rest: np.broadcast_to(as_array(context, source), array.shape),
    "select_scatter": lambda context, array, source, dim, index: f.placed(context, array, source, dim, index),
    "slice_scatter": lambda context, array, source, dim=0, start=None, end=None, step=1: f.placed(
        context, array, source, dim, f.span(array, dim, start, end, step)
    ),
    "_to_copy": cast,
    "to": cast,
    **dict.fromkeys(("clone", "detach", "alias", "lift_fresh", "positive", "contiguous", "_local_scalar_dense"), same),
    "view": lambda context, array, shape: array.reshape(shape),
    "reshape": lambda context, array, shape: array.reshape(shape),
    "_unsafe_view": lambda context, array, shape: array.reshape(shape),
    "expand": lambda context, array, shape, **rest: f.expanded(array, shape),
    "squeeze": lambda context, array, dim=None: f.squeezed(array, dim),
    "unsqueeze": lambda context, array, dim: np.expand_dims(array, dim),
    "permute": lambda context, array, dims: np.transpose(array, dims),
    "transpose": lambda context, array, one, other: np.swapaxes(array, one, other),
    "t": lambda context, array: array.T,
    "select": lambda context, array, dim, index: (
        np.take(array, index, axis=dim) if array.ndim > 1 else filled((), array[index])
    ),
    "slice": lambda context, array, dim=0, start=None, end=None, step=1: f.sliced(array, dim, start, end, step),
    "unbind": lambda context, array, dim=0: [
        filled((), part) if array.ndim == 1 else part for part in np.moveaxis(array, dim, 0)
    ],
    "stack": lambda context, arrays, dim=0: np.stack(arrays, axis=dim),
    "cat": lambda context, arrays, dim=0: np.concatenate(arrays, axis=dim),
    "getitem": lambda context, parts, index: parts[index],
    "dot": lambda context, a, b: r.sum_over(context, map_elements(context, e.multiply, a, b)),
    **{name: entrywise(rule) for name, rule in ELEMENTWISE.items()},
}


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
