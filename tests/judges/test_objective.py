"""What rounding may do to a point and to psi: found by moves of the point, and allowed no further than they lead."""

import math

import numpy as np
import pytest
import torch

from ramda_verify.checks.regularizer.objective import Psi, jitter, mixed_signs, norms, slopes, unless_jump
from tests.judges.cases import close
from tests.judges.regularizers import made

EPS = 2.0**-52
#: The share of a number by which rounding may have moved what was computed from it.
ROUNDED = 256 * EPS
POINT = np.array([1.0, -0.7, 0.3])


def low_only_where(chosen):
    return Psi(made(lambda w: 0.0 if chosen(w.numpy()) else 1.0), POINT.shape)


@pytest.mark.parametrize("digits", [-1, 1, -8, 8, -63, 63])
def test_psi_may_be_that_of_the_point_by_some_last_digits_larger_or_smaller(digits):
    target = POINT * (1 + digits * EPS)
    assert low_only_where(lambda x: np.array_equal(x, target)).near(POINT, 1.0) == 0.0


def test_psi_may_be_that_of_a_point_whose_entries_have_other_last_digits():
    """Each by up to eight of them, and not all by the same share."""

    def is_shaken(x):
        share = np.abs(x / POINT - 1)
        return 2.5 * EPS < share.max() < 9 * EPS and share.min() < 0.5 * share.max()

    assert low_only_where(is_shaken).near(POINT, 1.0) == 0.0
    assert low_only_where(lambda x: np.array_equal(x, POINT)).near(POINT, 1.0) == 0.0
    assert low_only_where(lambda x: np.abs(x / POINT - 1).max() > 500 * EPS).near(POINT, 1.0) == 1.0


@pytest.mark.parametrize("half", [0.0, 0.5])
@pytest.mark.parametrize(("length", "scale"), [(1.0, 0.25), (2.0**-20, 1.0), (1.0, 2.0**20)])
def test_entries_that_differ_in_their_last_digits_may_be_equal(half, length, scale):
    """On both sides of a multiple of 32 roundings of the largest number, or of the middle between two of them."""
    unit = 32 * EPS * max(length, scale)
    between = unit * (np.round(0.3 * length / unit) + half)
    for apart, joined in ((0.4, True), (1.1, False)):
        point = np.array([length, between - apart * unit, between + apart * unit])
        psi = Psi(made(lambda w: 0.0 if w[1] == w[2] else 1.0), (3,))
        assert psi.at(point) == 1.0
        assert psi.near(point, scale) == (0.0 if joined else 1.0)


@pytest.mark.parametrize(("share", "found"), [(0.0, 5.0), (0.95, 5.0), (1.05, math.inf)])
@pytest.mark.parametrize("scale", [30.0, 1e3])
def test_a_point_outside_a_set_by_rounding_has_the_psi_of_its_projection(share, found, scale):
    """The plane of points whose entries add up to a third, at a distance of so many roundings of the scale."""
    plane = made(
        lambda w: 5.0 if abs(float(w.sum()) - 1 / 3) <= 1e-16 else torch.inf,
        lambda w, step: w - (w.sum() - 1 / 3) / w.numel(),
    )
    off = share * ROUNDED * scale * 3**0.5
    point = np.array([0.5, -0.3, 1 / 3 - 0.2]) + off / 3**0.5
    assert Psi(plane, (3,)).near(point, scale) == found
    assert Psi(plane, (3,)).near(point, 0.0) == (math.inf if share else 5.0)


def test_the_anchor_is_the_length_of_the_prox_of_zero_with_step_one():
    around = made(lambda w: ((w - 3) ** 2).sum() / 2, lambda w, step: (w + 3 * step) / (1 + step))
    assert Psi(around, (2, 2)).anchor == close(3.0)
    rounding = Psi(around, (2, 2)).rounding(np.full((2, 2), 2.0), np.full((2, 2), -0.5))
    assert rounding == close(ROUNDED * (4.0 + 1.0 + 3.0))


def of_the_largest(f, prox=lambda w, step: w):
    """A psi of the largest entry: the points at which the own size is looked for have entries from 1 to 2 times 10^k
    and twice that.
    """
    return Psi(made(lambda w: f(float(w.abs().max())), prox), (2, 3))


