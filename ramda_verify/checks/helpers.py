"""What several checks need: tensors from arrays, sizes, points to compare with."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ramda_verify.targets import Target
from solvers.regularizers.base import offers

Array = np.ndarray


def tensor(array: Array, dtype: torch.dtype = torch.float64) -> Tensor:
    """A new tensor; the case's array is never shared with the code under test."""
    return torch.tensor(array, dtype=dtype)


def size(*values: Array | Tensor | float) -> float:
    """The largest magnitude among the arguments, at least the smallest normal number: a scale to divide by."""
    largest = [float(np.abs(np.asarray(v)).max(initial=0.0)) for v in values]
    return max([*largest, float(np.finfo(np.float64).tiny)])


def norm(array: Array) -> float:
    """Euclidean norm whose squares neither vanish nor overflow."""
    return math.hypot(*np.asarray(array, dtype=np.float64).ravel())


def feasible(regularizer: Any, point: Array) -> Array:
    """``point``, or its prox where psi is infinite there: a start at which an objective can be compared."""
    if np.isfinite(float(regularizer.value(tensor(point)))):
        return point
    return regularizer.prox(tensor(point), 1.0).numpy()


def needs(member: str) -> Callable[[Target], str | None]:
    """``applies`` of a check on an optional member, such as ``convex``: a claim that is not made is not checked."""
    return lambda target: target.probe(
        lambda r: None if offers(r, member) else f"the regularizer does not offer {member}"
    )


def comparison_points(w: Array, z: Array, seed: int, count: int = 12) -> list[Array]:
    """Points around z and w at many scales, with parts set to zero: where a wrong prox is beaten.

    Zero, w, z and w with single entries, rows and columns zeroed, multiples, and random moves of 1e-6 to 1e3 times the
    size of w.
    """
    rng = np.random.default_rng(seed)
    scale = size(w, z)
    points = [np.zeros_like(w), w, z * 0.5, z * 1.5, z + (w - z) * 0.1, z - (w - z) * 0.1, -z]
    for base in (w, z):
        for axis in range(base.ndim):
            index = tuple(rng.integers(base.shape[axis]) if k == axis else slice(None) for k in range(base.ndim))
            for factor in (0.0, 0.9, 1.1):
                point = base.copy()
                point[index] *= factor
                points.append(point)
        flat = int(rng.integers(base.size))
        point = base.copy()
        point.flat[flat] = 0.0
        points.append(point)
    for _ in range(count):
        move = rng.standard_normal(w.shape) * scale * 10.0 ** rng.uniform(-6, 3)
        if rng.random() < 0.3:
            move = move * (rng.random(w.shape) < 0.4)
        points.append(z + move)
    return points
