"""What rounding may do to psi, to Q and to a residual, worked out by hand for psi of which that can be said."""

import math

import numpy as np
import pytest
import torch

from ramda_verify.checks.subproblem.batches import Problems
from ramda_verify.checks.subproblem.rounding import Rounding
from solvers import L1, MCP, Simplex
from tests.plug_ins.right.convex_entries import Nothing, Ridge, SoftThreshold
from tests.plug_ins.right.groups import WholeNorm
from tests.plug_ins.right.neighbours import MeanAbsolute
from tests.plug_ins.right.own_numbers import LogSum

EPS = float(np.finfo(np.float64).eps)
#: Of two problems of one entry: B/D is 2.5 and -4.
B, D, LAM = [[5.0], [-1.0]], [[2.0], [0.25]], [3.0, 5.0]
#: Of two problems of 2 x 2 entries, max D is 2 and 8.
MATRICES = [[[1.0, 0.0], [0.25, -0.5]], [[0.0, -0.125], [0.0, 0.0]]]
METRICS = [[[1.0, 2.0], [0.5, 1.0]], [[8.0, 1.0], [1.0, 0.5]]]


def numbers(rows):
    return torch.tensor(rows, dtype=torch.float64)


def rounding(regularizer, B=B, D=D, lam=LAM):
    return Rounding(Problems(numbers(B), numbers(D), numbers(lam), regularizer, 2))


def near(expected):
    return pytest.approx(expected, rel=1e-9, abs=0)


class Psi:
    """A function of the whole point, whose prox is of no interest."""

    convex = True

    def __init__(self, value):
        self.function = value

    def value(self, w):
        return self.function(w)

    def prox(self, w, step):
        return w.clone()


class NonconvexPsi(Psi):
    convex = False


class SmallMatrices:
    """2 x 2 matrices with entries in [-1, 1]; anything of another shape is refused."""

    convex = True

    def value(self, w):
        if w.shape != (2, 2):
            raise ValueError("2 x 2 matrices only")
        return w.new_tensor(0.0 if float(w.abs().max()) <= 1 else math.inf)

    def prox(self, w, step):
        return w.clamp(-1, 1)


@pytest.mark.parametrize(
    ("regularizer", "own"),
    [
        (L1(1.0), 0.0),
        (MCP(1e-3), 0.0),  # a number of its own, to which ours does not round
        (Simplex(1.0), 0.5),  # the length of (1, 1, 1, 1)/4
        (Simplex(4.0), 2.0),
        (SoftThreshold(), 0.0),
        (LogSum(), 0.1),
    ],
)
def test_a_residual_is_small_beside_B_and_D_times_the_numbers_of_psi(regularizer, own):
    found = rounding(regularizer, MATRICES, METRICS).unit
    assert found == near([max(1.0, 2 * own), max(0.125, 8 * own)])


def test_floors_are_16_roundings_of_B_and_of_D_times_the_point():
    points = numbers([[[1.0, 0.0], [0.0, 3.0]], [[0.25, 0.0], [0.0, 0.0]]])
    first = math.sqrt(1 + 1 / 16 + 1 / 4) + math.sqrt(1 + 9)
    found = rounding(L1(1.0), MATRICES, METRICS).floors(points)
    assert found == near([16 * EPS * first, 16 * EPS * (0.125 + 2.0)])


def test_no_prox_of_ours_is_excused():
    assert rounding(L1(1.0)).prox_error(numbers([[100.0], [0.0]])).tolist() == [0.0, 0.0]


def test_a_users_prox_may_be_wrong_by_a_share_of_its_move():
    """|D*Z - B| is 5 and 1.5; psi is 0."""
    found = rounding(Nothing()).prox_error(numbers([[5.0], [2.0]]))
    assert found == near([5e-9, 1.5e-9])


@pytest.mark.parametrize(("points", "sizes"), [([[1.0], [3.0]], (2.5, 4.0)), ([[8.0], [-5.0]], (8.0, 5.0))])
def test_and_by_8_roundings_of_its_step(points, sizes):
    """Of lam * w^2/2 the difference quotient over h is lam * (|w| + h/2); h is a thousandth of w or of B/D."""
    lam = [1e9, 1e12]
    found = rounding(Ridge(), lam=lam).prox_error(numbers(points))
    moves = [abs(d[0] * z[0] - b[0]) for z, b, d in zip(points, B, D, strict=True)]
    slopes = [weight * (abs(z[0]) + 0.5e-3 * size) for weight, z, size in zip(lam, points, sizes, strict=True)]
    expected = [1e-9 * move + 8 * EPS * slope for move, slope in zip(moves, slopes, strict=True)]
    assert found == near(expected)