@pytest.mark.parametrize(
    ("f", "own_size"),
    [
        (lambda r: r, 0.0),
        (lambda r: -r, 0.0),
        (lambda r: r**0.5, 0.0),
        (lambda r: r**3, 0.0),
        (lambda r: 5.0, 0.0),
        (lambda r: 0.0, 0.0),
        (lambda r: min(r, 0.5), 1.0),
        (lambda r: min(r, 0.3), 0.1),
        (lambda r: min(r, 3.78), 1.0),  # grows by 1.89 in place of 2, which is more than a twentieth less
        (lambda r: min(r, 3.82), 10.0),
        (lambda r: max(r, 1.88), 1.0),
        (lambda r: min(r, 4.1e-6), 1e-5),
        (lambda r: min(r, 4.1e-7), 0.0),
        (lambda r: min(r, 3e6), 1e6),
        (lambda r: min(r, 3e7), 0.0),
        (lambda r: max(r - 0.3, 0.0), 0.1),
        (lambda r: max(r - 0.5, 0.0), 1.0),
        (lambda r: 0.0 if r < 3e-6 else r, 1e-6),
        (lambda r: r - 3e-6, 1e-5),
    ],
)
def test_the_own_size_is_where_psi_no_longer_grows_as_it_does_at_first(f, own_size):
    assert of_the_largest(f).own_size == close(own_size)


def test_the_own_size_is_looked_for_at_points_of_different_entries():
    """Of which the smallest is half the largest."""
    smallest = Psi(made(lambda w: min(float(w.abs().min()), 1.5)), (2, 3))
    assert smallest.own_size == close(1.0)
    assert Psi(made(lambda w: min(float(w.abs().min()), 2.1)), (2, 3)).own_size == close(10.0)


@pytest.mark.parametrize(("anchor", "f", "own_size"), [(7.0, lambda r: min(r, 3.0), 7.0), (7.0, lambda r: r, 7.0)])
def test_the_own_size_is_at_least_the_anchor(anchor, f, own_size):
    psi = of_the_largest(f, lambda w, step: torch.full_like(w, anchor / 6**0.5))
    assert psi.own_size == close(own_size)


@pytest.mark.parametrize(
    ("low", "high", "f", "own_size"),
    [
        (0.0, 3.0, lambda r: 0.0, 1.0),
        (1e-3, math.inf, lambda r: r, 0.0),
        (1e-3, math.inf, lambda r: min(r, 30.0), 10.0),
        (1e-3, math.inf, lambda r: r if r < 3e-3 else 2 * r, 1e-2),
    ],
)
def test_the_own_size_is_looked_for_where_psi_is_finite(low, high, f, own_size):
    """Of entries whose magnitudes lie between two numbers."""
    psi = of_the_largest(
        lambda r: f(r) if low <= r <= high else math.inf,
        lambda w, step: w.clamp(-high, high) + torch.where(w.abs().max() < low, low, 0.0),
    )
    assert psi.own_size == close(own_size or psi.anchor)


@pytest.mark.parametrize(
    ("f", "value"),
    [(lambda r: 10 * min(r, 3.0), 10.0), (lambda r: 5.0, 0.0), (lambda r: 5.0 * r, 0.0)],
)
def test_the_value_at_its_own_size_is_zero_where_there_is_none(f, value):
    assert of_the_largest(f).value_at_own_size == close(value)


def test_the_value_at_its_own_size_is_zero_where_it_is_infinite_there():
    """On the plane of which the last entry is twice the first."""
    psi = Psi(
        made(
            lambda w: min(float(w.max()), 3.0) if float(w[-1] - 2 * w[0]) == 0 else math.inf,
            lambda w, step: torch.cat([(w[:1] + 2 * w[-1:]) / 5, w[1:-1], (2 * w[:1] + 4 * w[-1:]) / 5]),
        ),
        (3,),
    )
    assert psi.own_size == close(1.0)
    assert psi.value_at_own_size == 0.0


@pytest.mark.parametrize("x", [1.0, -5.0, 300.0])
def test_a_slope_is_the_change_over_a_thousandth_of_the_entries(x):
    """Of x^2, (2|x| + h) where the move h is away from zero."""
    psi = Psi(made(lambda w: (w**2).sum()), (1,))
    assert psi.slope(np.array([x]), 0.0) == close(2.001 * abs(x), rel=1e-9)
    assert psi.slope(np.array([x]), 100.0) == close(max(2.001, 2 + 0.1 / abs(x)) * abs(x), rel=1e-9)


def test_a_slope_at_zero_is_that_of_the_smallest_numbers_whose_squares_are_none():
    assert Psi(made(lambda w: 3 * w.norm()), (1,)).slope(np.zeros(1), 0.0) == close(3.0)
    assert Psi(made(lambda w: 3 * (w * w).sum() ** 0.5), (2,)).slope(np.zeros(2), 0.0) == close(3 * 2**0.5)


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
def test_zeros_are_moved_by_a_thousandth_of_the_scale_where_psi_jumps_or_is_steep(scale):
    count, root = made(lambda w: (w != 0).sum()), made(lambda w: w.abs().sqrt().sum())
    assert Psi(count, (1,)).slope(np.zeros(1), scale) == close(1e3 / scale)
    assert Psi(root, (1,)).slope(np.zeros(1), scale) == close((1e3 / scale) ** 0.5)
    # Of an entry of 1e-6 of the scale the slope of the root is 500 over the root of the scale.
    assert Psi(root, (2,)).slope(np.array([1e-6 * scale, 0.0]), scale) == close(500 / scale**0.5, rel=1e-3)


