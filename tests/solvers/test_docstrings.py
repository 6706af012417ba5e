"""Every public function and class of ``solvers`` describes its arguments, what it returns and what it raises."""

import dataclasses
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from solvers.regularizers.members import OPTIONAL_MEMBERS

PACKAGES = [
    "solvers",
    "solvers.batching",
    "solvers.evaluation",
    "solvers.networks",
    "solvers.optimizers",
    "solvers.regularizers",
    "solvers.regularizers.base",
    "solvers.regularizers.members",
    "solvers.subproblem",
]
#: Members that every regularizer may have; the protocols of regularizers/members.py describe their arguments.
PROTOCOL = {"value", "prox", *OPTIONAL_MEMBERS}
#: Where functions and classes of ours are defined.
OURS = "solvers."
#: A function that has one of these in its source refuses arguments.
REFUSALS = re.compile(r"\braise (ValueError|TypeError|KeyError|RuntimeError)|\bvalidate\.|check_prox_arguments\(")


def public(module: Any) -> Iterator[tuple[str, Any]]:
    """What a package exports, or a module without ``__all__`` defines: functions and classes of ours."""
    for name in getattr(module, "__all__", vars(module)):
        found = getattr(module, name)
        owner = getattr(found, "__module__", "") or ""
        exported = hasattr(module, "__all__") or (owner == module.__name__ and not name.startswith("_"))
        if exported and owner.startswith(OURS) and (inspect.isclass(found) or inspect.isfunction(found)):
            yield name, found


def members(owner: type) -> Iterator[tuple[str, Any]]:
    """The public functions and properties that a class of ours defines itself."""
    for name, found in vars(owner).items():
        function = getattr(found, "__func__", found)
        if not name.startswith("_") and (inspect.isfunction(function) or isinstance(found, property)):
            yield name, function


def everything() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for package in PACKAGES:
        for name, value in public(importlib.import_module(package)):
            found[f"{value.__module__}.{name}"] = value
            if inspect.isclass(value):
                for member, function in members(value):
                    found[f"{value.__module__}.{name}.{member}"] = function
    return found


EVERYTHING = everything()


def section(text: str, *titles: str) -> str | None:
    """The lines below a title, up to the next one; None where there is no such title."""
    end = r"(?=^ *(Arguments|Attributes|Returns|Yields|Raises|Example):|\Z)"
    found = re.search(rf"^ *({'|'.join(titles)}):(.*?){end}", text, re.M | re.S)
    return None if found is None else found[2]


def described(text: str, names: list[str]) -> list[str]:
    """The names that no entry of the section begins with; ``a, b: ...`` describes both."""
    entries = re.findall(r"^ *((?:\*{0,2}\w+(?:, )?)+):", text, re.M)
    told = {name.strip("* ") for entry in entries for name in entry.split(",")}
    return [name for name in names if name not in told]


def parameters(function: Callable[..., Any]) -> list[str]:
    found = inspect.signature(function).parameters.values()
    return [p.name for p in found if p.name not in ("self", "cls") and not p.name.startswith("_")]


def refuses(function: Any) -> bool:
    """Whether a function of ours, if it is one and not written by ``dataclass`` or ``Protocol``, refuses arguments."""
    if not inspect.isfunction(function) or "solvers" not in function.__code__.co_filename:
        return False
    return bool(REFUSALS.search(inspect.getsource(function)))


def faults(name: str, value: Any) -> list[str]:
    """What is missing in the docstring of a function, a property or a class."""
    # A method that overrides another one may leave its description to that one.
    text = inspect.getdoc(value) or ""
    if not text:
        return ["no docstring"]
    if isinstance(value, property):
        return []
    found = []
    if inspect.isclass(value):
        wanted = parameters_of_class(value)
        initialiser = vars(value).get("__init__")
        checks = [vars(value).get("__post_init__"), initialiser]
        told = " ".join([text, inspect.getdoc(initialiser) or "" if inspect.isfunction(initialiser) else ""])
    else:
        wanted, checks, told = parameters(value), [value], text
    if wanted:
        arguments = section(told, "Arguments", "Attributes")
        missing = wanted if arguments is None else described(arguments, wanted)
        found += [f"arguments not described: {', '.join(missing)}"] if missing else []
    if inspect.isfunction(value) and wanted:
        returns = inspect.signature(value).return_annotation
        if returns not in (None, "None") and section(told, "Returns", "Yields") is None:
            found.append("Returns: is missing")
    if any(refuses(check) for check in checks):
        found += ["Raises: is missing"] if section(told, "Raises") is None else []
    return found


def parameters_of_class(value: type) -> list[str]:
    """What a class of ours is made with: the parameters of its own ``__init__``, or its fields."""
    if getattr(value, "_is_protocol", False) or issubclass(value, BaseException) or "__members__" in dir(value):
        return []
    fields = [field.name for field in dataclasses.fields(value)] if dataclasses.is_dataclass(value) else []
    fields += getattr(value, "_fields", ())
    if fields:
        return [name for name in fields if not name.startswith("_")]
    initialiser = next((vars(owner)["__init__"] for owner in value.__mro__ if "__init__" in vars(owner)), None)
    ours = inspect.isfunction(initialiser) and initialiser.__module__.startswith("solvers")
    return parameters(initialiser) if ours and initialiser is not None else []


def is_of_the_protocol(name: str) -> bool:
    """Whether a member of a regularizer is one that the protocols of ``members`` describe."""
    return name.rsplit(".", 1)[-1] in PROTOCOL and not name.startswith("solvers.regularizers.members.")


@pytest.mark.parametrize("name", [name for name in EVERYTHING if not is_of_the_protocol(name)])
def test_docstring_is_complete(name):
    assert faults(name, EVERYTHING[name]) == []


def test_walk_finds_what_there_is():
    for name in ("subproblem.solve.solve", "subproblem.batch.solve_batch", "regularizers.l1.L1.prox"):
        assert f"solvers.{name}" in EVERYTHING
    assert len(EVERYTHING) > 100


def undescribed(point, step):
    """Does something."""
    if step <= 0:
        raise ValueError(f"step must be > 0, got {step}")
    return point


def half_described(point, step):
    """Does something.

    Arguments:
        point: a tensor.

    Returns:
        The point.
    """
    return point


def test_what_is_missing_is_seen():
    missing = ["arguments not described: point, step", "Returns: is missing", "Raises: is missing"]
    assert faults("f", undescribed) == missing
    assert faults("f", half_described) == ["arguments not described: step"]
