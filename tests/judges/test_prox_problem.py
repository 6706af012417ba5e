"""By how much a point beats the one that a prox returned, in units of what rounding and accuracy allow."""

import math

import numpy as np
import pytest
import torch

from ramda_verify.checks.regularizer.objective import ProxProblem, Psi
from solvers import L1
from tests.judges.cases import close
from tests.judges.regularizers import made

ROUNDED, LAST_DIGITS = 256 * 2.0**-52, 8 * 2.0**-52


def soft_threshold(w, step):
    return w.sign() * (w.abs() - step).clamp_min(0)


def excess_of_one(value, w, z, x, step=1.0, D=None, subgradient=False, **members):
    """The excess at one number x of a psi of one number, given as ``value`` of a float."""
    regularizer = made(lambda point: value(float(point[0])), **members)
    w, z, D = np.array([w]), np.array([z]), None if D is None else np.array([D])
    return ProxProblem(Psi(regularizer, (1,)), w, step, z, D).excess(np.array([x]), value(x), convex=subgradient)


@pytest.mark.parametrize("scale", [1e-120, 1e-3, 1.0, 1e100])
@pytest.mark.parametrize(("D", "step"), [(None, 1.0), (4.0, 4.0), (0.01, 0.01)])
@pytest.mark.parametrize(
    ("wrong", "convex"), [(1e-5, False), (-1e-5, False), (1e-3, False), (1e-3, True), (-1e-3, True)]
)
def test_an_excess_is_the_fall_of_the_objective_in_units_of_its_accuracy(scale, D, step, wrong, convex):
    """The prox of 3 by |x| with step 1 is 2; at 2 + e the objective is higher by e^2/2, and (w - z)/step is no
    subgradient by e^2. A metric D with the step D has the same prox, and lengths that are sqrt(D) times as large.
    """
    z = 2.0 + wrong
    found = excess_of_one(abs, 3 * scale, z * scale, 2 * scale, step * scale, D, convex, prox=soft_threshold)
    slack = 1e-9 * (1 - wrong)
    expected = (wrong**2 if convex else wrong**2 / 2) / (slack * (1 - wrong + abs(wrong)))
    if expected > 1 and D is None:  # where the point loses, the answer may have moved with the digits of w, too
        slack += abs(wrong)
        expected = (wrong**2 if convex else wrong**2 / 2) / (slack * (1 - wrong + abs(wrong) + slack))
    assert found == close(expected, rel=2e-3)


@pytest.mark.parametrize(("factor", "seen"), [(0.5, False), (2.0, True)])
@pytest.mark.parametrize("D", [None, 100.0])
def test_an_answer_that_moves_nothing_may_be_off_by_roundings_of_its_own_size(factor, seen, D):
    """psi = 0 and z = w + t*s, where s are the roundings of w and of z: the excess is t^2/2 over 2t + 1."""
    w, limit = 5.0, 2 + 6**0.5
    s = ROUNDED * 2 * w
    t = factor * limit
    found = excess_of_one(lambda x: 0.0, w, w + t * s, w, D=D)
    if D is not None:
        assert found == close(t**2 / (4 * t + 2), rel=0.05)
        assert (found > 1) == seen
    elif not seen:
        assert found == close(t**2 / (4 * t + 2), rel=0.05)
    else:  # the prox returns w, from which z is t roundings away: what it is found to be off by is allowed
        assert found == close(t**2 / 2 / ((1 + t) * (2 * t + 1 + t)), rel=0.05)


@pytest.mark.parametrize("t", [3.0, 10.0])
def test_a_convex_psi_is_allowed_no_more_than_the_roundings_of_the_input(t):
    w = 5.0
    found = excess_of_one(lambda x: 0.0, w, w + t * ROUNDED * 2 * w, w, convex=True)
    once = t**2 / 2 / (2 * t + 1)
    assert found == close(once if once <= 1 else t**2 / 2 / (1.5 * (2 * t + 1.5)), rel=0.05)


def test_the_slack_is_the_share_of_the_move_and_the_roundings_of_input_answer_and_anchor():
    anchor = np.array([3.0, 4.0])
    psi = Psi(made(prox=lambda w, step: w + torch.tensor(anchor)), (2,))
    w, z = np.array([6.0, 8.0]), np.array([6.0, 8.0])
    assert ProxProblem(psi, w, 1.0, z).slack == close(ROUNDED * (10 + 10 + 5))
    assert ProxProblem(psi, w, 1.0, z, np.array([9.0, 9.0])).slack == close(ROUNDED * (30 + 30 + 15))
    assert ProxProblem(psi, w, 1.0, 0 * z).slack == close(1e-8 + ROUNDED * 15)


