"""One classification data set, as arrays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Dataset:
    """Features (n, p) float32 and labels (n,) int64 in [0, classes), for training and for testing.

    The features are float32 for every use: the certified optimum widens these very numbers to float64, so that it and
    the training run solve the same problem. Raises ValueError where the arrays do not fit together.
    """

    name: str
    classes: int
    train_features: NDArray[np.float32]
    train_labels: NDArray[np.int64]
    test_features: NDArray[np.float32]
    test_labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        for part in ("train", "test"):
            features, labels = getattr(self, f"{part}_features"), getattr(self, f"{part}_labels")
            if features.ndim != 2 or features.dtype != np.float32 or not np.isfinite(features).all():
                raise ValueError(
                    f"{part}_features must be a finite float32 matrix, got {features.dtype} {features.shape}"
                )
            if labels.shape != features.shape[:1] or labels.dtype != np.int64:
                raise ValueError(
                    f"{part}_labels must be {len(features)} int64 numbers, got {labels.dtype} {labels.shape}"
                )
            if not len(labels) or labels.min() < 0 or labels.max() >= self.classes:
                raise ValueError(f"{part}_labels must be in [0, {self.classes}), with at least one of them")
