"""Python that makes a regularizer again, wherever it is pasted: the import of its class, and a call with its arguments.

The call is tried before it is shown: what it makes must keep what the object keeps.
"""

import inspect
import math
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ramda_verify.engine.arguments import alike, arguments_of, constructor_arguments, differing
from ramda_verify.engine.plug_in_path import OURS

#: Entries up to which a tensor or an array is written out.
WRITTEN = 64


class NotWritten(Exception):
    """A value for which there is no expression that makes it again."""


def construction(regularizer: Any, values: Mapping[str, Any] | None = None) -> list[str]:
    """Lines that give the name ``regularizer`` to an object like this one.

    Arguments:
        regularizer: the object.
        values: arguments that the constructor is given in place of the object's own.

    Returns:
        Imports and a call. Where no call makes the object again, the last line assigns ``...``, and a comment says why.
    """
    cls = type(regularizer)
    if "<locals>" in cls.__qualname__:
        return [f"regularizer = ...  # a {cls.__name__}, whose class is inside a function"]
    for write in (_by_arguments, _by_repr):
        names: dict[str, Any] = {}
        try:
            call = write(regularizer, values or {}, names)
            made = eval(call, {**vars(sys.modules[cls.__module__]), **names})
        except Exception:  # of the user's constructor or repr, whatever it is
            continue
        if values or (type(made) is cls and not differing(made, regularizer)):
            where = f"  # where {cls.__name__} is defined" if cls.__module__ == "__main__" else ""
            return [*import_lines(names), f"regularizer = {call}{where}"]
    return [f"# The {cls.__name__} that was checked; it does not keep what it was made with.", "regularizer = ..."]


def import_lines(names: Mapping[str, Any]) -> list[str]:
    """Lines that import classes and modules by these names; a folder of the user's goes last on the path."""
    folders, imports = [], []
    for name, found in names.items():
        if not isinstance(found, type):
            imports.append(f"import {found.__name__}" + ("" if found.__name__ == name else f" as {name}"))
        elif found.__module__ not in ("__main__", "builtins"):
            folder, module = _home(found)
            folders += [] if folder is None else [folder]
            imports.append(f"from {module} import {name}")
    paths = [f"sys.path.append({folder!r})" for folder in dict.fromkeys(folders)]
    return [*(["import sys", *paths] if paths else []), *sorted(imports, key=lambda line: line.startswith("from"))]


def _home(cls: type) -> tuple[str | None, str]:
    """The folder that a class's package or module lies in, None where it is installed, and the module to import.

    Of a package that shows the class at its top, as ours does, that is the package.
    """
    module, top = cls.__module__, cls.__module__.split(".")[0]
    file = getattr(sys.modules[module], "__file__", None)
    shown = getattr(sys.modules.get(top), cls.__qualname__, None) is cls
    name = top if shown else module
    if file is None:
        return None, name
    path = Path(file).resolve()
    if "." not in module and path.stem not in (module, "__init__"):
        name = path.stem  # a file that was loaded under a name of ours
    folder = path.parents[module.count(".") + (path.stem == "__init__")]
    installed = [OURS, *(Path(sysconfig.get_path(kind)).resolve() for kind in ("purelib", "platlib", "stdlib"))]
    return (None if folder in installed else str(folder)), name


def changed(regularizer: Any, values: Mapping[str, Any]) -> list[str]:
    """Lines that remake ``regularizer``, once it is there, with other arguments. Raises NotWritten."""
    names: dict[str, Any] = {}
    words = _words({**arguments_of(regularizer), **values}, names)
    return [*import_lines(names), f"regularizer = type(regularizer)({words})"]


def _by_arguments(regularizer: Any, values: Mapping[str, Any], names: dict[str, Any]) -> str:
    """The call of the class with the arguments that the object keeps."""
    return _call(regularizer, values, names)


def _by_repr(regularizer: Any, values: Mapping[str, Any], names: dict[str, Any]) -> str:
    """The object's ``repr``, where it has the form of a call."""
    cls = type(regularizer)
    if values or not repr(regularizer).startswith(f"{cls.__qualname__}("):
        raise NotWritten
    _name(cls, names)
    return repr(regularizer)


def _call(thing: Any, values: Mapping[str, Any], names: dict[str, Any]) -> str:
    """The call that made an object, with ``values`` in place of its own arguments, without what is a default."""
    cls = type(thing)
    if constructor_arguments(thing) is None or cls.__module__ == "builtins" or "<locals>" in cls.__qualname__:
        raise NotWritten
    defaults = inspect.signature(cls).parameters
    own = {name: value for name, value in arguments_of(thing).items() if not alike(value, defaults[name].default)}
    return f"{_name(cls, names)}({_words({**own, **values}, names)})"


def _words(arguments: Mapping[str, Any], names: dict[str, Any]) -> str:
    return ", ".join(f"{name}={expression(value, names)}" for name, value in arguments.items())


def _name(cls: type, names: dict[str, Any]) -> str:
    """How a class is called in the lines: by its name below that of the outermost class, which is imported."""
    outermost = cls.__qualname__.split(".")[0]
    names[outermost] = getattr(sys.modules[cls.__module__], outermost)
    return cls.__qualname__


def expression(value: Any, names: dict[str, Any]) -> str:
    """An expression that makes the value; ``names`` gains what it needs to be imported. Raises NotWritten."""
    match value:
        case np.generic():
            return expression(value.item(), names)
        case None | bool() | int() | str() if type(value) in (type(None), bool, int, str):
            return repr(value)
        case float() if type(value) is float:
            return repr(value) if math.isfinite(value) else f"float({str(value)!r})"
        case torch.Tensor() if type(value) is torch.Tensor and value.numel() <= WRITTEN:
            names["torch"] = torch
            return f"torch.tensor({value.tolist()!r}, dtype={value.dtype})"
        case torch.dtype():
            names["torch"] = torch
            return repr(value)
        case np.ndarray() if value.size <= WRITTEN:
            names["np"] = np
            return f"np.array({value.tolist()!r}, dtype=np.{value.dtype})"
        case list() | tuple() if type(value) in (list, tuple):
            inside = ", ".join(expression(each, names) for each in value)
            ends = "[]" if isinstance(value, list) else "()"
            return f"{ends[0]}{inside}{',' if isinstance(value, tuple) and len(value) == 1 else ''}{ends[1]}"
        case dict() if type(value) is dict:
            return "{" + ", ".join(f"{expression(k, names)}: {expression(v, names)}" for k, v in value.items()) + "}"
        case int() | float() | str() | list() | tuple() | dict() | type() | torch.Tensor() | np.ndarray():
            raise NotWritten  # a subclass, which may keep more, or too large
    return _call(value, {}, names)
