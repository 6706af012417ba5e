"""MNIST from one NumPy archive, normalised as in the paper's experiment."""

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments.data.dataset import Dataset
from experiments.data.locations import find_file

#: Mean and standard deviation of the training pixels in [0, 1], the two constants that everyone uses.
MEAN, STANDARD_DEVIATION = np.float32(0.1307), np.float32(0.3081)

ARRAYS = {
    "train_images": (60000, 28, 28),
    "train_labels": (60000,),
    "test_images": (10000, 28, 28),
    "test_labels": (10000,),
}
CONTENTS = "the uint8 arrays " + ", ".join(f"{name} {shape}" for name, shape in ARRAYS.items())


def load_mnist(data_dir: Path | None = None) -> Dataset:
    """The 60,000 training and 10,000 test images as rows of 784 normalised pixels, in the file's order.

    Raises FileNotFoundError where ``mnist.npz`` is absent and ValueError where its contents are not MNIST's arrays.
    """
    path = find_file("mnist.npz", CONTENTS, data_dir)
    arrays = _read(path)
    return Dataset(
        name="mnist",
        classes=10,
        train_features=_normalise(arrays["train_images"]),
        train_labels=arrays["train_labels"].astype(np.int64),
        test_features=_normalise(arrays["test_images"]),
        test_labels=arrays["test_labels"].astype(np.int64),
    )


def _read(path: Path) -> dict[str, NDArray[np.uint8]]:
    try:
        # Opened here, since np.load leaves a broken archive that it opened itself to the garbage collector.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in ARRAYS if name in archive}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} cannot be read as a NumPy archive with {CONTENTS}: {error}") from error
    for name, shape in ARRAYS.items():
        found = arrays.get(name)
        if found is None or found.shape != shape or found.dtype != np.uint8:
            got = "no such array" if found is None else f"{found.dtype} {found.shape}"
            raise ValueError(f"{path}: {name} must be uint8 {shape}, got {got}; the file must hold {CONTENTS}")
    return arrays


def _normalise(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    pixels = images.reshape(len(images), -1).astype(np.float32) / np.float32(255)
    return (pixels - MEAN) / STANDARD_DEVIATION
