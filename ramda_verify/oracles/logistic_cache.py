"""Solutions kept on disk by joblib.Memory under the content of their data; what is read there is never believed."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ramda_verify.output.folders import cache_folder


class Remembered(NamedTuple):
    """What a function computed, whether it was read from the disk, and how to make the disk forget it."""

    value: Any
    from_cache: bool
    discard: Callable[[], None]


def folder() -> Path:
    """Where the solutions lie, see ``folders.cache_folder``."""
    return cache_folder()


def remembered(function: Callable[..., Any], *arguments: Any) -> Remembered:
    """``function(*arguments)``, from the disk where it was computed before.

    A folder that cannot be written and a file that cannot be read cost the time of computing once more. The files are
    pickles, so the folder must be the user's own.

    Arguments:
        function: a function of a module, whose value depends on its arguments alone.
        arguments: arrays, numbers and texts; a bit more or less makes another entry.

    Returns:
        The value, with where it came from.
    """
    from joblib import Memory

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # by which joblib tells of what it could not read or write
        try:
            kept = Memory(folder(), verbose=0).cache(function)
            known = kept.check_call_in_cache(*arguments)
        except OSError:
            return Remembered(function(*arguments), False, _nothing)
        if known:
            shelf = kept.call_and_shelve(*arguments)
            try:
                return Remembered(shelf.get(), True, shelf.clear)
            except Exception:  # a broken pickle raises whatever its bytes spell
                shelf.clear()
        shelf = kept.call_and_shelve(*arguments)
        try:
            return Remembered(shelf.get(), False, shelf.clear)
        except Exception:
            return Remembered(function(*arguments), False, _nothing)


def _nothing() -> None:
    """There is nothing to forget."""