def test_a_slope_is_none_where_psi_is_infinite():
    assert Psi(made(lambda w: 0.0 if (w == 0).all() else torch.inf), (2,)).slope(np.zeros(2), 1.0) == 0.0


@pytest.mark.parametrize("x", [1.0, 1e-3, -1e6])
def test_the_spread_of_a_steep_psi_is_its_change_over_eight_roundings(x):
    psi = Psi(made(lambda w: 1.0 + abs(float(w[0] / x - 1)) ** 0.5), (1,))
    assert psi.spread(np.array([x])) == close((8 * EPS) ** 0.5, rel=0.1)
    assert psi.spread(np.array([2 * x])) < 1e-14


def test_the_spread_at_zero_moves_nothing_and_at_a_zero_entry_the_others():
    psi = Psi(made(lambda w: 1.0 + abs(float(w[0])) ** 0.5 + abs(float(w[1] - 1)) ** 0.5), (2,))
    assert psi.spread(np.zeros(2)) == 0.0
    assert psi.spread(np.array([0.0, 1.0])) == close((8 * EPS) ** 0.5, rel=1e-6)


@pytest.mark.parametrize(("height", "jumps"), [(0.97, False), (1.03, True)])
@pytest.mark.parametrize("level", [1.0, -50.0])
def test_a_change_by_more_than_the_cube_root_of_a_rounding_is_a_jump(height, jumps, level):
    change = height * EPS ** (1 / 3) * abs(level)
    psi = Psi(made(lambda w: level + (change if level < 0 else -change) * float(w[0] < 1)), (1,))
    assert psi.spread(np.array([1.0])) == close(0.0 if jumps else change, rel=1e-6)


@pytest.mark.parametrize(("power", "gradual"), [(2.0, True), (1.0, True), (1 / 3, True), (0.23, True), (0.18, False)])
@pytest.mark.parametrize("x", [1.0, 1e12, -3.0])
def test_a_change_that_grows_with_the_move_is_no_jump_however_small_psi_is(power, gradual, x):
    """A quarter of the move makes 4^-power of it: 0.73 where the power is 0.23, 0.78 where it is 0.18."""
    psi = Psi(made(lambda w: abs(float(w[0] - x)) ** power), (1,))
    psi.value_at_own_size = 0.0
    unit = 8 * EPS * abs(x)
    rounded = max(abs((x + move) - x) for move in (-unit, unit))
    assert psi.spread(np.array([x])) == close(rounded**power if gradual else 0.0, rel=1e-9)


@pytest.mark.parametrize("x", [1.0, 1.999, 1e12])
def test_a_jump_at_a_point_is_one_however_small_the_move(x):
    psi = Psi(made(lambda w: float(w[0] != x)), (1,))
    assert psi.spread(np.array([x])) == 0.0


def test_changes_that_are_no_jumps_are_left():
    change, as_much = np.array([0.0, 1e-6, 1e-5, 1e-5]), np.array([0.0, 1e-6, 1e-5, 1e-5])
    kept = unless_jump(change, as_much, np.array([1.0, 1.0, 1.0, 2.0]))
    assert kept.tolist() == [0.0, 1e-6, 0.0, 1e-5]
    assert unless_jump(1e-5, 0.74e-5, 1.0) == 1e-5
    assert unless_jump(1e-5, 0.76e-5, 1.0) == 0.0


def test_neighbours_have_mixed_signs():
    assert mixed_signs((2, 4)).tolist() == [[1.0, -1.0, -1.0, 1.0], [-1.0, -1.0, 1.0, -1.0]]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (lambda w: -w.abs().sum(), 4.5),
        (lambda w: w.sum().abs(), 4.5),
        (lambda w: (w[0] - w[1] - w[2]).abs(), 4.5),  # two signs in three changed
        (lambda w: math.inf if (w < 0).any() else 2.0, 2.0),
        (lambda w: math.inf, 0.0),
        (lambda w: 9.0 if w.abs().max() < 0.3 else 0.0, 9.0),  # at its own size
    ],
)
def test_psi_is_as_large_as_its_terms_before_they_cancel(value, found):
    assert Psi(made(value), (3,)).size(np.array([1.5, -2.0, 1.0])) == close(found)


