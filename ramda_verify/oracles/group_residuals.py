"""The residual of every group of a group LASSO subproblem at once, in numpy float64, for tensors of many groups."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ramda_verify.oracles.answer import Array


def relative_residuals(
    point: Array, B: Array, D: Array, prices: Sequence[float], groups: Sequence[NDArray[np.intp]]
) -> Array:
    """``min {||s|| : s in D*z - B + price*d||z||} / ||B||`` of each group, at z = ``point``; inf where it is NaN.

    ``groups`` are flat indices, as many in each, ``prices`` what a unit of each group's norm costs. Where B is zero
    the residual of z = 0 is 0 and of any other z infinite. Numbers are divided by max|B| of the group first, and z by
    its own largest entry, so that no square leaves the range.
    """
    index, price = np.stack(list(groups)), np.asarray(prices, dtype=np.float64)
    z, b, d = (np.asarray(a, dtype=np.float64).ravel()[index] for a in (point, B, D))
    unit = np.abs(b).max(axis=1)
    with np.errstate(all="ignore"):
        b, slope, price = b / unit[:, None], d * z / unit[:, None], price / unit
        slope = slope - b
        largest = np.abs(z).max(axis=1)
        direction = z / largest[:, None]
        direction /= np.sqrt(np.sum(direction**2, axis=1))[:, None]
        nonzero = np.sqrt(np.sum((slope + price[:, None] * direction) ** 2, axis=1))
        # At z = 0 the subdifferential is a ball, and what sticks out of it is the residual.
        size = np.sqrt(np.sum(b**2, axis=1))
        relative = np.where(largest == 0, np.maximum(size - price, 0.0), nonzero) / size
    relative = np.where(unit == 0, np.where(largest == 0, 0.0, np.inf), relative)
    return np.where(np.isnan(relative), np.inf, relative)
