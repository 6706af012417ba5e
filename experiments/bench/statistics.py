"""Ratios of medians and slopes, with percentile intervals by scipy's bootstrap."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
#: The interval covers this share of the resampled values.
COVERAGE = 0.95

Array = NDArray[np.float64]
#: Indices of samples, drawn with repetition.
Drawn = NDArray[np.int64]


class Estimate(NamedTuple):
    """A value with the ends of its interval."""

    value: float
    low: float
    high: float


def exactly(value: float) -> Estimate:
    """A value without spread: a count, or what was measured once."""
    return Estimate(value, value, value)


def ratio_of_medians(
    numerators: Sequence[float], denominators: Sequence[float], *, factor: float = 1.0, seed: int = 0
) -> Estimate:
    """``factor * median(numerators) / median(denominators)`` with a percentile bootstrap interval.

    The two belong together pair by pair (measured in one round), and rounds are what is drawn again. Raises ValueError
    unless both are of one length >= 1 with positive finite entries.
    """
    above, below = _samples("numerators", numerators), _samples("denominators", denominators)
    if len(above) != len(below):
        raise ValueError(f"numerators and denominators must be of one length, got {len(above)} and {len(below)}")

    def ratio(rounds: Drawn) -> Array:
        return factor * np.median(above[rounds], axis=-1) / np.median(below[rounds], axis=-1)

    return _estimate([len(above)], lambda drawn: ratio(drawn[0]), seed)


def quantile_of_ratios(
    numerators: Sequence[Sequence[float]],
    denominators: Sequence[Sequence[float]],
    weights: Sequence[float],
    share: float,
    *,
    seed: int = 0,
) -> Estimate:
    """The quantile ``share``, over steps, of the ratio of a step's typical times; with a percentile bootstrap interval.

    ``numerators[i]`` and ``denominators[i]`` are samples of step i, paired round by round; the step counts
    ``weights[i]`` times. Rounds are what is drawn again, within each step. Raises ValueError unless there is one list
    of each, and a weight > 0, for one step or more.
    """
    if not len(numerators) == len(denominators) == len(weights) or not len(weights):
        counts = f"{len(numerators)}, {len(denominators)} and {len(weights)}"
        raise ValueError(f"numerators, denominators and weights must be of one length >= 1, got {counts}")
    counted, pairs = _samples("weights", weights), []
    for index, pair in enumerate(zip(numerators, denominators, strict=True)):
        above, below = (_samples(f"samples of step {index}", samples) for samples in pair)
        if len(above) != len(below):
            raise ValueError(f"samples of step {index} must be pairs, got {len(above)} and {len(below)}")
        pairs.append((above, below))

    def quantile(drawn: Sequence[Drawn]) -> Array:
        ratios = [typical(above[i]) / typical(below[i]) for (above, below), i in zip(pairs, drawn, strict=True)]
        return np.apply_along_axis(weighted_quantile, -1, np.stack(ratios, axis=-1), counted, share)

    return _estimate([len(above) for above, _ in pairs], quantile, seed)


def typical(samples: Sequence[float] | Array) -> Array:
    """The lower quartile along the last axis: whatever else a machine does adds to a time and takes nothing off it, so
    that of few samples, each of a step that always does the same, the lower ones are nearer to what the step takes.
    """
    return np.quantile(np.asarray(samples, dtype=np.float64), 0.25, axis=-1)


def weighted_quantile(values: Sequence[float] | Array, weights: Sequence[float] | Array, share: float) -> float:
    """The smallest value such that values up to it have at least ``share`` of all weight."""
    found, weight = np.asarray(values, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    order = np.argsort(found)
    reached = np.cumsum(weight[order]) / weight.sum()
    return float(found[order][np.searchsorted(reached, share - 1e-12)])


def growth_exponent(sizes: Sequence[float], samples: Sequence[Sequence[float]], *, seed: int = 0) -> Estimate:
    """Slope of log(median of samples[i]) over log(sizes[i]): 1 where time grows linearly. With a bootstrap interval.

    Raises ValueError unless there are two sizes or more, one list of positive finite samples for each.
    """
    x = np.log(_samples("sizes", sizes))
    if len(x) < 2 or len(x) != len(samples):
        raise ValueError(f"sizes must be two or more, one for each list of samples, got {len(x)} and {len(samples)}")
    lists = [_samples(f"samples[{index}]", entry) for index, entry in enumerate(samples)]

    def slope(drawn: Sequence[Drawn]) -> Array:
        medians = np.stack([np.median(entry[i], axis=-1) for entry, i in zip(lists, drawn, strict=True)])
        return np.polyfit(x, np.log(medians), 1)[0]

    return _estimate([len(entry) for entry in lists], slope, seed)


def _estimate(counts: Sequence[int], statistic: Callable[[Sequence[Drawn]], Array], seed: int) -> Estimate:
    """``statistic`` of lists of samples, and its interval where each list is drawn again from itself.

    ``statistic`` gets one array of indices for each list, of shape (..., counts[i]), and reduces the last axis. A list
    of one sample is the same whenever it is drawn.
    """
    from scipy.stats import bootstrap

    whole = [np.arange(count) for count in counts]
    several = [place for place, count in enumerate(counts) if count > 1]
    value = float(statistic(whole))
    if not several:
        return exactly(value)

    def of_drawn(*drawn: Array, axis: int) -> Array:
        lengths = drawn[0].shape[:-1]
        lists: list[Drawn] = [np.zeros((*lengths, 1), dtype=np.int64) for _ in counts]
        for place, indices in zip(several, drawn, strict=True):
            lists[place] = indices.astype(np.int64)
        return statistic(lists)

    found = bootstrap(
        [whole[place] for place in several],
        of_drawn,
        n_resamples=RESAMPLES,
        confidence_level=COVERAGE,
        method="percentile",
        vectorized=True,
        axis=-1,
        rng=np.random.default_rng(seed),
    )
    return Estimate(value, float(found.confidence_interval.low), float(found.confidence_interval.high))


def _samples(name: str, values: Sequence[float]) -> Array:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0 or not (np.isfinite(array).all() and (array > 0).all()):
        raise ValueError(f"{name} must be one or more positive finite numbers, got {list(values)!r}")
    return array