def test_slopes_are_those_of_each_point_by_its_own_unit():
    """x^2 has the slope 2|x| + h over a move h away from zero."""
    points, units = np.array([[1.0], [2.0], [-3.0]]), np.array([1e-3, 1e-2, 1e-1])
    found = slopes(lambda stack: (stack**2).sum(axis=-1), points, units)
    assert found == close([2.001, 4.01, 6.1], rel=1e-9)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_slopes_see_both_sides_and_no_further_than_the_unit(sign):
    def one_sided(stack):
        return np.maximum(sign * stack[..., 0], 0.0)

    assert slopes(one_sided, np.zeros((20, 1)), np.full(20, 0.5)).max() == 1.0
    beyond = slopes(lambda stack: (np.abs(stack[..., 0]) > 0.5) * 1.0, np.zeros((20, 1)), np.full(20, 0.5))
    assert beyond.max() == 0.0


def test_slopes_move_entries_by_different_signs_and_zeros_only_if_asked_to():
    def difference(stack):
        return stack[..., 0, 0] - stack[..., 0, 1]

    points = np.array([[[1.0, 1.0]], [[0.0, 1.0]], [[0.0, 0.0]]])
    assert slopes(difference, points, np.ones(3), zeros=False).tolist()[1:] == [1.0, 0.0]
    many = np.ones((30, 1, 2))
    assert slopes(difference, many, np.ones(30)).max() == 2.0
    assert slopes(difference, 0 * many, np.ones(30)).max() == 2.0


def test_a_function_that_is_infinite_has_no_slope():
    def walled(stack):
        return np.where(stack[..., 0] > 1, np.inf, stack[..., 0])

    found = slopes(walled, np.array([[1.0], [5.0], [0.0]] * 8), np.full(24, 0.25))
    assert set(found.tolist()) <= {1.0, 0.0}
    assert found[1::3].tolist() == [0.0] * 8
    assert found[2::3].tolist() == [1.0] * 8


W, STEP = np.array([1.0, 0.0, -3.0]), 0.5


@pytest.mark.parametrize(
    ("w", "step"),
    [(W * (1 - 4 * EPS), STEP), (W * (1 + 4 * EPS), STEP), (W, STEP * (1 - 4 * EPS)), (W, STEP * (1 + 4 * EPS))],
)
def test_an_answer_jumps_where_it_does_so_beside_one_of_its_arguments(w, step):
    def prox(x, s):
        return x * 0 + (7.0 if s == step and np.array_equal(x.numpy(), w) else 0.0)

    assert jitter(made(prox=prox), W, STEP, np.zeros(3)) == close(7 * 3**0.5)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_an_answer_jumps_where_a_zero_is_moved_by_a_few_roundings_of_the_largest_entry(sign):
    def prox(x, s):
        return x * 0 + 7.0 * float(sign * x[1] > 0)

    assert jitter(made(prox=prox), W, STEP, np.zeros(3)) == close(7 * 3**0.5)
    moved = jitter(made(prox=lambda x, s: x * torch.tensor([0.0, 1.0, 0.0])), W, STEP, np.zeros(3))
    assert moved == close(12 * EPS)


def test_entries_are_shaken_by_different_signs():
    w = np.linspace(1, 2, 20)
    moved = jitter(made(prox=lambda x, s: (x - torch.tensor(w)).sum().reshape(1)), w, STEP, np.zeros(1))
    together = 4 * EPS * w.sum()
    assert moved == close(together, rel=0.05)
    apart = jitter(
        made(prox=lambda x, s: ((x / torch.tensor(w) - 1).diff().abs().max()).reshape(1)), w, 1.0, np.zeros(1)
    )
    assert apart > 8 * EPS


@pytest.mark.parametrize(("error", "found"), [(1e-15, 1e-15), (1e-3, ROUNDED * (5.0 + 3.0))])
def test_of_a_convex_psi_no_answer_jumps(error, found):
    w, z = np.array([3.0, 4.0]), np.array([3.0, 1.0])
    exact = made(prox=lambda x, s: torch.tensor(z), convex=True)
    assert jitter(exact, w, 1.0, z + np.array([error, 0.0])) == close(found, rel=0.2)
    assert jitter(made(prox=lambda x, s: torch.tensor(z)), w, 1.0, z + np.array([error, 0.0])) == close(error, rel=0.2)


def test_a_prox_that_is_not_finite_beside_its_arguments_is_a_finding():
    with pytest.raises(ArithmeticError, match="prox"):
        jitter(made(prox=lambda x, s: x / 0), W, STEP, W)


@pytest.mark.parametrize("scale", [0.0, 1e-300, 1.0, 1e300])
def test_norms_of_rows_neither_vanish_nor_overflow(scale):
    rows = scale * np.array([[3.0, -4.0], [0.0, 0.0], [-0.5, 0.0]])
    assert norms(rows) == close(np.array([5.0, 0.0, 0.5]) * scale, rel=1e-14)
    assert norms(np.zeros((2, 0))).tolist() == [0.0, 0.0]