@pytest.mark.parametrize(("share", "least"), [(0.5, 0.0), (2.0, 1.0)])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_psi_rounds_relative_to_its_values_at_both_points(share, least, sign):
    """psi falls by ``share`` of 256 roundings of 7 + 7, its values, over a move that is nothing beside them."""
    fall = share * ROUNDED * 14 * 1e6

    def value(x):
        return sign * 7e6 - (fall if x == 2.0 else 0.0)

    found = excess_of_one(value, 2.0 + 1e-14, 2.0 + 1e-14, 2.0, step=0.25)
    forgiven = 2 if share > 1 else 1  # where the point loses, the size of psi counts as well
    assert found == close(share * 14 / (14 if forgiven == 1 else 21), rel=1e-2)
    assert found > least or share < 1


@pytest.mark.parametrize(("apart", "seen"), [(0.5, False), (2.0, True)])
def test_terms_of_psi_that_cancel_round_as_they_are_large(apart, seen):
    """x + y at (1e8, -1e8): its terms are rounded to 256 roundings of 2e8."""
    fall = apart * ROUNDED * 2e8
    z = np.array([1e8, -1e8])
    psi = Psi(made(lambda w: float(w.sum())), (2,))
    problem = ProxProblem(psi, z, 1.0, z)
    rival = z.copy()
    assert (problem.excess(rival, -fall) > 1) == seen


@pytest.mark.parametrize(("scale", "lost"), [(1e-131, True), (1e-129, False)])
def test_an_objective_of_vanishing_numbers_is_lost(scale, lost):
    found = excess_of_one(abs, 3 * scale, 2.5 * scale, 2 * scale, scale, prox=soft_threshold, convex=True)
    assert (found == 0.0) == lost
    assert lost or found > 1e6


def test_a_point_of_infinite_psi_is_no_rival_and_one_of_nan_beats_all():
    problem = ProxProblem(Psi(L1(1.0), (1,)), np.array([3.0]), 1.0, np.array([2.0]))
    points = np.array([[2.0], [1.0], [2.5], [2.0]])
    found = problem.excesses(points, np.array([2.0, math.inf, math.nan, math.inf]))
    assert found[0] == pytest.approx(0.0, abs=1e-3)
    assert found[[1, 3]].tolist() == [0.0, 0.0]
    assert found[2] == math.inf


def test_a_point_at_which_psi_is_infinite_is_beaten_by_all():
    positive = made(lambda w: 0.0 if (w >= 0).all() else math.inf, lambda w, step: w.clamp_min(0))
    problem = ProxProblem(Psi(positive, (2,)), np.array([1.0, -1.0]), 1.0, np.array([1.0, -1.0]))
    assert problem.at_z == problem.as_rival == math.inf
    assert problem.excesses(np.ones((3, 2)), np.zeros(3)).tolist() == [math.inf] * 3
    assert problem.excess(np.ones(2), math.inf) == math.inf


COUNT = made(lambda w: float((w != 0).sum()), lambda w, step: torch.where(w.abs() > (2 * step) ** 0.5, w, 0.0))


def test_a_zero_that_rounding_has_moved_is_forgiven_where_it_would_lose_and_only_then():
    """The number of nonzero entries at 1e-16 in place of 0, beside a w of 1 and beside one of 1e-3."""
    for w, forgiven in ((1.0, True), (1e-3, False)):
        problem = ProxProblem(Psi(COUNT, (1,)), np.array([w]), 1.0, np.array([1e-16]))
        assert problem.at_z == problem.as_rival == 1.0
        found = problem.excess(np.zeros(1), 0.0)
        assert (found <= 1) == forgiven
        assert problem.as_rival == 1.0
        assert problem.at_z == (0.0 if forgiven else 1.0)
    kept = ProxProblem(Psi(COUNT, (1,)), np.array([1.0]), 1.0, np.array([1e-16]))
    assert kept.excess(np.full(1, 3.0), 1.0) <= 0
    assert kept.at_z == 1.0


