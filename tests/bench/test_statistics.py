"""Known values of the ratio of medians, its interval, and the exponent of growth."""

import math

import pytest

from experiments.bench.statistics import (
    exactly,
    growth_exponent,
    quantile_of_ratios,
    ratio_of_medians,
    typical,
    weighted_quantile,
)


def test_ratio_of_medians():
    estimate = ratio_of_medians([2.0, 4.0, 300.0], [1.0, 2.0, 3.0])
    assert estimate.value == 2.0
    assert estimate.low <= 2.0 <= estimate.high


def test_constant_samples_leave_no_spread():
    assert ratio_of_medians([3.0] * 9, [2.0] * 9, factor=4.0) == exactly(6.0)


def test_pairs_are_drawn_together():
    # Both double from round to round: the ratio of medians does not spread although the times do.
    times = [float(2**index) for index in range(9)]
    assert ratio_of_medians([3 * time for time in times], times) == exactly(3.0)


def test_more_rounds_narrow_the_interval():
    few = ratio_of_medians([1.0, 1.5, 2.0] * 2, [1.0] * 6)
    many = ratio_of_medians([1.0, 1.5, 2.0] * 60, [1.0] * 180)
    assert many.high - many.low < few.high - few.low


def test_one_seed_one_interval():
    times = [1.0, 1.3, 1.7, 2.6]
    assert ratio_of_medians(times, times[::-1]) == ratio_of_medians(times, times[::-1])


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_growth_exponent(power):
    sizes = [10.0, 100.0, 1000.0]
    estimate = growth_exponent(sizes, [[5 * size**power] * 4 for size in sizes])
    assert estimate == pytest.approx((power, power, power))


@pytest.mark.parametrize(
    ("numerators", "denominators", "word"),
    [
        ([], [1.0], "numerators"),
        ([1.0], [0.0], "denominators"),
        ([1.0, math.nan], [1.0, 1.0], "numerators"),
        ([1.0, 2.0], [1.0], "one length"),
    ],
)
def test_samples_that_make_no_ratio(numerators, denominators, word):
    with pytest.raises(ValueError, match=word):
        ratio_of_medians(numerators, denominators)


def test_one_size_does_not_grow():
    with pytest.raises(ValueError, match="two or more"):
        growth_exponent([10.0], [[1.0]])


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1.0), (0.1, 1.0), (0.11, 2.0), (0.5, 2.0), (0.6, 2.0), (0.61, 3.0), (1.0, 3.0)]
)
def test_weighted_quantile(share, expected):
    assert weighted_quantile([3.0, 1.0, 2.0], [4, 1, 5], share) == expected


def test_what_disturbs_some_rounds_does_not_show():
    assert typical([1.0, 1.0, 9.0, 9.0, 9.0]) == 1.0
    assert quantile_of_ratios([[2.0, 2.0, 9.0, 9.0, 9.0]], [[9.0, 1.0, 1.0, 9.0, 9.0]], [1], 0.5).value == 2.0


def test_quantile_of_ratios():
    ours = [[2.0, 2.0], [3.0, 3.0, 3.0], [30.0, 30.0]]
    theirs = [[1.0, 1.0], [1.0, 1.0, 1.0], [3.0, 3.0]]
    assert quantile_of_ratios(ours, theirs, [5, 4, 1], 0.5) == (2.0, 2.0, 2.0)
    assert quantile_of_ratios(ours, theirs, [5, 4, 1], 0.95) == (10.0, 10.0, 10.0)
    noisy = quantile_of_ratios([[1.0, 2.0, 3.0]], [[1.0, 1.0, 1.0]], [1], 0.5)
    assert noisy.low < noisy.value < noisy.high


@pytest.mark.parametrize(
    ("ours", "theirs", "weights"),
    [([], [], []), ([[1.0]], [[1.0]], [0]), ([[1.0]], [[1.0], [2.0]], [1]), ([[1.0, 2.0]], [[1.0]], [1])],
)
def test_quantile_of_ratios_refuses(ours, theirs, weights):
    with pytest.raises(ValueError, match=r"weights|numerators|samples"):
        quantile_of_ratios(ours, theirs, weights, 0.5)
