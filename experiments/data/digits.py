"""The 8x8 digits that scikit-learn ships: real data on every machine."""

from pathlib import Path

import numpy as np

from experiments.data.dataset import Dataset


def load_digits(data_dir: Path | None = None) -> Dataset:
    """1,437 training and 360 test images as rows of 64 pixels in [0, 1], split once and for all by a fixed seed.

    ``data_dir`` is not needed and not read.
    """
    # Imported here: it takes seconds, and every command of ramda-verify loads this module.
    from sklearn.datasets import load_digits as sklearn_digits
    from sklearn.model_selection import train_test_split

    images, labels = sklearn_digits(return_X_y=True)
    features = (images / 16).astype(np.float32)
    train_features, test_features, train_labels, test_labels = train_test_split(
        features, labels.astype(np.int64), test_size=360, random_state=0, stratify=labels
    )
    return Dataset("digits", 10, train_features, train_labels, test_features, test_labels)
