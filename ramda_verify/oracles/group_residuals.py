"""The residual of every group of a (sparse) group LASSO subproblem at once, in numpy float64, for tensors of many
groups.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ramda_verify.oracles.answer import Array


def relative_residuals(
    point: Array,
    B: Array,
    D: Array,
    prices: Sequence[float],
    groups: Sequence[NDArray[np.intp]],
    entry_price: float = 0.0,
) -> Array:
    """``min {||s|| : s in D*z - B + price*d||z|| + entry_price*d(sum |z_i|)} / ||B||`` of each group, at z = ``point``;
    inf where it is NaN.

    ``groups`` are flat indices, as many in each, ``prices`` what a unit of each group's norm costs. Where B is zero
    the residual of z = 0 is 0 and of any other z infinite. Numbers are divided by max|B| of the group first, and z by
    its own largest entry, so that no square leaves the range.
    """
    index, price = np.stack(list(groups)), np.asarray(prices, dtype=np.float64)
    z, b, d = (np.asarray(a, dtype=np.float64).ravel()[index] for a in (point, B, D))
    unit = np.abs(b).max(axis=1)
    with np.errstate(all="ignore"):
        b, slope, price = b / unit[:, None], d * z / unit[:, None], price / unit
        shrink = entry_price / unit[:, None]
        slope = slope - b
        # At a zero entry its price may be paid in part, up to all of it.
        slope = np.where(z != 0, slope + shrink * np.sign(z), soft_threshold(slope, shrink))
        largest = np.abs(z).max(axis=1)
        direction = z / largest[:, None]
        direction /= np.sqrt(np.sum(direction**2, axis=1))[:, None]
        nonzero = np.sqrt(np.sum((slope + price[:, None] * direction) ** 2, axis=1))
        # At z = 0 the subdifferential is a ball, and what sticks out of it is the residual.
        size, left = np.sqrt(np.sum(b**2, axis=1)), np.sqrt(np.sum(slope**2, axis=1))
        relative = np.where(largest == 0, np.maximum(left - price, 0.0), nonzero) / size
    relative = np.where(unit == 0, np.where(largest == 0, 0.0, np.inf), relative)
    return np.where(np.isnan(relative), np.inf, relative)


def soft_threshold(x: Array, by: Array) -> Array:
    """``sign(x) * max(|x| - by, 0)``, entry by entry."""
    return np.sign(x) * np.maximum(np.abs(x) - by, 0.0)


def zeroing_factor(b: Array, price: float, entry_price: float) -> float:
    """The factor of both prices from which on the group's solution is zero: ``||soft_threshold(b, s*entry_price)||`` is
    ``s*price``, found by halving; exactly ``||b|| / price`` without a price of entries.
    """
    unit = float(np.abs(b).max()) or 1.0
    b = b / unit

    def length(by: float) -> float:
        return float(np.sqrt(np.sum(soft_threshold(b, np.asarray(by)) ** 2)))

    low, high = 0.0, length(0.0) / price
    if entry_price == 0:
        return unit * high
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if length(middle * entry_price) > middle * price else (low, middle)
    return unit * high
