"""Every part of an enclosure by itself: balls, blocks, bounds, subgradients and Newton steps, by hand."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from ramda_verify.oracles.atoms import Norm, Scalar, Simplex
from ramda_verify.oracles.atoms.functions import ABS, SQUARE, huber
from ramda_verify.oracles.enclosure import balls
from ramda_verify.oracles.enclosure.balls import flint
from ramda_verify.oracles.enclosure.blocks import block_of_each
from ramda_verify.oracles.enclosure.bound import bound
from ramda_verify.oracles.enclosure.newton import improved
from ramda_verify.oracles.enclosure.norm import NormPart
from ramda_verify.oracles.enclosure.scalar import ScalarPart
from ramda_verify.oracles.enclosure.simplex import SimplexPart
from ramda_verify.oracles.enclosure.subgradient import subgradient


def exact(*numbers):
    return [flint.arb(number) for number in numbers]


def floats(found):
    return [float(ball) for ball in found]


def ends(ball):
    return float(ball.lower()), float(ball.upper())


HALF, ONE = flint.arb(0.5), flint.arb(1)
#: The numbers of [-1, 3], up to a rounding.
WIDE = flint.arb(1, 2)


def test_numbers_are_read_exactly_and_rounded_outward():
    (tenth,) = balls.exactly([0.1])
    assert tenth.is_exact()
    assert balls.above(tenth) == balls.below(tenth) == 0.1
    third = ONE / 3
    assert Fraction(balls.below(third)) < Fraction(1, 3) < Fraction(balls.above(third))
    assert balls.above(third) <= math.nextafter(1 / 3, 1.0)
    assert balls.below(third) >= math.nextafter(1 / 3, 0.0)
    assert balls.above(flint.arb.pos_inf()) == math.inf
    assert balls.below(flint.arb.neg_inf()) == -math.inf
    assert balls.above(ONE / 0) == math.inf
    assert balls.below(ONE / 0) == -math.inf


@pytest.mark.parametrize(
    ("ball", "low", "high"),
    [
        (flint.arb(2.25), 1.5, 1.5),
        (WIDE, 0.0, 3**0.5),
        (flint.arb(-3, 1), 0.0, 0.0),
        (flint.arb(0), 0.0, 0.0),
        (flint.arb(5, 4), 1.0, 3.0),
    ],
    ids=["a number", "zero within", "below zero", "zero", "above zero"],
)
def test_a_root_is_that_of_what_is_not_negative(ball, low, high):
    assert ends(balls.root(ball)) == pytest.approx((low, high), abs=1e-8)
    assert ends(balls.root(ball))[0] >= 0 or low == 0


def test_the_root_of_what_is_no_number_is_none():
    """A distance of zero must not come of it."""
    assert balls.above(balls.root(ONE / 0)) == math.inf
    assert balls.above(balls.length([ONE, ONE / 0])) == math.inf


def test_entries_are_in_one_block_where_atoms_that_couple_join_them():
    all_of_them = Scalar(1.0, np.arange(7), ABS)
    assert len(set(block_of_each([all_of_them], 7))) == 7
    chain = [Norm(1.0, np.array(indices, dtype=int)) for indices in ([4, 2], [0, 4], [], [5, 6], [1])]
    for atoms in (chain, [all_of_them, *reversed(chain)]):
        found = block_of_each(atoms, 7)
        assert found[0] == found[2] == found[4]
        assert found[5] == found[6]
        assert len({found[0], found[1], found[3], found[5]}) == 4


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2]])
def test_the_bound_of_a_block_has_its_own_metric_and_slack(order):
    """Blocks of ``s^2/d`` 9/1 + 16/4 = 13 and 36/9 + 0 = 4; the first has a slack of 2, r = (sqrt(13) + sqrt(21))/2."""
    s, d, blocks = exact(3, 4, 6, 0), exact(1, 4, 9, 16), [7, 7, 1, 1]
    s, d, blocks = ([values[i] for i in order] for values in (s, d, blocks))
    found = bound(s, d, {7: flint.arb(2)}, blocks)
    square = ((13**0.5 + 21**0.5) / 2) ** 2
    assert floats(found) == pytest.approx([square / 1 + 4 / 9, square + 4, 17 / 2 + 2], rel=1e-14)


def test_a_norm_has_its_gradient_a_ball_at_zero_and_both_where_zero_is_not_known():
    part = NormPart(Norm(4.0, np.array([0, 1])), HALF)
    at = part.member(exact(3, -4), exact(9, 9))
    assert (floats(at.u), at.slack == 0, at.nearest) == (pytest.approx([1.2, -1.6]), True, True)
    for wanted, nearest in (((0.6, -0.8), (0.6, -0.8)), ((1.2, -1.6), (1.2, -1.6)), ((3, -4), (1.2, -1.6))):
        found = part.member(exact(0, 0), exact(*wanted))
        assert floats(found.u) == pytest.approx(nearest, rel=1e-14)
        assert found.nearest
    unknown = part.member([flint.arb(0, 1), flint.arb(0)], exact(9, 9))
    assert not unknown.nearest
    assert all(ends(entry)[0] <= -2 and ends(entry)[1] >= 2 for entry in unknown.u)
    asked = part.member(exact(0), [flint.arb(0, 4)])
    assert all(-4.1 <= ends(entry)[0] <= -2 and 2 <= ends(entry)[1] <= 4.1 for entry in asked.u)
    free = NormPart(Norm(0.0, np.array([0, 1])), HALF).member(exact(0, 0), exact(0, 0))
    assert floats(free.u) == [0.0, 0.0]


def test_the_least_slope_and_the_change_of_a_norm():
    part = NormPart(Norm(4.0, np.array([0, 1])), HALF)
    assert float(part.least(exact(3, -4), exact(1, 2))) == pytest.approx(2 * (3 - 8) / 5)
    assert float(part.least(exact(0, 0), exact(3, 4))) == -10.0
    assert float(part.value(exact(3, -4))) == 10.0
    assert float(part.change(exact(6, 8), exact(3, -4))) == 10.0


def test_a_norm_bends_across_itself():
    """At (3, -4) the second derivative of 2||z|| is ``2/5 I - 2/125 y y'``."""
    part = NormPart(Norm(4.0, np.array([0, 1])), HALF)
    bend = part.bend(exact(3, -4))
    assert floats(bend.diagonal) == pytest.approx([0.4, 0.4])
    assert floats(bend.column) == [3.0, -4.0]
    assert float(bend.give) == pytest.approx(-125 / 2)
    assert part.bend(exact(0, 0)) == ([None, None], None, None)
    free = NormPart(Norm(0.0, np.array([0, 1])), HALF).bend(exact(3, -4))
    assert (floats(free.diagonal), free.column) == ([0.0, 0.0], None)


