"""The arguments that an object was made with, read from the attributes in which it keeps them."""

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

#: Levels of objects and lists within objects that are compared; deeper ones are compared by ``==`` and ``repr``.
DEPTH = 5


def constructor_arguments(thing: object) -> dict[str, str] | None:
    """Argument by attribute that keeps it; None where an argument is needed that the object does not keep."""
    cls, kept, own = type(thing), {}, attributes(thing)
    if dataclasses.is_dataclass(thing):
        return {field.name: field.name for field in dataclasses.fields(thing) if field.init}
    if cls.__init__ is object.__init__:
        return {}
    for name, argument in list(inspect.signature(cls.__init__).parameters.items())[1:]:
        if argument.kind in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD):
            continue
        place = next((each for each in (name, f"_{name}") if each in own), None)
        if place is None and hasattr(thing, name):
            place = name
        if argument.kind is argument.POSITIONAL_ONLY or (place is None and argument.default is argument.empty):
            return None
        if place is not None:
            kept[name] = place
    return kept


def arguments_of(thing: object) -> dict[str, Any]:
    """The arguments of the constructor that made the object, as far as it keeps them, by name."""
    kept = constructor_arguments(thing) or {}
    return {name: getattr(thing, attribute) for name, attribute in kept.items()}


def rebuilt(thing: object, values: Mapping[str, Any]) -> Any:
    """The object that the constructor makes with these arguments changed; raises what the constructor raises."""
    kept = constructor_arguments(thing)
    if kept is None:
        if values:
            raise ValueError(f"{type(thing).__name__} does not keep the arguments of its constructor")
        return thing
    return type(thing)(**{**arguments_of(thing), **values}) if values else thing


def attributes(thing: object) -> dict[str, Any]:
    """What the object keeps, in ``__dict__`` and in slots, by name."""
    slots = [name for cls in type(thing).__mro__ for name in getattr(cls, "__slots__", ())]
    kept = {name: getattr(thing, name) for name in slots if hasattr(thing, name)}
    return {**kept, **getattr(thing, "__dict__", {})}


def differing(one: object, other: object, depth: int = DEPTH) -> set[str]:
    """The names of the attributes that are not alike in two objects."""
    before, after = attributes(one), attributes(other)
    shared = before.keys() & after.keys()
    return (before.keys() ^ after.keys()) | {name for name in shared if not alike(before[name], after[name], depth)}


def alike(one: Any, other: Any, depth: int = DEPTH) -> bool:
    """Whether two values are equal, objects of one class whose attributes are alike, or look the same."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    try:
        if one is other or bool(one == other):
            return True
    except Exception:  # arrays of several entries, and whatever else has no one answer
        return repr(one) == repr(other)
    if depth and type(one) is type(other):
        if isinstance(one, list | tuple):
            return len(one) == len(other) and all(alike(*pair, depth - 1) for pair in zip(one, other, strict=True))
        if isinstance(one, dict):
            return one.keys() == other.keys() and all(alike(one[key], other[key], depth - 1) for key in one)
        if attributes(one):
            return not differing(one, other, depth - 1)
    return repr(one) == repr(other)
