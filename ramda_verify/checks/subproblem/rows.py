"""Sizes, norms and comparison points of a batch of tensors: one number per problem, along the first dimension."""

import numpy as np
import torch
from torch import Tensor

from ramda_verify.checks.helpers import Array
from ramda_verify.engine.worst import TINY


def sizes(*tensors: Tensor) -> Array:
    """The largest magnitude of each problem's entries in any of the tensors, at least the smallest normal number.

    NaN where one is.
    """
    largest = [tensor.reshape(len(tensor), -1).abs().amax(dim=1).numpy() for tensor in tensors]
    return np.maximum(np.max(largest, axis=0), TINY)


def norms(tensor: Tensor) -> Array:
    """Euclidean norms whose squares neither vanish nor overflow."""
    scale = sizes(tensor)
    return scale * np.linalg.norm(tensor.reshape(len(tensor), -1).numpy() / scale[:, None], axis=1)


def sums(tensor: Tensor) -> Array:
    """The sum of each problem's entries."""
    return tensor.reshape(len(tensor), -1).sum(dim=1).numpy()


def comparison_points_of_rows(w: Tensor, z: Tensor, seed: int, count: int = 12) -> Tensor:
    """``helpers.comparison_points`` of each problem, the points along a first dimension; all make the same moves."""
    rng = np.random.default_rng(seed)
    points = [torch.zeros_like(w), w, z * 0.5, z * 1.5, z + (w - z) * 0.1, z - (w - z) * 0.1, -z]
    for base in (w, z):
        for axis in range(1, base.ndim):
            index = int(rng.integers(base.shape[axis]))
            for factor in (0.0, 0.9, 1.1):
                point = base.clone()
                point.select(axis, index).mul_(factor)
                points.append(point)
        point = base.clone()
        point.reshape(len(base), -1)[:, int(rng.integers(base[0].numel()))] = 0.0
        points.append(point)
    scale = column(sizes(w, z), w)
    scale = torch.where(scale > TINY, scale, 1.0)
    for _ in range(count):
        move = torch.as_tensor(rng.standard_normal(w.shape)) * scale * 10.0 ** rng.uniform(-6, 3)
        if rng.random() < 0.3:
            move = move * torch.as_tensor(rng.random(w.shape) < 0.4)
        points.append(z + move)
    return torch.stack(points)


def column(per_problem: Array, like: Tensor) -> Tensor:
    """One number per problem, in the shape that broadcasts along its tensor."""
    return torch.as_tensor(per_problem).reshape(-1, *(1,) * (like.ndim - 1))
