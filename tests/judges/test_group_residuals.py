"""Residuals of groups against hand-made ones: on the support, at zero, where B is zero, at the ends of the range."""

import math

import numpy as np
import pytest

from ramda_verify.oracles.group_residuals import relative_residuals, soft_threshold, zeroing_factor

#: Six entries in two groups of three, which lie neither in a row nor in order.
GROUPS = [np.array([4, 0, 2]), np.array([1, 5, 3])]


def spread(first, second):
    """The matrix whose groups are these."""
    flat = np.empty(6)
    flat[GROUPS[0]], flat[GROUPS[1]] = first, second
    return flat.reshape(2, 3)


def residuals(point, B, D, prices, entry_price=0.0):
    return relative_residuals(spread(*point), spread(*B), spread(*D), prices, GROUPS, entry_price).tolist()


ONES, NOTHING = [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]


@pytest.mark.parametrize("size", [1e-290, 1.0, 1e290])
@pytest.mark.parametrize("ratio", [1e-10, 1.0, 1e10])
def test_a_group_that_is_not_zero_is_moved_along_itself(size, ratio):
    """z = (3, 4, 0) has the direction (0.6, 0.8, 0), z = (0, -1, 0) the direction (0, -1, 0)."""
    length = ratio * size
    D = [[2.0 * size / length, 0.5 * size / length, size / length], [3.0 * size / length] * 3]
    B = [[size * b for b in (5.0, 1.0, 12.0)], [size * b for b in (0.0, -2.0, 1.5)]]
    found = residuals([[3.0 * length, 4.0 * length, 0.0], [0.0, -length, 0.0]], B, D, [10.0 * size, 4.0 * size])
    first = math.sqrt((6 - 5 + 6) ** 2 + (2 - 1 + 8) ** 2 + 12**2) / math.sqrt(25 + 1 + 144)
    second = math.sqrt((-3 + 2 - 4) ** 2 + 1.5**2) / 2.5
    assert found == pytest.approx([first, second], rel=1e-14)


@pytest.mark.parametrize("size", [1e-290, 1.0, 1e290])
def test_an_entry_price_is_paid_by_what_is_not_zero_and_in_part_by_what_is(size):
    """Entries of z: 3, -4 and 0; the slope of the last, -1.5, is paid to 1, and one of -0.5 wholly."""
    D = [[2.0 * size] * 3, [2.0 * size] * 3]
    B = [[size * b for b in (5.0, 1.0, 1.5)], [size * b for b in (5.0, 1.0, 0.5)]]
    z = [3.0, -4.0, 0.0]
    found = residuals([z, z], B, D, [10.0 * size, 10.0 * size], 1.0 * size)
    on_support = (6 - 5 + 6 + 1) ** 2 + (-8 - 1 - 8 - 1) ** 2
    first = math.sqrt(on_support + 0.5**2) / math.sqrt(25 + 1 + 2.25)
    assert found == pytest.approx([first, math.sqrt(on_support) / math.sqrt(25 + 1 + 0.25)], rel=1e-14)


@pytest.mark.parametrize("size", [1e-290, 1.0, 1e290])
@pytest.mark.parametrize(
    ("price", "entry_price", "left"),
    [(4.0, 0.0, 1.0), (5.0, 0.0, 0.0), (6.0, 0.0, 0.0), (1.0, 1.0, 13**0.5 - 1), (13**0.5 + 0.1, 1.0, 0.0)],
)
def test_at_zero_the_residual_is_what_sticks_out_of_the_ball(size, price, entry_price, left):
    """B = (3, -4, 0) has the length 5; without one of each entry (2, -3, 0), of length sqrt(13)."""
    B = [[3.0 * size, -4.0 * size, 0.0], [3.0 * size, -4.0 * size, 0.0]]
    found = residuals([NOTHING, NOTHING], B, [ONES, ONES], [price * size, 0.0], entry_price * size)
    without = 5.0 if entry_price == 0 else 13**0.5
    assert found == pytest.approx([left / 5, without / 5], rel=1e-14)


