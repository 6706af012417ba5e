"""Numbers and decisions of one problem, or of every problem of a batch, by the same operations.

A solver keeps numbers (a residual, a step count) and decisions (whether a residual is small enough) of its problem. For
one problem these are Python's numbers and bools, which take no kernel launch. For a batch they are tensors of shape
(batch,). The operators ``+ - * / < <= & |`` work on both; the functions of this module do the rest.
"""

import math
from typing import Any, TypeVar

import torch
from torch import Tensor

#: A float or an int of one problem; a tensor of shape (batch,) for a batch.
Number = Any
#: A bool of one problem; a boolean tensor of shape (batch,) for a batch, of no dimension under ``torch.vmap``.
Flag = Any
T = TypeVar("T")


def where(condition: Flag, yes: Any, no: Any) -> Any:
    """``yes`` for the problems that meet the condition, ``no`` for the others: numbers, or points along the batch."""
    if condition is True or condition is False:
        return yes if condition else no
    points = max(value.ndim if isinstance(value, Tensor) else 0 for value in (yes, no))
    return torch.where(condition.reshape(condition.shape + (1,) * (points - condition.ndim)), yes, no)


def complement(flag: Flag) -> Flag:
    """Where the flag is False. (``~True`` is -2.)"""
    return not flag if isinstance(flag, bool) else ~flag


def any_of(flag: Flag) -> bool:
    """Whether the flag is True for one problem at least."""
    return flag if isinstance(flag, bool) else bool(flag.any())


def all_of(flag: Flag) -> bool:
    """Whether the flag is True for every problem."""
    return flag if isinstance(flag, bool) else bool(flag.all())


def larger(a: Number, b: Number) -> Number:
    """The larger of two numbers, ``b`` where ``a`` is NaN."""
    return where(a > b, a, b)


def smaller(a: Number, b: Number) -> Number:
    """The smaller of two numbers, ``b`` where ``a`` is NaN."""
    return where(a < b, a, b)


def root(number: Number) -> Number:
    """The square root."""
    return number.sqrt() if isinstance(number, Tensor) else math.sqrt(number)


def log(number: Number) -> Number:
    """The natural logarithm of a positive number."""
    return number.log() if isinstance(number, Tensor) else math.log(number)


def as_tensor(number: Number, like: Tensor) -> Tensor:
    """A number as a tensor of the shape, dtype and device of ``like``."""
    return number.to(like.dtype) if isinstance(number, Tensor) else torch.full_like(like, number)


def rows_of(value: T, chosen: Flag) -> T:
    """What belongs to the chosen problems: of tensors their rows, of tuples and objects with ``rows`` those of their
    parts. Anything else is common to all problems.
    """
    if chosen is True:
        return value
    if isinstance(value, Tensor):
        return value[chosen]  # type: ignore[return-value]
    if isinstance(value, tuple):
        parts = [rows_of(part, chosen) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value.rows(chosen) if hasattr(value, "rows") else value


def put(whole: Any, chosen: Flag, part: Any) -> Any:
    """``whole`` with the values of the chosen problems replaced by ``part``, as ``rows_of`` takes them out."""
    if chosen is True or whole is None:
        return part
    if part is None:
        return whole
    if isinstance(whole, tuple):
        return type(whole)(*(put(*pair) for pair in ((a, chosen, b) for a, b in zip(whole, part, strict=True))))
    whole = whole.clone()
    whole[chosen] = part
    return whole


class PerProblem:
    """An object that remembers something of each problem: every attribute that is a tensor, a tuple of tensors or such
    an object itself runs along the batch. Of one problem nothing is ever taken out.
    """

    def keep(self, chosen: Flag) -> None:
        """Go on with the chosen problems alone. ``chosen``: a boolean tensor of shape (batch,)."""
        for name, value in vars(self).items():
            if isinstance(value, PerProblem):
                value.keep(chosen)
            else:
                setattr(self, name, rows_of(value, chosen))
