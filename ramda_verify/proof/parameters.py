"""The parameters of a regularizer: which numbers of an object may vary in a proof, and in which range.

A parameter is an argument of the constructor that the object keeps as an attribute. Its range is what the class
declares (``parameter_ranges = {"a": "> 2"}`` or a field ``a: Annotated[float, "> 2"]``), else what the constructor
accepts, found by trying it. A constructor that accepts every number says nothing: then the sign of the object's own
value is assumed, and the verdict says so.
"""

import copy
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from ramda_verify.engine.arguments import constructor_arguments, differing, rebuilt
from ramda_verify.proof.ranges import Bound, found_range, parse_range

DECLARED, FOUND, ASSUMED = "declared", "found", "assumed"


@dataclass(frozen=True)
class Parameter:
    """``own`` is the object's value; ``source`` tells where the bounds come from: declared, found or assumed."""

    name: str
    attribute: str
    own: float
    bounds: tuple[Bound, ...]
    source: str

    def describe(self) -> str:
        """The range in words: "a > 2"."""
        words = " and ".join(f"{self.name} {bound}" for bound in self.bounds)
        return (words or f"every {self.name}") + (" (assumed)" if self.source == ASSUMED else "")


def parameters_of(regularizer: object) -> list[Parameter]:
    """The parameters that may vary; numbers that the object computes others from, or counts with, are none."""
    kept = constructor_arguments(regularizer)
    if kept is None:
        return []
    declared = _declared_ranges(regularizer)
    unknown = set(getattr(regularizer, "parameter_ranges", None) or ()) - kept.keys()
    if unknown:
        raise ValueError(
            f"parameter_ranges names {', '.join(sorted(unknown))}; the constructor keeps {', '.join(kept)}"
        )
    found = []
    for name, attribute in kept.items():
        own = getattr(regularizer, attribute)
        if isinstance(own, bool) or not isinstance(own, Real) or _is_count(regularizer, name):
            continue
        accepts = _acceptance(regularizer, name)
        if not _stands_alone(regularizer, attribute, float(own), accepts):
            continue
        if name in declared:
            found.append(Parameter(name, attribute, float(own), declared[name], DECLARED))
            continue
        bounds = found_range(_takes(accepts), float(own))
        if bounds is None:
            continue
        source = FOUND if bounds else ASSUMED
        assumed = (Bound(">" if float(own) > 0 else ">=" if own == 0 else "<", 0.0),)
        found.append(Parameter(name, attribute, float(own), bounds or assumed, source))
    return found


def with_values(regularizer: object, values: Mapping[str, Any]) -> Any:
    """A copy with other attributes, past the constructor: what is put in may be a tensor without data."""
    other = copy.copy(regularizer)
    for attribute, value in values.items():
        object.__setattr__(other, attribute, value)
    return other


def _declared_ranges(regularizer: object) -> dict[str, tuple[Bound, ...]]:
    declared = dict(getattr(regularizer, "parameter_ranges", None) or {})
    try:
        hints = typing.get_type_hints(type(regularizer), include_extras=True)
    except Exception:  # annotations of a user's class may name what cannot be found
        hints = {}
    for name, hint in hints.items():
        for extra in getattr(hint, "__metadata__", ()):
            if isinstance(extra, str | tuple):
                declared.setdefault(name, extra)
    return {name: parse_range(name, text) for name, text in declared.items()}


def _is_count(regularizer: object, name: str) -> bool:
    """Whether the annotation of the argument says int."""
    annotation = getattr(type(regularizer), "__annotations__", {}).get(name)
    if annotation is None:
        argument = inspect.signature(type(regularizer).__init__).parameters.get(name)
        annotation = None if argument is None else argument.annotation
    return annotation in (int, "int")


def _acceptance(regularizer: object, name: str) -> Callable[[float], Any]:
    """``accepts(value)``: the object with this argument, or None where the constructor refuses it."""

    def accepts(value: float) -> Any:
        try:
            return rebuilt(regularizer, {name: value})
        except Exception:
            return None

    return accepts


def _takes(accepts: Callable[[float], Any]) -> Callable[[float], bool]:
    return lambda value: accepts(value) is not None


def _stands_alone(regularizer: object, attribute: str, own: float, accepts: Callable[[float], Any]) -> bool:
    """Whether the argument is kept as it came and no other attribute is computed from it."""
    for value in (own * 1.25 + 0.125, own * 0.75, own + 0.01, own - 0.01):
        other = accepts(value)
        if other is None or value == own:
            continue
        return getattr(other, attribute) == value and differing(regularizer, other) <= {attribute}
    return False