@pytest.mark.parametrize("price", [0.0, 2.0])
@pytest.mark.parametrize("entry_price", [0.0, 0.5])
def test_where_B_is_zero_only_zero_has_a_residual(price, entry_price):
    """Also where nothing is paid: the quotients 0/0 on the way are not the answer."""
    found = residuals([NOTHING, [0.0, 1e-300, 0.0]], [NOTHING, NOTHING], [ONES, ONES], [price, price], entry_price)
    assert found == [0.0, math.inf]
    found = residuals([[-1.0, 0.0, 0.0], NOTHING], [NOTHING, [0.0, 0.0, 2.0]], [ONES, ONES], [price, 0.0])
    assert found == [math.inf, 1.0]


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_a_point_that_is_not_finite_has_an_infinite_residual_and_its_neighbour_its_own(wrong):
    found = residuals([[0.0, wrong, 0.0], [2.0, 0.0, 0.0]], [ONES, [2.0, 0.0, 0.0]], [ONES, ONES], [1.0, 1.0])
    assert found == [math.inf, 0.5]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_numbers_of_a_problem_that_are_not_finite_have_an_infinite_residual(bad):
    fine = [[1.0, 0.0, 0.0], NOTHING]
    assert residuals(fine, [[bad, 0.0, 0.0], ONES], [ONES, ONES], [1.0, 2.0]) == [math.inf, 0.0]
    assert residuals(fine, [ONES, ONES], [[bad, 1.0, 1.0], ONES], [1.0, 2.0]) == [math.inf, 0.0]


def test_groups_of_a_single_entry_and_of_all():
    point, B, D = np.array([1.0, 0.0]), np.array([3.0, -2.0]), np.array([1.0, 4.0])
    each = relative_residuals(point, B, D, [2.0, 1.5], [np.array([0]), np.array([1])])
    assert each.tolist() == pytest.approx([0.0, 0.25])
    both = relative_residuals(point, B, D, [2.0], [np.array([0, 1])])
    assert both.tolist() == pytest.approx([2.0 / 13**0.5])
    narrow = relative_residuals(point.astype(np.float32), B, D, [2.0], [np.array([1, 0])])
    assert narrow.dtype == np.float64
    assert narrow.tolist() == both.tolist()


def test_soft_threshold_of_numbers():
    assert soft_threshold(np.array([3.0, -3.0, 0.5, -0.5, 0.0]), np.array(1.0)).tolist() == [2.0, -2.0, 0.0, 0.0, 0.0]
    assert soft_threshold(np.array([3.0, -3.0]), np.array([0.0, 2.5])).tolist() == [3.0, -0.5]


@pytest.mark.parametrize("size", [1e-290, 1.0, 1e290])
@pytest.mark.parametrize("price", [1.0, 2.5])
def test_the_factor_that_zeroes_a_group(size, price):
    """Without a price of entries 5/price; with one of 1, ``(3 - s)^2 + (4 - s)^2 = (s*price)^2``."""
    b = size * np.array([3.0, 0.0, -4.0])
    assert zeroing_factor(b, price, 0.0) == pytest.approx(5.0 * size / price, rel=1e-14, abs=0)
    expected = (7.0 - math.sqrt(49.0 - 25.0 * (2.0 - price**2))) / (2.0 - price**2)
    assert 0 < expected < 3
    assert zeroing_factor(b, price, 1.0) == pytest.approx(expected * size, rel=1e-13, abs=0)
    assert zeroing_factor(b, 2 * price, 2.0) == pytest.approx(expected * size / 2, rel=1e-13, abs=0)


def test_nothing_is_zeroed_by_no_price_at_all():
    assert zeroing_factor(np.zeros(3), 2.0, 0.0) == 0.0
    assert zeroing_factor(np.zeros(3), 2.0, 1.0) == 0.0


def test_a_large_price_zeroes_a_group_at_a_small_factor():
    """The entries' share of it is then below a rounding."""
    assert zeroing_factor(np.array([3.0, -4.0]), 1e30, 1.0) == pytest.approx(5e-30, rel=1e-14, abs=0)


def test_without_a_price_of_entries_the_factor_is_the_quotient_to_the_last_digit():
    assert zeroing_factor(np.array([0.0, 1.0, 8.0]), 2.2, 0.0) == math.sqrt(65.0) / 2.2
