"""Checks of arguments. Every message names the argument, its value and what is allowed."""

import math
from collections.abc import Collection
from numbers import Integral, Real

import torch
from torch import Tensor


def _number(name: str, value: object, allowed: str) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number {allowed}, got {value!r}")
    return float(value)


def nonnegative(name: str, value: object) -> None:
    """Raise unless ``value`` is a finite number >= 0."""
    number = _number(name, value, ">= 0")
    if not (math.isfinite(number) and number >= 0):
        raise ValueError(f"{name} must be finite and >= 0, got {value!r}")


def positive(name: str, value: object) -> None:
    """Raise unless ``value`` is a finite number > 0."""
    number = _number(name, value, "> 0")
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"{name} must be finite and > 0, got {value!r}")


def in_interval(name: str, value: object, low: float, high: float, *, open_low: bool = False) -> None:
    """Raise unless ``value`` lies in [low, high], or in (low, high] with ``open_low``."""
    allowed = f"in {'(' if open_low else '['}{low:g}, {high:g}]"
    number = _number(name, value, allowed)
    if not (low <= number <= high) or (open_low and number == low):
        raise ValueError(f"{name} must be {allowed}, got {value!r}")


def positive_integer(name: str, value: object) -> None:
    """Raise unless ``value`` is an integer >= 1."""
    _integer(name, value, 1)


def nonnegative_integer(name: str, value: object) -> None:
    """Raise unless ``value`` is an integer >= 0."""
    _integer(name, value, 0)


def _integer(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer >= {least}, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be an integer >= {least}, got {value!r}")


def boolean(name: str, value: object) -> None:
    """Raise unless ``value`` is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r}")


def one_of(name: str, value: object, allowed: Collection[object]) -> None:
    """Raise unless ``value`` is one of ``allowed``."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")


def floating_tensor(name: str, value: object, *, empty: bool = False) -> None:
    """Raise unless ``value`` is a dense real floating-point tensor; with at least one entry, unless ``empty``."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(value).__name__}")
    if not value.dtype.is_floating_point or value.layout != torch.strided:
        raise TypeError(f"{name} must be a dense real floating-point tensor, got {value.dtype}, {value.layout}")
    if value.numel() == 0 and not empty:
        raise ValueError(f"{name} must have at least one entry, got shape {tuple(value.shape)}")


def same_kind(name: str, value: Tensor, reference_name: str, reference: Tensor) -> None:
    """Raise unless both tensors share shape, dtype and device."""
    for what in ("shape", "dtype", "device"):
        ours, theirs = getattr(value, what), getattr(reference, what)
        if ours != theirs:
            raise ValueError(f"{name} must have the {what} of {reference_name}, {theirs}, got {ours}")


def finite(name: str, value: Tensor) -> None:
    """Raise if ``value`` has a NaN or an infinity. Synchronises with the device."""
    # The bounds show it in an eighth of the time of torch.isfinite, and NaN is passed on by both of them.
    if value.numel() > 0 and not all(math.isfinite(float(bound)) for bound in value.aminmax()):
        raise ValueError(f"{name} must be finite, got {int((~torch.isfinite(value)).sum())} NaN or infinite entries")
