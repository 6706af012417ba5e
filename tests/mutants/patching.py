"""How a wrong part is put in the place of a right one: by the object, never by a name in a list of modules.

A function is edited in place: its code calls the wrong one afterwards, so that every module, table, alias and partial
that holds the function sees the edit, as it would an edit of the source. Members are replaced on the class. A part
that was renamed or moved raises ImportError, AttributeError or AssertionError. Every patched place notes whether it was
called: ``unreached`` names those that were not, and a mutant that has one shows nothing.
"""

import inspect
import sys
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass
from types import CodeType, FunctionType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

import pytest

from solvers.subproblem.batch_problem import SubproblemBatch

#: Puts a wrong part in place until the test ends.
Patch = Callable[[pytest.MonkeyPatch], None]


@dataclass
class Place:
    """A patched place and whether the wrong part was called."""

    name: str
    reached: bool = False


_PLACES: WeakKeyDictionary[pytest.MonkeyPatch, list[Place]] = WeakKeyDictionary()


def unreached(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the places patched by this test whose wrong part was never called."""
    return [place.name for place in _PLACES.get(monkeypatch, []) if not place.reached]


def counted(monkeypatch: pytest.MonkeyPatch, name: str, wrong: Callable[..., Any]) -> Callable[..., Any]:
    """``wrong``, which notes that it was called."""
    place = Place(name)
    _PLACES.setdefault(monkeypatch, []).append(place)

    def noted(*arguments: Any, **options: Any) -> Any:
        place.reached = True
        return wrong(*arguments, **options)

    return noted


def plain(function: Callable[..., Any]) -> FunctionType:
    """The function under its decorators; AssertionError where its code cannot be edited."""
    inner = inspect.unwrap(function)
    assert isinstance(inner, FunctionType), f"{function!r} is not a function written in Python"
    assert inner.__closure__ is None, f"{inner.__qualname__} has a closure; patch what made it"
    return inner


def original(function: Callable[..., Any]) -> Callable[..., Any]:
    """A copy of the function that no edit reaches: what a wrong function calls for the right answer."""
    right = plain(function)
    copy = FunctionType(right.__code__, right.__globals__, right.__name__, right.__defaults__)
    copy.__kwdefaults__ = dict(right.__kwdefaults__ or {})
    return copy


def _detour(*arguments: Any, _wrong: Any = None, **options: Any) -> Any:
    return _wrong(*arguments, **options)


def everywhere(right: Callable[..., Any], wrong: Callable[..., Any]) -> Patch:
    """Edit a function: what it computes is what ``wrong`` computes, whoever calls it."""
    function = plain(right)

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        assert function.__code__ is not _detour.__code__, f"{function.__qualname__} is patched twice"
        instead = counted(monkeypatch, f"{function.__module__}.{function.__qualname__}", wrong)
        monkeypatch.setattr(function, "__code__", _detour.__code__)
        monkeypatch.setattr(function, "__defaults__", None)
        monkeypatch.setattr(function, "__kwdefaults__", {"_wrong": instead})

    return patch


def for_one(right: Callable[..., Any], wrong: Callable[..., Any]) -> Patch:
    """Edit a function of one or many problems for one problem alone."""
    return _for_some(right, wrong, of_many=False)


def for_batches(right: Callable[..., Any], wrong: Callable[..., Any]) -> Patch:
    """Edit a function of one or many problems for batches alone."""
    return _for_some(right, wrong, of_many=True)


def _for_some(right: Callable[..., Any], wrong: Callable[..., Any], *, of_many: bool) -> Patch:
    kept = original(right)

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        instead = counted(monkeypatch, f"{right.__module__}.{right.__qualname__} of {of_many=}", wrong)

        def choose(first: Any, *more: Any, **options: Any) -> Any:
            return (instead if isinstance(first, SubproblemBatch) is of_many else kept)(first, *more, **options)

        # The choice is reached by both kinds, the wrong function by one: only the second counts.
        everywhere(right, choose)(monkeypatch)
        _PLACES[monkeypatch].pop()

    return patch


def member(owner: type, name: str, wrong: Any) -> Patch:
    """Replace a method or a property of a class and of what inherits it."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        where = f"{owner.__qualname__}.{name}"
        assert hasattr(owner, name), f"{where} is not where it was"
        if isinstance(wrong, property):
            assert wrong.fget is not None
            instead: Any = property(counted(monkeypatch, where, wrong.fget), wrong.fset)
        else:
            instead = counted(monkeypatch, where, wrong)
        monkeypatch.setattr(owner, name, instead)

    return patch


def class_in(module: ModuleType, right: type, wrong: type) -> Patch:
    """Let a module make another class wherever it has this one."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        names = [name for name, value in vars(module).items() if value is right]
        assert names, f"{module.__name__} has no {right.__name__}"
        for name in names:
            monkeypatch.setattr(module, name, wrong)
        _made(monkeypatch, wrong)

    return patch


def entry(table: MutableMapping[str, Any], key: str, wrong: type) -> Patch:
    """Let a table of classes hold another one."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        assert key in table, f"the table has no {key!r}"
        monkeypatch.setitem(table, key, wrong)
        _made(monkeypatch, wrong)

    return patch


def _made(monkeypatch: pytest.MonkeyPatch, wrong: type) -> None:
    """Count whether an instance of the class is made."""
    right = inspect.getattr_static(wrong, "__init__")
    monkeypatch.setattr(wrong, "__init__", counted(monkeypatch, f"{wrong.__qualname__}()", right))


def constant(module: ModuleType, name: str, wrong: Any) -> Patch:
    """Another value of a module's constant, which a function of that module must read and no other module may copy."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        where = f"{module.__name__}.{name}"
        assert name in vars(module), f"{where} does not exist"
        others = [other for other in _ours() if other is not module]
        copies = [other.__name__ for other in others if vars(other).get(name) is vars(module)[name]]
        assert not copies, f"{where} is copied by {copies}"
        codes = [code for function in _functions(module) for code in _codes(function.__code__)]
        assert any(name in code.co_names for code in codes), f"no function of {module.__name__} reads {name}"
        monkeypatch.setattr(module, name, wrong)

    return patch


def together(*patches: Patch) -> Patch:
    """Several patches as one."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        for single in patches:
            single(monkeypatch)

    return patch


def _ours() -> list[ModuleType]:
    return [module for name, module in list(sys.modules.items()) if name.split(".")[0] in ("solvers", "ramda_verify")]


def _functions(module: ModuleType) -> Iterator[FunctionType]:
    """Functions and methods that the module defines."""
    for value in vars(module).values():
        if getattr(value, "__module__", None) != module.__name__:
            continue
        for found in vars(value).values() if isinstance(value, type) else [value]:
            inner = inspect.unwrap(found) if callable(found) else found
            if isinstance(inner, FunctionType):
                yield inner


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _codes(inner)
