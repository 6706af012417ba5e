"""Regularizers made of functions, for tests of the judges: of them nothing is right but what a test says."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class Made:
    """``value``, ``prox`` (the identity unless one is given) and optional members, all of them as they are given."""

    value: Callable[..., Any]
    prox: Callable[..., Any]

    def __init__(self, value: Callable[..., Any], prox: Callable[..., Any] | None = None, **members: Any) -> None:
        self.value = value
        self.prox = _unmoved if prox is None else prox
        vars(self).update(members)


def made(value: Callable[..., Any] = lambda w: 0.0, prox: Callable[..., Any] | None = None, **members: Any) -> Made:
    """``Made`` of a value that may return a number, and of a prox that may return its input."""
    moved = _unmoved if prox is None else prox
    return Made(
        lambda w: torch.as_tensor(value(w), dtype=torch.float64), lambda w, step: moved(w, step).clone(), **members
    )


def zero(w: Tensor) -> Tensor:
    """psi = 0."""
    return 0 * w.sum()


def _unmoved(w: Tensor, step: Any) -> Tensor:
    return w.clone()
