"""Modules that are imported when something of them is first asked for, since they are heavy and seldom needed."""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _Later(ModuleType):
    """A stand-in that imports the module of its name for each attribute that it is asked for."""

    def __getattr__(self, name: str) -> Any:
        # Looked up first: an import that has nothing left to do takes as long as a hundred look-ups.
        return getattr(sys.modules.get(self.__name__) or import_module(self.__name__), name)


def lazily(name: str) -> Any:
    """The module ``name`` for use within functions: it is imported when they first run."""
    return _Later(name)