@pytest.mark.parametrize(
    ("at", "low", "high"),
    [(0.25, 0.25, 0.25), (0.5, 0.5, 0.5), (2.0, 0.5, 0.5), (-0.5, -0.5, -0.5), (0.0, 0.0, 0.0)],
)
def test_the_slope_of_a_smooth_function_of_entries(at, low, high):
    """Huber's of width 1/2: its slope has no jump where its pieces meet, so that nothing is held there."""
    part = ScalarPart(Scalar(4.0, np.array([0]), huber(0.5)), HALF)
    for wanted in (-9.0, 9.0):
        found = part.member(exact(at), exact(wanted))
        assert floats(found.u) == pytest.approx([2 * low])
        assert (found.slack == 0, found.nearest) == (True, True)
    (curvature,) = part.bend(exact(at)).diagonal
    assert curvature is not None
    assert float(curvature) in ({2.0, 0.0} if abs(at) == 0.5 else {2.0} if abs(at) < 0.5 else {0.0})


@pytest.mark.parametrize(("wanted", "nearest"), [(-9.0, -1.0), (9.0, 1.0)])
def test_an_entry_that_may_lie_on_any_piece_has_the_slopes_of_the_outer_ones(wanted, nearest):
    """Huber's function has four pieces: a line, two halves of the square, and a line."""
    part = ScalarPart(Scalar(4.0, np.array([0]), huber(0.5)), HALF)
    (found,) = part.member([flint.arb(0, 3)], exact(wanted)).u
    assert ends(found) == (nearest, nearest)


