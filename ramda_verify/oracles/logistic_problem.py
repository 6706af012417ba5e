"""Multinomial logistic regression with a group LASSO on the features, full batch and in float64; NumPy only.

    F(W, b) = (1/n) sum_i CE(softmax(W x_i + b), y_i) + reg_weight * sqrt(classes) * sum_j ||W[:, j]||_2

W is (classes, features), a group is a column of it, b is free.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LogisticProblem:
    """The data of F; ``features`` (n, p) float64, ``labels`` (n,) int64 in [0, classes)."""

    features: Array
    labels: NDArray[np.int64]
    classes: int
    reg_weight: float

    @property
    def threshold(self) -> float:
        """What F charges per unit of a group's norm."""
        return self.reg_weight * float(np.sqrt(self.classes))

    def smooth(self, weight: Array, bias: Array) -> tuple[float, Array]:
        """Mean cross entropy and the probabilities (n, classes)."""
        logits = self.features @ weight.T + bias
        logits -= logits.max(axis=1, keepdims=True)
        chosen = logits[np.arange(len(logits)), self.labels]
        probabilities = np.exp(logits, out=logits)
        total = probabilities.sum(axis=1)
        probabilities /= total[:, None]
        return float(np.mean(np.log(total) - chosen)), probabilities

    def gradient(self, probabilities: Array) -> tuple[Array, Array]:
        """Gradient of the mean cross entropy in W and b at the point that gave ``probabilities``, which is kept."""
        error = probabilities.copy()
        error[np.arange(len(error)), self.labels] -= 1
        error /= len(error)
        return error.T @ self.features, error.sum(axis=0)

    def penalty(self, weight: Array) -> float:
        return self.threshold * float(np.linalg.norm(weight, axis=0).sum())

    def objective(self, weight: Array, bias: Array) -> float:
        return self.smooth(weight, bias)[0] + self.penalty(weight)

    def shrink(self, weight: Array, step: float) -> Array:
        """Proximal map of ``step`` times the penalty: every column loses ``step * threshold`` of its length."""
        norm = np.linalg.norm(weight, axis=0)
        kept = np.maximum(norm - step * self.threshold, 0.0) / np.where(norm > 0, norm, 1.0)
        return weight * kept

    def residual(self, weight: Array, grad_weight: Array, grad_bias: Array) -> float:
        """Norm of the smallest subgradient of F at ``weight``, from the gradient of the smooth part there."""
        norm = np.linalg.norm(weight, axis=0)
        size = np.linalg.norm(grad_weight, axis=0)
        nonzero = norm > 0
        direction = weight[:, nonzero] / norm[nonzero]
        inside = np.linalg.norm(grad_weight[:, nonzero] + self.threshold * direction)
        outside = np.linalg.norm(np.maximum(size[~nonzero] - self.threshold, 0.0))
        return float(np.sqrt(inside**2 + outside**2 + np.linalg.norm(grad_bias) ** 2))

    def lipschitz(self) -> float:
        """A Lipschitz constant of the gradient: half the top eigenvalue of the second moments of (x, 1).

        The Hessian of the softmax loss in the logits is at most 1/2 (Boehning, 1992).
        """
        n = len(self.features)
        moments = np.empty((self.features.shape[1] + 1,) * 2)
        moments[:-1, :-1] = self.features.T @ self.features / n
        moments[:-1, -1] = moments[-1, :-1] = self.features.mean(axis=0)
        moments[-1, -1] = 1.0
        return 0.5 * float(np.linalg.eigvalsh(moments)[-1])
