"""Which regularizer a saved state belongs to: its class and its plain attributes, never its ``repr``.

A ``repr`` may hold an address, and a NumPy number prints unlike the same Python number.
"""

import dataclasses
import hashlib
import inspect
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import cached_property
from numbers import Integral, Real
from typing import Any, NamedTuple

import torch
from torch import Tensor

#: Objects within objects are followed this far.
MAX_DEPTH = 6
#: Keys of the descriptions below.
CLASS, ATTRIBUTES, TENSOR, OPAQUE = "class", "attributes", "tensor", "opaque"


class Differences(NamedTuple):
    """Sentences on what differs between two identities, and the names of what could not be compared."""

    found: list[str]
    unknown: list[str]


def identity_of(regularizer: object) -> dict[str, Any]:
    """``{"class": qualified name, "attributes": {...}}`` of numbers, texts, lists and dictionaries only.

    The attributes are the fields of a dataclass, else the instance's ``__dict__`` and slots. A tensor stands as its
    dtype, shape and a hash of its entries; an object that is none of these as its class alone.
    """
    return _object(regularizer, MAX_DEPTH)


def text_of(identity: object) -> str:
    """The identity as a line, such as ``L1(reg_weight=0.1)``."""
    if not isinstance(identity, Mapping) or CLASS not in identity:
        return str(identity)
    attributes = identity[ATTRIBUTES].items()
    return f"{identity[CLASS].split('.')[-1]}({', '.join(f'{name}={text_of(value)}' for name, value in attributes)})"


def differences(saved: Mapping[str, Any], live: object) -> Differences:
    """What keeps the saved identity from being that of ``live``.

    An attribute that one side lacks, because the class has gained or lost a field since, counts as the field's default.
    """
    found, unknown = Differences([], []), identity_of(live)
    _compare("", saved, unknown, found, _defaults(live))
    return found


def _object(value: object, depth: int) -> dict[str, Any]:
    cls = type(value)
    attributes = {name: _plain(attribute, depth - 1) for name, attribute in _attributes(value)}
    return {CLASS: f"{cls.__module__}.{cls.__qualname__}", ATTRIBUTES: attributes}


def _attributes(value: object) -> Iterator[tuple[str, object]]:
    if dataclasses.is_dataclass(value):
        yield from ((field.name, getattr(value, field.name, None)) for field in dataclasses.fields(value))
        return
    slots = [name for cls in type(value).__mro__ for name in _names(vars(cls).get("__slots__", ()))]
    yield from ((name, getattr(value, name)) for name in slots if hasattr(value, name) and not name.startswith("__"))
    # What a cached property keeps there is computed from the rest, at one time or another.
    for name, attribute in getattr(value, "__dict__", {}).items():
        if not isinstance(inspect.getattr_static(type(value), name, None), cached_property):
            yield name, attribute


def _names(slots: Any) -> tuple[str, ...]:
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _plain(value: object, depth: int) -> object:
    if value is None or (isinstance(value, bool | str) and not isinstance(value, Enum)):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, Enum):
        return f"{type(value).__qualname__}.{value.name}"
    if isinstance(value, Tensor) or hasattr(value, "__array__"):
        return _tensor(value)
    if isinstance(value, torch.dtype | torch.device | torch.Size):
        return str(value)
    if depth > 0:
        if isinstance(value, list | tuple):
            return [_plain(entry, depth - 1) for entry in value]
        if isinstance(value, Mapping):
            return {str(key): _plain(entry, depth - 1) for key, entry in value.items()}
        if isinstance(value, set | frozenset):
            return sorted((_plain(entry, depth - 1) for entry in value), key=repr)
        if not isinstance(value, type) and (hasattr(value, "prox") or dataclasses.is_dataclass(value)):
            return _object(value, depth)
    return {OPAQUE: f"{type(value).__module__}.{type(value).__qualname__}"}


def _tensor(value: object) -> object:
    try:
        tensor = torch.as_tensor(value).detach().cpu().contiguous()
        if tensor.ndim == 0:
            return tensor.item()
        content = hashlib.sha256(tensor.view(torch.uint8).numpy().tobytes()).hexdigest()
    except (TypeError, RuntimeError, ValueError):  # an array of objects, a tensor on the meta device
        return {OPAQUE: f"{type(value).__module__}.{type(value).__qualname__}"}
    return {TENSOR: f"{tensor.dtype} {tuple(tensor.shape)} {content}"}


def _defaults(live: object) -> dict[str, Any]:
    if not dataclasses.is_dataclass(live):
        return {}
    fields = (field for field in dataclasses.fields(live) if field.default is not dataclasses.MISSING)
    return {field.name: _plain(field.default, MAX_DEPTH) for field in fields}


def _compare(where: str, saved: Any, live: Any, into: Differences, defaults: Mapping[str, Any]) -> None:
    if isinstance(saved, Mapping) and isinstance(live, Mapping) and (OPAQUE in saved or OPAQUE in live):
        into.unknown.append(where)
    elif isinstance(saved, Mapping) and isinstance(live, Mapping) and CLASS in saved and CLASS in live:
        if not _same_class(saved[CLASS], live[CLASS]):
            into.found.append(f"{where or 'the class'} was {saved[CLASS]}, is {live[CLASS]}")
            return
        _compare(where, saved[ATTRIBUTES], live[ATTRIBUTES], into, defaults)
    elif isinstance(saved, Mapping) and isinstance(live, Mapping):
        for name in {**saved, **live}:
            before, now = (side.get(name, defaults.get(name)) for side in (saved, live))
            _compare(f"{where}.{name}" if where else name, before, now, into, {})
    elif isinstance(saved, list) and isinstance(live, list) and len(saved) == len(live):
        for index, (before, now) in enumerate(zip(saved, live, strict=True)):
            _compare(f"{where}[{index}]", before, now, into, {})
    elif not (saved == live or (saved != saved and live != live)):
        into.found.append(f"{where} was {saved!r}, is {live!r}")


def _same_class(saved: str, live: str) -> bool:
    """A script that is run is called __main__, and by its own name where it is imported."""
    if saved == live:
        return True
    main = "__main__."
    one, other = (saved, live) if saved.startswith(main) else (live, saved)
    return one.startswith(main) and f".{other}".endswith(f".{one.removeprefix(main)}")