def test_the_slopes_at_a_kink():
    part = ScalarPart(Scalar(4.0, np.array([0]), ABS), HALF)
    for wanted, nearest in ((-9.0, -2.0), (-2.0, -2.0), (0.5, 0.5), (9.0, 2.0)):
        assert floats(part.member(exact(0), exact(wanted)).u) == [nearest]
    assert floats(part.member(exact(3), exact(-9)).u) == [2.0]
    assert floats(part.member(exact(-3), exact(9)).u) == [-2.0]
    for at, direction, least in ((0.0, 3.0, -6.0), (0.0, -3.0, -6.0), (1.0, 3.0, 6.0), (-1.0, 3.0, -6.0)):
        assert float(part.least(exact(at), exact(direction))) == least
    assert part.bend(exact(0)).diagonal == [None]
    assert floats(part.bend(exact(3)).diagonal) == [0.0]
    low, high = ends(part.value([WIDE]))
    assert (low <= 0, 6.0 <= high <= 6.1) == (True, True)
    assert float(part.change(exact(-3), exact(1))) == 4.0


def test_entries_without_a_price_are_free():
    part = ScalarPart(Scalar(0.0, np.array([0]), ABS), HALF)
    assert floats(part.member(exact(0), exact(9)).u) == [0.0]
    assert float(part.least(exact(0), exact(9))) == 0.0
    assert floats(part.bend(exact(0)).diagonal) == [0.0]


def simplex(size, radius=2.0):
    return SimplexPart(Simplex(np.arange(size), radius), HALF)


@pytest.mark.parametrize(
    ("z", "near"),
    [
        ((0.5, 1.5, 0.0), None),
        ((1.0, 3.0, 0.0), (0.5, 1.5, 0.0)),
        ((3.0, -1.0, 0.0), (2.0, 0.0, 0.0)),
        ((2.25, -0.25, 0.0), (2.0, 0.0, 0.0)),
        ((3.0, -1.0, 1.0), (1.5, 0.0, 0.5)),
        ((0.0, 0.0), (1.0, 1.0)),
        ((-1.0, -3.0), (1.0, 1.0)),
    ],
)
def test_the_way_onto_a_simplex(z, near):
    found = simplex(len(z)).nearby(exact(*z))
    assert found == near if near is None else floats(found) == pytest.approx(near)
    assert near is None or all(entry.is_zero() for entry, wanted in zip(found, near, strict=True) if wanted == 0)


@pytest.mark.parametrize(
    ("y", "v", "u"),
    [
        ((1.0, 1.0, 0.0), (3.0, 5.0, 1.0), (4.0, 4.0, 1.0)),
        ((1.0, 1.0, 0.0), (3.0, 5.0, 7.0), (5.0, 5.0, 5.0)),
        ((1.0, 1.0, 0.0), (3.0, 5.0, 4.0), (4.0, 4.0, 4.0)),
        ((2.0, 0.0, 0.0), (3.0, 5.0, 9.0), (6.0, 5.0, 6.0)),
        ((2.0, 0.0, 0.0, 0.0), (1.0, 1.0, 1.0, 1.0), (1.0, 1.0, 1.0, 1.0)),
        ((2.0, 0.0, 0.0, 0.0), (1.0, 3.0, 2.0, 1.5), (2.0, 2.0, 2.0, 1.5)),
    ],
)
def test_normal_vectors_of_a_simplex(y, v, u):
    found = simplex(len(y)).member(exact(*y), exact(*v))
    assert floats(found.u) == pytest.approx(u)
    assert (found.slack == 0, found.nearest) == (True, True)


@pytest.mark.parametrize("v", [(0.0, 1e-9), (0.0, -1e-9)])
def test_what_may_lie_above_the_mean_makes_a_normal_vector_uncertain(v):
    unsure = flint.arb(v[1], 1)
    found = simplex(2).member(exact(2, 0), [flint.arb(v[0]), unsure])
    assert not found.nearest


def test_a_simplex_bends_along_nothing_but_its_support():
    bend = simplex(3).bend(exact(0.5, 0, 1.5))
    assert (float(bend.diagonal[0]), bend.diagonal[1], float(bend.diagonal[2])) == (0.0, None, 0.0)
    assert (floats(bend.column), float(bend.give)) == ([1.0, 1.0, 1.0], 0.0)
    assert float(simplex(2).value(exact(1, 1))) == 0.0


