"""Norms and inner products of tensors whose squares may leave the range of their dtype.

The subproblem is homogeneous: (B, lam) multiplied by s multiplies its solution and every residual by s, and what a
solve says must not depend on s. A sum of squares does: below 1e-162 it is 0 in float64, above 1e154 it is infinite.
Whatever decides a status, a restart or a comparison of two objectives is computed by the functions of this module.
"""

import math

import torch
from torch import Tensor

from solvers.subproblem.per_problem import Number, where

#: A norm within these bounds has lost no digit to squares below the smallest normal number or above the largest.
SMALLEST_PLAIN, LARGEST_PLAIN = 1e-140, 1e140


def is_batched(*values: object) -> bool:
    """Whether ``torch.vmap`` runs over one of the values, so that no number may be read from it."""
    return any(isinstance(value, Tensor) and torch._C._functorch.is_batchedtensor(value) for value in values)


def is_finite(tensor: Tensor) -> bool:
    """Whether every entry is finite. Reads two numbers; an eighth of the time of ``torch.isfinite(tensor).all()``."""
    low, high = tensor.aminmax()
    return math.isfinite(float(low)) and math.isfinite(float(high))


def norm(tensor: Tensor) -> float:
    """Euclidean norm in float64: 0 only where every entry is, infinite only where it is out of range or an entry is."""
    plain = float(torch.linalg.vector_norm(tensor, dtype=torch.float64))
    if SMALLEST_PLAIN < plain < LARGEST_PLAIN:
        return plain
    largest = float(tensor.abs().amax())
    if largest == 0 or not math.isfinite(largest):
        return largest
    return float(torch.linalg.vector_norm(tensor.double() / largest)) * largest


def row_norms(tensor: Tensor) -> Tensor:
    """``norm`` of every slice along the first dimension, a float64 tensor of shape (batch,)."""
    rows = tensor.reshape(len(tensor), -1)
    plain: Tensor = torch.linalg.vector_norm(rows, dim=1, dtype=torch.float64)
    if bool(((plain > SMALLEST_PLAIN) & (plain < LARGEST_PLAIN)).all()):
        return plain
    largest = rows.abs().amax(dim=1, keepdim=True).double()
    usable = (largest > 0) & torch.isfinite(largest)
    divided = rows.double() / torch.where(usable, largest, 1.0)
    return torch.where(usable, torch.linalg.vector_norm(divided, dim=1, keepdim=True) * largest, largest).squeeze(1)


def unit(*tensors: Tensor) -> Tensor:
    """The largest magnitude of all entries, a 0-d float64 tensor; 1 where all are zero. No number is read."""
    largest = torch.stack([tensor.abs().amax().double() for tensor in tensors]).amax()
    return torch.where(largest > 0, largest, 1.0)


def times(size: Number, factor: float) -> Number:
    """``size * factor`` of a size >= 0 and a factor > 0; where a positive size underflows to 0 it becomes the smallest
    positive number, so that no residual is called zero that is not.
    """
    found = size * factor
    return where((found == 0) & (size > 0), math.ulp(0.0), found)
