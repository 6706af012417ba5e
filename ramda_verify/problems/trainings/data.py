"""Data for small trainings: scikit-learn's digits, MNIST where it is at hand, English text, documents from a seed."""

import os
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

#: Side of MNIST's images, and of the box inside it that digits are enlarged to.
SIDE, BOX = 28, 20
#: Digits are moved by up to so many pixels from the middle; the border beyond is zero in every image, as in MNIST.
SHIFT = 2


class Labelled(NamedTuple):
    """``inputs``, one example along the first axis, their labels, and where they come from."""

    inputs: Tensor
    labels: Tensor
    source: str


@cache
def digits() -> Labelled:
    """scikit-learn's 1,797 digits as float32 images of shape (1, 8, 8) in [0, 1]."""
    # Imported here: scikit-learn takes seconds to load, and every check imports this module.
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    inputs = torch.from_numpy((images / 16).astype(np.float32)).reshape(-1, 1, 8, 8)
    return Labelled(inputs, torch.from_numpy(labels.astype(np.int64)), "scikit-learn's digits")


@cache
def large_digits() -> Labelled:
    """Images of 28 x 28 pixels in [0, 1] whose border is always zero: MNIST from ``mnist.npz`` in the folder that the
    environment variable RAMDA_DATA names, else scikit-learn's digits enlarged and moved about.

    ``mnist.npz`` holds ``train_images`` (uint8, n x 28 x 28) and ``train_labels`` (uint8, n).
    """
    path = Path(os.environ.get("RAMDA_DATA", "")) / "mnist.npz"
    if os.environ.get("RAMDA_DATA") and path.is_file():
        with np.load(path, allow_pickle=False) as archive:
            images, labels = archive["train_images"], archive["train_labels"]
        inputs = torch.from_numpy(images.astype(np.float32) / 255).reshape(-1, 1, SIDE, SIDE)
        return Labelled(inputs, torch.from_numpy(labels.astype(np.int64)), "MNIST")
    small = digits()
    enlarged = torch.nn.functional.interpolate(small.inputs, size=(BOX, BOX), mode="bilinear")
    inputs = torch.zeros(len(enlarged), 1, SIDE, SIDE)
    margin = (SIDE - BOX) // 2
    places = margin + torch.randint(-SHIFT, SHIFT + 1, (len(enlarged), 2), generator=torch.Generator().manual_seed(0))
    for image, (row, column), target in zip(enlarged, places.tolist(), inputs, strict=True):
        target[:, row : row + BOX, column : column + BOX] = image
    return Labelled(inputs, small.labels, "scikit-learn's digits, enlarged to 20 x 20 and moved about in 28 x 28")


@cache
def characters() -> Tensor:
    """English text as ASCII codes: the descriptions that scikit-learn ships with its data sets, 15,000 characters."""
    from sklearn import datasets

    names = ("digits", "iris", "wine", "breast_cancer", "diabetes", "linnerud")
    text = "".join(getattr(datasets, f"load_{name}")().DESCR for name in names)
    return torch.tensor(list(text.encode("ascii", "ignore")))


class Topics(NamedTuple):
    """Documents are bags of words: a topic's words are drawn by ``weights[topic]``, and ``words`` numbers them."""

    weights: Tensor
    words: Tensor


@cache
def topics(vocabulary: int, count: int = 10) -> Topics:
    """``count`` topics over one half of the vocabulary, with frequencies as Zipf's law has them; the other half of the
    words occurs in no document.
    """
    generator = torch.Generator().manual_seed(0)
    used = vocabulary // 2
    words = torch.randperm(vocabulary, generator=generator)[:used]
    frequency = 1 / torch.arange(1, used + 1).float()
    return Topics(frequency * torch.randn(count, used, generator=generator).exp(), words)