def test_at_zero_the_slope_is_that_of_the_kink():
    """Of 0.3 * lam * |w| it is 0.3 * lam; |D*Z - B| is 5 and 1."""
    found = rounding(SoftThreshold(), lam=[1e9, 1e12]).prox_error(numbers([[0.0], [0.0]]))
    assert found == near([5e-9 + 8 * EPS * 0.3e9, 1e-9 + 8 * EPS * 0.3e12])


def test_terms_are_of_the_magnitudes_or_of_other_signs_whichever_is_larger():
    points = numbers([[-1.0, 2.0, 3.0, 4.0], [1.0, 0.5, -0.25, 0.0]])
    four = [[1.0] * 4] * 2

    def terms(value):
        return rounding(Psi(value), four, four).terms(points).tolist()

    assert terms(lambda w: -w.sum()) == [30.0, 8.75]
    # The signs are +, -, -, +.
    assert terms(lambda w: (w * w.new_tensor([1.0, -1.0, -1.0, 1.0])).sum()) == [30.0, 8.75]
    assert terms(lambda w: w[3] - w[0]) == [9.0, 5.0]
    assert terms(lambda w: torch.where(w[1] < 0, torch.inf, w.sum())) == [30.0, 8.75]
    assert terms(lambda w: torch.where(w[1] > 0, torch.inf, 0 * w.sum() - 2.0)) == [6.0, 10.0]
    assert terms(lambda w: torch.where(w.abs().sum() > 0, torch.inf, 0.0)) == [0.0, 0.0]


def test_terms_of_many_points_have_a_row_for_each_of_them():
    stack = numbers([[[1.0], [2.0]], [[-3.0], [0.0]], [[0.5], [0.25]]])
    assert rounding(L1(2.0)).terms(stack).tolist() == [[6.0, 20.0], [18.0, 0.0], [3.0, 2.5]]


def test_terms_are_at_least_psi_at_its_own_size():
    """Of sum log(1 + 2|w|) that is at 0.1; the second point is smaller."""
    found = rounding(LogSum()).terms(numbers([[1.0], [1e-5]]))
    assert found == near([3 * math.log(3.0), 5 * math.log(1.2)])


@pytest.mark.parametrize(("largest_entry", "scale"), [(1.5, 2.0), (2.0, 0.5)])
@pytest.mark.parametrize("lowest", [0, 20, 32])
def test_the_lowest_psi_is_looked_for_where_32_roundings_leave_the_point(largest_entry, scale, lowest):
    """Of numbers up to 2 these are 64 eps: beside 1 + 20 eps lie the multiple 1 and, of the other grid, 1 + 32 eps."""
    points = numbers([[1 + 20 * EPS, largest_entry], [1 + 20 * EPS, -largest_entry]])
    psi = Psi(lambda w: 1 + 2.0**40 * (w[0] - (1 + lowest * EPS)).abs())
    found = rounding(psi, [[1.0, 1.0]] * 2, [[1.0, 1.0]] * 2).lowest_psi(points, np.array([scale, scale]))
    assert found.tolist() == LAM


def test_no_other_points_are_looked_at():
    points = numbers([[1 + 20 * EPS], [1 + 20 * EPS]])
    for place in (-32, -20, 64, 84, 10):
        psi = Psi(lambda w, place=place: 2.0**40 * (w[0] - (1 + place * EPS)).abs())
        least = 2.0**40 * EPS * min(abs(place), abs(place - 20), abs(place - 32))
        found = rounding(psi).lowest_psi(points, np.array([2.0, 2.0]))
        assert found.tolist() == [3 * least, 5 * least]


@pytest.mark.parametrize("mean", [1e-18, 1e-15, 1e-12])
def test_a_kink_between_many_entries_is_looked_for_by_a_prox(mean):
    """At most 32 roundings of numbers of size 2 away from entries that no grid makes sum to zero."""
    point, psi = numbers([[0.5 + mean], [0.25 + mean], [-0.75 + mean]]), MeanAbsolute()
    of_two = rounding(psi, [[[1.0]] * 3] * 2, [[[1.0]] * 3] * 2)
    found = of_two.lowest_psi(torch.stack([point] * 2), np.array([2.0, 2.0])) / LAM
    there = float(psi.value(point))
    if mean < 1e-13:
        assert (found <= 1e-17).all()
    else:
        assert (there - 64 * EPS <= found).all()
        assert (found < there).all()


def test_no_prox_is_asked_for_a_step_that_vanishes():
    """At zero, where nothing was rounded, that of the Euclidean norm would divide by its step."""
    of_two = rounding(WholeNorm(), [[[0.0]] * 3] * 2, [[[1.0]] * 3] * 2)
    assert of_two.lowest_psi(numbers([[[0.0]] * 3] * 2), np.zeros(2)).tolist() == [0.0, 0.0]