def test_a_point_that_rounding_has_moved_out_of_a_set_is_taken_for_a_member_at_once():
    """The plane of entries that add up to 1, at 1e-13 from it: beside a w of 1000 that is a rounding."""
    plane = made(
        lambda w: 5.0 if abs(float(w.sum()) - 1) <= 1e-16 else math.inf, lambda w, step: w - (w.sum() - 1) / w.numel()
    )
    w, z = np.array([1000.5, 1000.5]), np.array([0.5, 0.5 + 2e-13])
    problem = ProxProblem(Psi(plane, (2,)), w, 1.0, z)
    assert problem.as_rival == math.inf
    assert problem.at_z == 5.0
    assert ProxProblem(Psi(plane, (2,)), w, 1.0, z + 1e-6).at_z == math.inf


@pytest.mark.parametrize("D", [None, np.array([4.0, 4.0])])
def test_a_member_of_a_set_may_be_outside_it_by_the_edge(D):
    """256 roundings of its largest entry, times the root of their number, and in a metric D as long as D makes it."""
    positive = made(lambda w: 0.0 if (w >= 0).all() else math.inf, lambda w, step: w.clamp_min(0), convex=True)
    z = np.array([3.0, 0.0])
    problem = ProxProblem(Psi(positive, (2,)), z, 1.0, z, D)
    before, root = problem.slack, 1.0 if D is None else 2.0
    assert problem.excess(z, -1.0) > 1
    added = ROUNDED * 3 * 2**0.5 * root
    if D is None:  # and as far as the last digits of w move it
        added += 4 * 2.0**-52 * 3
    assert problem.slack - before == close(added, rel=0.02)


@pytest.mark.parametrize(("D", "moved"), [(None, True), (np.ones(1), False)])
def test_where_a_point_loses_the_digits_of_its_arguments_are_looked_at_and_in_no_metric(D, moved):
    """|x| up to 15, so that 10 is a number of psi's own; the slope is 1, of a step of 1e3."""
    capped = made(lambda w: min(float(w.abs().sum()), 15.0), lambda w, step: w.clone())
    problem = ProxProblem(Psi(capped, (1,)), np.array([2.0]), 1e3, np.array([2.0]), D)
    before = problem.slack
    assert before == close(ROUNDED * 4)
    assert problem.excess(np.zeros(1), 0.0) > 1
    jitter, own, of_the_step = LAST_DIGITS / 2 * 2.0, ROUNDED * 10, LAST_DIGITS * 1e3
    assert problem.slack - before == close(jitter + own + of_the_step if moved else 0.0, rel=1e-4)
    once = problem.slack
    assert problem.excess(np.zeros(1), 0.0) > 1
    assert problem.slack == once


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_a_zero_that_should_be_none_is_beaten_though_psi_jumps_there(scale):
    """A count of nonzeros pays 0.5 scale^2 for an entry of 5 scale, which costs 12.5 scale^2 if it is left out."""
    w, none = np.array([5.0, 3.0]) * scale, np.zeros(2)
    zero = made(lambda x: float((x != 0).sum()), lambda x, step: 0 * x)
    problem = ProxProblem(Psi(zero, (2,)), w, 0.5 * scale**2, none)
    assert problem.excess(w, 2.0) > 1e6


def test_what_rounding_may_change_in_psi_is_found_where_a_point_loses():
    steep = made(lambda w: 1.0 + abs(float(w[0]) - 1) ** 0.5)
    problem = ProxProblem(Psi(steep, (1,)), np.ones(1), 1.0, np.ones(1))
    assert problem.psi_rounding == 0.0
    problem.excess(np.ones(1), 0.5)
    assert problem.psi_rounding == close(LAST_DIGITS**0.5, rel=0.1)


@pytest.mark.parametrize("worst", [0, 1, 2])
def test_one_rival_that_wins_is_enough_to_look_closer(worst):
    problem = ProxProblem(Psi(L1(1.0), (1,)), np.array([3.0]), 1.0, np.array([2.5]))
    before, points = problem.slack, np.array([[3.0], [3.0], [3.0]])
    assert problem.excesses(points, np.full(3, 3.0)).max() <= 1
    assert problem.slack == before
    points[worst] = 2.0
    found = problem.excesses(points, np.abs(points[:, 0]))
    assert found.argmax() == worst
    assert problem.slack > before


def test_the_sentence_names_input_step_answer_and_rival():
    problem = ProxProblem(Psi(L1(1.0), (1,)), np.array([3.0]), 0.1, np.array([2.5]))
    words = problem.beaten_by(np.array([2.75]))
    assert all(part in words for part in ("[3.0]", "0.1", "[2.5]", "[2.75]"))
