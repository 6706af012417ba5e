"""Subproblems out of a seed: what ``strategies`` draws entry by entry, for the price of one number.

A batch holds a problem or two of Hypothesis's own, which it shrinks to the last digit, and a dozen of these. Small
seeds, to which Hypothesis shrinks, make plain numbers.
"""

from typing import Any

import numpy as np

from solvers.regularizers.members import Regularizer

#: Multiples of a weight at which some part of the solution turns zero.
AROUND_A_THRESHOLD = (0.5, 2.0, 1.0, 1 - 1e-9, 1 + 1e-9, 0.01, 100.0)

PLAIN = (0.0, 1.0, -1.0, 2.0, 0.5, -3.0)

#: The largest entry that a prox is asked for. At 1/eps a number of the size of one vanishes beside it, or beside a sum
#: of many: what a projection on a simplex subtracts, and the sort of the textbooks then finds no place for it.
LARGEST_ENTRY = 1e12

#: Seeds below this one make problems of plain numbers only.
PLAIN_SEEDS = 1000

Rng = np.random.Generator


def array(rng: Rng, shape: tuple[int, ...], plain: bool = False) -> np.ndarray:
    """Plain numbers with ties and zeros, a normal sample, or magnitudes from 1e-6 to 1e6; at times equal rows or
    zeros in a slice.
    """
    kind = 0 if plain else rng.integers(4)
    if kind == 1:
        found = rng.standard_normal(shape)
    else:
        found = rng.choice(PLAIN, shape)
        if kind == 2:
            wide = rng.choice((1.0, -1.0), shape) * 10.0 ** rng.uniform(-6, 6, shape)
            found = np.where(rng.random(shape) < 0.3, wide, found)
        elif kind == 3:
            found = np.where(rng.random(shape) < 0.5, rng.uniform(-4, 4, shape), found)
    if len(shape) > 1:
        degenerate = rng.random()
        if degenerate < 0.2:
            found = np.broadcast_to(found[:1], shape).copy()
        elif degenerate < 0.4:
            found = without_a_slice(found, int(rng.integers(found.ndim)), int(rng.integers(found.size)))
    return found


def without_a_slice(array: np.ndarray, axis: int, place: int) -> np.ndarray:
    """A copy of the array with zeros in one slice across ``axis``: a group that is zero from the start."""
    found = array.copy()
    np.moveaxis(found, axis, 0)[place % array.shape[axis]] = 0.0
    return found


def metric(rng: Rng, shape: tuple[int, ...], max_condition: float, extreme: bool, plain: bool = False) -> np.ndarray:
    """D > 0 with max/min from 1 to ``max_condition``; with ``extreme`` entries go down to 1e-12 and up to 1e12."""
    most = float(np.log10(max_condition))
    if plain:
        return 10.0 ** -(min(1.0, most) * rng.integers(0, 2, shape))
    spread = most * rng.choice((0.0, 0.25, 0.5, 1.0, rng.random()))
    top = rng.uniform(spread - 12, 12) if extreme and rng.random() < 0.5 else 0.0
    share = rng.uniform(size=shape)
    if rng.random() < 0.3:
        share = np.round(share)
    return 10.0 ** (top - spread * share)


def weight(rng: Rng, critical: list[float], plain: bool = False) -> float:
    """lam: half the time on either side of a value at which a part of the solution turns zero, else 1e-4 to 1e4."""
    critical = [c for c in critical if 1e-12 < c < 1e12]
    if critical and rng.random() < 0.5:
        return float(rng.choice(critical) * rng.choice(AROUND_A_THRESHOLD))
    return float(rng.choice((1.0, 0.5, 2.0)) if plain else 10.0 ** rng.uniform(-4, 4))


def within_reach(B: np.ndarray, D: np.ndarray | float) -> np.ndarray:
    """B, or as much of it as keeps ``B/D``, of which a prox is taken, at or below LARGEST_ENTRY."""
    largest = float(np.abs(B / D).max())
    return B if largest <= LARGEST_ENTRY else B * (LARGEST_ENTRY / largest)


def companion(
    seed: int, regularizer: Regularizer, shape: tuple[int, ...], critical: Any, max_condition: float, extreme: bool
) -> dict[str, Any]:
    """B, D, lam and a second point; ``critical(regularizer, B, D)`` lists the weights at which zeros appear."""
    rng, plain = np.random.default_rng(seed), seed < PLAIN_SEEDS
    B = array(rng, shape, plain)
    D = metric(rng, shape, max_condition, extreme, plain)
    if rng.random() < 0.5:
        B = B * D
    B = within_reach(B, D)
    lam = weight(rng, critical(regularizer, B, D), plain)
    return {"B": B, "D": D, "lam": lam, "point": array(rng, shape, plain)}