def test_a_newton_step_on_a_simplex_keeps_the_sum():
    """D = diag(1, 4) and s = (5, 0): ``d*step + mu = -s``, and the step sums to zero."""
    found = improved([simplex(3)], exact(0.5, 1.5, 0), exact(5, 0, 9), exact(1, 4, 2), [0, 0, 0])
    # step_1 + step_2 = 0, step_1 + mu = -5, 4*step_2 + mu = 0: step_1 = -1, step_2 = 1, mu = -4.
    assert floats(found) == pytest.approx([-0.5, 2.5, 0.0], abs=1e-15)


def test_a_newton_step_is_that_of_all_parts_together():
    """A square on the first entry, a kink that holds the second, a norm of the others at (3, -4)."""
    square = ScalarPart(Scalar(4.0, np.array([0]), SQUARE), HALF)
    kink, norm = ScalarPart(Scalar(4.0, np.array([1]), ABS), HALF), NormPart(Norm(4.0, np.array([2, 3])), HALF)
    y, s, d = exact(1, 0, 3, -4), exact(2, 7, 1, -2), exact(1, 2, 3, 5)
    curvature = np.diag([3.0, 5.0]) + 0.4 * np.eye(2) - 2 / 125 * np.outer([3, -4], [3, -4])
    tail = np.array([3.0, -4.0]) - np.linalg.solve(curvature, [1.0, -2.0])
    parts: list[Any]
    for parts in ([square, kink, norm], [norm, kink, square]):
        found = improved(parts, y, s, d, [0, 1, 2, 2])
        assert floats(found) == pytest.approx([1 - 2 / (1 + 4), 0.0, *tail], rel=1e-14)
    for parts in ([square, kink], [kink, square]):
        assert floats(improved(parts, y, s, d, [0, 1, 2, 3])) == pytest.approx([0.6, 0.0, 3 - 1 / 3, -4 + 2 / 5])
    assert improved([kink, NormPart(Norm(4.0, np.array([1])), HALF)], y, s, d, [0, 1, 2, 3]) is None


def test_norms_that_share_an_entry_bend_together():
    parts = [NormPart(Norm(4.0, np.array(indices)), HALF) for indices in ([0, 1], [1, 2])]
    y, s, d = np.array([3.0, 4.0, 3.0]), [1.0, -2.0, 0.5], [1.0, 2.0, 4.0]
    curvature = np.diag(d)
    for here, u in (([0, 1], y[:2]), ([1, 2], y[1:])):
        curvature[np.ix_(here, here)] += 0.4 * np.eye(2) - 2 / 125 * np.outer(u, u)
    found = improved(parts, exact(*y), exact(*s), exact(*d), [0, 0, 0])
    assert floats(found) == pytest.approx(y - np.linalg.solve(curvature, s), rel=1e-14)


def test_where_no_entry_is_free_the_sum_of_a_simplex_moves_nothing():
    """As at zero, which is no point of it."""
    square = ScalarPart(Scalar(4.0, np.array([0]), SQUARE), HALF)
    off = SimplexPart(Simplex(np.array([1, 2]), 2.0), HALF)
    found = improved([off, square], exact(1, 0, 0), exact(2, 7, 7), exact(1, 1, 1), [0, 1, 1])
    assert floats(found) == pytest.approx([0.6, 0.0, 0.0])


@pytest.mark.parametrize("order", [1, -1])
def test_parts_that_share_entries_claim_no_more_than_the_shortest(order):
    """``(4, 6, 4) + t*(4, 3, 4)`` is t*sqrt(41) away from the sum of two discs of radius 5. For a small t the search
    for the nearest point of both does not end in time, and what it ends with is too long.
    """
    parts = [NormPart(Norm(5.0, np.array(indices)), ONE) for indices in ([0, 1], [1, 2])][::order]
    t = 2.0**-16
    slope = exact(*(-(u + t * n) for u, n in ((4, 4), (6, 3), (4, 4))))
    found = subgradient(parts, exact(0, 0, 0), slope, disjoint=False)
    assert float(found.shortest.lower()) <= t * math.sqrt(41)
    assert float(found.shortest.upper()) >= 0.5 * t * math.sqrt(41)
    assert float(balls.length(found.s)) > t * math.sqrt(41) * (1 + 1e-12)
