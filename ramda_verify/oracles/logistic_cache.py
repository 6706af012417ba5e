"""Solutions kept on disk by the content of their data: a file holds two arrays and is never believed."""

import hashlib
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ramda_verify.output.folders import cache_folder
from ramda_verify.output.writing import write_whole

Array = NDArray[np.float64]


def folder() -> Path:
    """Where the solutions lie, see ``folders.cache_folder``."""
    return cache_folder()


def key(
    features: NDArray[np.floating], labels: NDArray[np.int64], *, classes: int, reg_weight: float, version: int
) -> str:
    """sha256 over both arrays (bytes, type, shape), the two numbers and the version of the algorithm."""
    digest = hashlib.sha256(repr((classes, reg_weight, version)).encode())
    for array in (features, labels):
        digest.update(repr((array.dtype.str, array.shape)).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def path_of(key: str) -> Path:
    return folder() / f"logistic-{key}.npz"


def load(key: str, shape: tuple[int, int]) -> tuple[Array, Array] | None:
    """(weight, bias) of the key; None, and the file removed, where it does not hold them."""
    path = path_of(key)
    if not path.is_file():
        return None
    try:
        # Opened here, since np.load leaves a broken archive that it opened itself to the garbage collector.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            weight, bias = archive["weight"], archive["bias"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        discard(key)
        return None
    if weight.shape != shape or bias.shape != shape[:1] or weight.dtype != np.float64 or bias.dtype != np.float64:
        discard(key)
        return None
    return weight, bias


def store(key: str, weight: Array, bias: Array) -> None:
    """Write (weight, bias) at once or not at all; a folder that cannot be written only costs the next run time."""
    path = path_of(key)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda file: np.savez(file, weight=weight, bias=bias))
    except OSError:
        return


def discard(key: str) -> None:
    """Remove the file of the key, where that is possible."""
    try:
        path_of(key).unlink(missing_ok=True)
    except OSError:
        return