def test_a_set_of_matrices_has_an_edge_as_wide_as_its_points_or_their_moves_are_large():
    """256 roundings times the root of four entries, of the point or of (B - D*Z) over the largest of D."""
    points = numbers([[[8.0, 0.0], [0.0, 0.0]], [[0.5, 0.0], [0.0, 0.0]]])
    found = rounding(SmallMatrices(), [[[0.0] * 2] * 2, [[0.0, 200.0], [0.0, 0.0]]], METRICS).edge(points)
    assert found == near([256 * EPS * 2 * 8.0, 256 * EPS * 2 * 25.0])


def test_where_psi_is_finite_there_is_no_edge():
    assert rounding(LogSum()).edge(numbers([[1.0], [2.0]])).tolist() == [0.0, 0.0]


def test_a_set_of_one_problem_has_an_edge():
    alone = Rounding(Problems(numbers(MATRICES[:1]), numbers(METRICS[:1]), numbers([1.0]), SmallMatrices(), 1))
    assert alone.edge(numbers([[[4.0, 0.0], [0.0, 0.0]]])) == near([256 * EPS * 2 * 4.0])


@pytest.mark.parametrize(
    ("origins", "sizes"),
    [([], (2.5, 4.0)), ([[[8.0], [1.0]]], (8.0, 4.0)), ([[[1.0], [-16.0]], [[32.0], [1.0]]], (32.0, 16.0))],
)
def test_Q_is_moved_by_the_terms_of_psi_and_along_its_slope(origins, sizes):
    """256 roundings of lam*|w|/2, and 32 of the largest number times its slope lam/2."""
    found = rounding(L1(0.5)).of_Q(numbers([[1.0], [-2.0]]), *(numbers(origin) for origin in origins))
    expected = [
        256 * EPS * 3 * 0.5 + 32 * EPS * sizes[0] * 3 * 0.5,
        256 * EPS * 5 * 1.0 + 32 * EPS * sizes[1] * 5 * 0.5,
    ]
    assert found == near(expected)


def test_a_point_larger_than_all_it_was_computed_from_rounds_by_its_own_size():
    found = rounding(L1(0.5)).of_Q(numbers([[16.0], [32.0]]))
    assert found == near([EPS * (256 + 32) * 3 * 8.0, EPS * (256 + 32) * 5 * 16.0])


def test_over_the_edge_of_a_set_Q_changes_by_twice_the_slope_of_the_rest():
    points = numbers([[[0.5, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.25]]])
    B = [[[3.5, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.125]]]
    found = rounding(SmallMatrices(), B, METRICS).of_Q(points)
    # |B - D*Z| is 3 and 0; the move is 3 over 2, longer than the point.
    assert found == near([2 * 3.0 * 256 * EPS * 2 * 1.5, 0.0])


def test_only_a_convex_psi_is_moved_where_the_point_is_zero():
    """The kink of |w|, by 32 roundings of B/D."""
    zero = numbers([[0.0], [0.0]])
    assert rounding(Psi(lambda w: w.abs().sum())).of_Q(zero) == near([32 * EPS * 2.5 * 3, 32 * EPS * 4 * 5])
    assert rounding(NonconvexPsi(lambda w: w.abs().sum())).of_Q(zero).tolist() == [0.0, 0.0]


def jump(w):
    return 1.0 + (w >= 1).double().sum()


def test_only_of_a_psi_that_is_not_convex_a_jump_is_none_of_rounding():
    """From 1 to 2 at the point."""
    points = numbers([[1.0], [1.0]])
    sums = 256 * EPS * 2 * np.array(LAM)
    assert rounding(NonconvexPsi(jump)).of_Q(points) == near(sums)
    assert rounding(Psi(jump)).of_Q(points) == near(sums + LAM)


def test_a_slope_of_a_psi_that_is_not_convex_is_no_jump():
    """By itself: |w| where it is not zero."""
    expected = [EPS * (256 + 32 * 2.5) * 3, EPS * (256 + 32 * 4) * 5]
    assert rounding(NonconvexPsi(lambda w: w.abs().sum())).of_Q(numbers([[1.0], [-1.0]])) == near(expected)


def test_what_zeros_would_change_makes_no_jump_of_a_slope_beside_them():
    """The fourth roots of |w_0 - 1| and of |w_1|, at (1, 0): the first moves psi by rounding, the second stays zero."""
    ones = [[1.0, 1.0]] * 2
    found = rounding(NonconvexPsi(lambda w: (w - w.new_tensor([1.0, 0.0])).abs().pow(0.25).sum()), ones, ones)
    points = numbers([[1.0, 0.0]] * 2)
    expected = 256 * EPS * found.terms(points) + (32 * EPS) ** 0.25 * np.array(LAM)
    assert found.of_Q(points) == near(expected)
