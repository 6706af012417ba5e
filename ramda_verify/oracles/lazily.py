"""Modules that are imported when something of them is first asked for, since they are heavy and seldom needed."""

from importlib import import_module
from types import ModuleType
from typing import Any


class _Later(ModuleType):
    """A stand-in that imports the module of its name for each attribute that it is asked for."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self.__name__), name)


def lazily(name: str) -> Any:
    """The module ``name`` for use within functions: it is imported when they first run."""
    return _Later(name)
