"""A regularizer made of functions, for tests of the judges: its error is what the test says."""

from collections.abc import Callable
from typing import Any

from torch import Tensor


class Made:
    """``value``, ``prox`` (the identity unless one is given) and optional members, all of them as they are given."""

    value: Callable[..., Any]
    prox: Callable[..., Any]

    def __init__(self, value: Callable[..., Any], prox: Callable[..., Any] | None = None, **members: Any) -> None:
        self.value = value
        self.prox = _unmoved if prox is None else prox
        vars(self).update(members)


def _unmoved(w: Tensor, step: Any) -> Tensor:
    return w.clone()


def zero(w: Tensor) -> Tensor:
    """psi = 0."""
    return 0 * w.sum()
