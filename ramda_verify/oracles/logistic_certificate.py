"""What is certified about a point of group LASSO multinomial logistic regression, computed from scratch.

Shares no line with the solver: a point counts as the optimum because of what is computed here.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ramda_verify.oracles.lazily import lazily

special = lazily("scipy.special")

Array = NDArray[np.float64]


class Certificate(NamedTuple):
    """F, the norm of its smallest subgradient, the nonzero groups, and how far each group is from changing sides.

    A zero group's margin is ``1 - ||gradient|| / threshold``: strictly inside where positive. A nonzero group's is its
    norm.
    """

    objective: float
    residual: float
    support: NDArray[np.int64]
    margins: Array


def certify(
    features: Array, labels: NDArray[np.int64], *, reg_weight: float, weight: Array, bias: Array
) -> Certificate:
    """Certificate of (weight (classes, p), bias (classes,)) for features (n, p), labels (n,); float64 throughout."""
    n, classes = len(labels), len(bias)
    threshold = reg_weight * classes**0.5
    log_probability = special.log_softmax(np.dot(features, weight.T) + bias, axis=1)
    target = np.eye(classes)[labels]
    error = (np.exp(log_probability) - target) / n
    grad_weight, grad_bias = np.dot(error.T, features), error.sum(axis=0)
    norms = np.sqrt(np.square(weight).sum(axis=0))
    objective = -(target * log_probability).sum() / n + threshold * norms.sum()
    squares, margins = np.empty(len(norms)), np.empty(len(norms))
    for group, norm in enumerate(norms):
        g = grad_weight[:, group]
        if norm > 0:
            # One subgradient only: g + threshold * w / ||w||.
            squares[group] = np.square(g + threshold * weight[:, group] / norm).sum()
            margins[group] = norm
        else:
            # All of g + threshold * (unit ball); its point next to the origin.
            size = np.sqrt(np.square(g).sum())
            squares[group] = max(size - threshold, 0.0) ** 2
            margins[group] = 1 - size / threshold if threshold > 0 else -size
    residual = np.sqrt(squares.sum() + np.square(grad_bias).sum())
    return Certificate(float(objective), float(residual), np.flatnonzero(norms).astype(np.int64), margins)
