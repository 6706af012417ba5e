"""What is held against the splitting, and against singular values of narrow dtypes."""

import math
from itertools import product

import numpy as np
import pytest
import torch

from ramda_verify.checks.subproblem import singular_values
from ramda_verify.checks.subproblem.singular_values import (
    measure_narrow_certificate,
    measure_narrow_shrinkage,
    measure_solution,
    measure_splitting_certificate,
    measure_splitting_rate,
)
from ramda_verify.engine.property import Inconclusive
from solvers import L1, GroupLasso, NuclearNorm
from solvers.subproblem import Status
from solvers.subproblem.ending import Ending, Iterate
from tests.judges.solutions import half_as_good
from tests.plug_ins.right.convex_entries import SoftThreshold
from tests.plug_ins.right.groups import WholeNorm
from tests.plug_ins.right.neighbours import MeanAbsolute
from tests.plug_ins.right.sets import Box

EPS, EPS32 = float(np.finfo(np.float64).eps), float(np.finfo(np.float32).eps)
#: Q(4 + e) = e^2/4 - 4 with the L1 norm and lam = 1; the start is a power of two, so that its rounding is one.
ONE = {"regularizer": L1(1.0), "B": np.array([3.0]), "D": np.array([0.5]), "lam": 1.0, "start": np.array([1024.0])}


def vector(*entries):
    return torch.tensor(entries, dtype=torch.float64)


class Ends:
    """In the place of proximal gradient and of the splitting: both end where they are told."""

    def __init__(self, monkeypatch, plain, fast, residuals=(0.5, 0.5), statuses=(Status.CONVERGED, Status.CONVERGED)):
        self.asked = []
        self.ending = Ending(vector(*plain), statuses[0], 5, residuals[0])
        self.solution = half_as_good(vector(*fast), status=statuses[1], residual=residuals[1])
        monkeypatch.setattr(singular_values, "run", self.run)
        monkeypatch.setattr(singular_values, "solve", self.solve)

    def run(self, problem, steps, start, *, tolerance, max_iterations):
        self.asked.append((next(iter(steps)).point, start, tolerance))
        return self.ending

    def solve(self, problem, start, *, tolerance, method, max_iterations):
        self.asked.append((method, start, tolerance))
        return self.solution


def rounding_of_Q(z, start=1024.0):
    """256 roundings of |z|, and 32 of the start, which is the largest number, along the slope of 1."""
    return EPS * (256 * abs(z) + 32 * max(abs(z), start))


@pytest.mark.parametrize("half", [0.125, 2.0, 3.0])
def test_points_on_either_side_of_the_solution_may_be_as_far_apart_as_their_residuals_allow(half, monkeypatch):
    Ends(monkeypatch, [4 - half], [4 + half], (0.25, 0.5))
    found = measure_solution(**ONE)
    rounding = 16 * EPS * (3 + 0.5 * (4 + half)) + 16 * EPS * (3 + 512)
    assert found.violation == pytest.approx(2 * half * 0.5 / (0.75 + rounding) - 1, rel=1e-13, abs=0)
    Q = half**2 / 4 - 4
    assert found.note == f"Q {Q:.12g} against {Q:.12g}, residual 0.5"


def test_without_residuals_rounding_alone_is_allowed(monkeypatch):
    """16 roundings of B and D*Z, there and at the start."""
    half = 2.0**-41
    Ends(monkeypatch, [4 - half], [4 + half], (0.0, 0.0))
    rounding = 16 * EPS * (3 + 2) + 16 * EPS * (3 + 512)
    assert measure_solution(**ONE).violation == pytest.approx(half / rounding - 1, rel=1e-6)


def test_a_users_prox_may_be_wrong_by_a_share_of_its_move(monkeypatch):
    """|D*Z - B| is 0.3 at the solution 5.4, and the step has 8 roundings."""
    half = 1e-9
    Ends(monkeypatch, [5.4 - half], [5.4 + half], (0.0, 0.0))
    rounding = 16 * EPS * (3 + 2.7) + 16 * EPS * (3 + 512) + 3e-10 + 8 * EPS * 0.3
    violation = measure_solution(**{**ONE, "regularizer": SoftThreshold()}).violation
    assert violation == pytest.approx(half / rounding - 1, rel=1e-5)


def test_norms_below_the_root_of_the_smallest_number_vanish(monkeypatch):
    """Which is 1.49e-154. D is large, so that Q does not differ."""
    root = math.sqrt(float(np.finfo(np.float64).tiny))
    Ends(monkeypatch, [0.0], [1.5 * root / 2.0**60], (0.0, 0.0))
    tiny = {"B": np.array([1e-200]), "D": np.array([2.0**60]), "start": np.array([0.0]), "lam": 0.0}
    assert measure_solution(**{**ONE, **tiny}).violation == pytest.approx(0.5, rel=1e-9)


@pytest.mark.parametrize(("plain", "fast"), [(4.0, 6.0), (6.0, 4.0), (8.0, 4.0), (4.0, 16.0)])
@pytest.mark.parametrize("residuals", [(4.0, 2.0), (1e-3, 4.0)])
def test_Q_may_differ_by_1e_10_of_its_scale_by_rounding_and_by_what_the_residuals_allow(
    plain, fast, residuals, monkeypatch
):
    """||s||^2/(2 min D) of each. The terms of Q are B*B/D = 18 and Q itself."""
    Ends(monkeypatch, [plain], [fast], residuals)
    ours, theirs = ((z - 4) ** 2 / 4 - 4 for z in (fast, plain))
    allowed = 1e-10 * (18 + abs(theirs)) + rounding_of_Q(fast) + rounding_of_Q(plain)
    allowed += residuals[0] ** 2 + residuals[1] ** 2
    gap = abs(ours - theirs) / allowed - 1
    reach = (sum(residuals) + 16 * EPS * (3 + 0.5 * fast + 3 + 512)) / 0.5
    apart = abs(fast - plain) / reach - 1
    assert measure_solution(**ONE).violation == pytest.approx(max(gap, apart), rel=1e-12)


@pytest.mark.parametrize("wrong", [1.25e-4, 1.25e-5, 4e-5])
def test_what_Q_differs_by_within_1e_10_is_excused_by_nothing_else(wrong, monkeypatch):
    """e^2/4 of 22: 1.8 and 0.02 times 1e-10. min D is small, where points and residuals have no say."""
    case = {**ONE, "B": np.array([3.0, 0.0]), "D": np.array([0.5, 1e-9]), "start": np.array([1024.0, 0.0])}
    residuals = (1e-10, 1e-10)
    Ends(monkeypatch, [4.0, 0.0], [4.0 + wrong, 0.0], residuals)
    gap = (wrong**2 / 4) / 22e-10
    if gap > 1:
        # The kink of the second entry doubles the slope of psi.
        allowed = 22e-10 + 2 * EPS * (256 * 4 + 32 * 1024 * 2) + 2 * (1e-20 / 2e-9)
        gap = (wrong**2 / 4) / allowed
    assert measure_solution(**case).violation == pytest.approx(gap - 1, rel=1e-5)


def test_both_are_asked_for_1e_10_of_B_from_zero_and_from_the_start(monkeypatch):
    ends = Ends(monkeypatch, [4.0], [4.0])
    measure_solution(**ONE)
    (first, origin, goal), (method, start, same_goal) = ends.asked
    # One step with theta = 1/D ends at the solution of one entry.
    assert first.tolist() == [4.0]
    assert origin.tolist() == [0.0]
    assert method == "splitting"
    assert start.tolist() == [1024.0]
    assert goal == same_goal == pytest.approx(3e-10, rel=1e-14)


def test_how_proximal_gradient_ends_decides_whether_anything_can_be_said(monkeypatch):
    for status in (Status.CONVERGED, Status.PRECISION_LIMIT):
        Ends(monkeypatch, [4.0], [4.0], statuses=(status, Status.CONVERGED))
        assert measure_solution(**ONE).violation == -1.0
    Ends(monkeypatch, [4.0], [4.0], statuses=(Status.NON_FINITE, Status.CONVERGED))
    found = measure_solution(**ONE)
    assert found.violation == math.inf
    assert Status.NON_FINITE.value in found.note
    Ends(monkeypatch, [4.0], [4.0], statuses=(Status.ITERATION_LIMIT, Status.CONVERGED))
    with pytest.raises(Inconclusive, match="iteration limit"):
        measure_solution(**ONE)
    Ends(monkeypatch, [math.nan], [4.0], statuses=(Status.NON_FINITE, Status.CONVERGED))
    with pytest.raises(ArithmeticError):
        measure_solution(**ONE)


@pytest.mark.parametrize(
    ("status", "allowed"),
    [
        (Status.CONVERGED, True),
        (Status.PRECISION_LIMIT, True),
        (Status.FELL_BACK, True),
        (Status.ITERATION_LIMIT, False),
        (Status.NON_FINITE, False),
    ],
)
def test_how_the_splitting_may_end(status, allowed, monkeypatch):
    Ends(monkeypatch, [4.0], [4.0], (0.5, 0.25), (Status.CONVERGED, status))
    found = measure_solution(**ONE)
    assert found.violation == (-1.0 if allowed else math.inf)
    assert allowed or found.note == f"splitting: {status.value}, residual 0.25"


@pytest.mark.parametrize("fast", [4.0, 4.0 + 1e-6, 6.0, 2.0])
def test_of_a_start_to_which_it_fell_back_only_Q_is_asked(fast, monkeypatch):
    """Its residual is unknown, and so is the way to the solution; Q there is no higher than that of what was found."""
    Ends(monkeypatch, [4.0], [fast], (0.0, math.inf), (Status.CONVERGED, Status.FELL_BACK))
    gap, allowed = (fast - 4) ** 2 / 4, 22e-10
    if gap > allowed:
        allowed += rounding_of_Q(fast) + rounding_of_Q(4.0)
    assert measure_solution(**ONE).violation == pytest.approx(gap / allowed - 1, rel=1e-5)
    Ends(monkeypatch, [4.0], [fast], (0.0, math.inf))
    assert measure_solution(**ONE).violation == math.inf


def test_a_prox_that_leaves_a_rounding_where_the_start_is_exact():
    """1 - step/step is 1e-16 where torch multiplies by the reciprocal: Q is higher than at the start, zero."""
    case = {"B": np.array([1.0]), "D": np.array([0.3637108809572498]), "lam": 2.3383431397616814}
    assert measure_solution(WholeNorm(), **case, start=np.array([0.0])).violation < 0


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("wrong", [{"fast": [math.nan]}, {"fast": [math.inf]}, {"residuals": (0.5, math.nan)}])
def test_what_is_no_number_is_never_the_same(wrong, monkeypatch):
    Ends(monkeypatch, **{"plain": [4.0], "fast": [4.0], **wrong})
    try:
        assert measure_solution(**ONE).violation == math.inf
    except ArithmeticError:
        assert "fast" in wrong


RNG = np.random.default_rng(3)


def splitting_by_hand(monkeypatch, iterates):
    monkeypatch.setattr(singular_values.method, "splitting", lambda problem, start: iter(iterates))


def certificates(monkeypatch, points, descends=lambda Z, W: True, membership=lambda Z: -1.0, **case):
    """Measured on these points, told that one descends from another where ``descends`` says so."""
    iterates = [Iterate(vector(z), vector(-z)) for z in points]
    splitting_by_hand(monkeypatch, [*iterates, *(Iterate(vector(1e6), vector(0.0)) for _ in range(3))])
    case = {**ONE, **case}

    def member_violation(regularizer, B, D, lam, Z, member, came_from, seed):
        assert (member[0], came_from[0], seed) == (-Z[0], case["start"][0], 9)
        return membership(Z[0]), "no member"

    monkeypatch.setattr(singular_values, "member_violation", member_violation)
    monkeypatch.setattr(
        singular_values, "certainly_descends", lambda problem, Z, member, W: descends(float(Z), float(W))
    )
    return measure_splitting_certificate(**case, iterations=len(points), seed=9)


def rise(after, before, start=1024.0):
    """Of two points, relative to Q there, to B*W and to what rounding may have done, which is above 1e-11."""
    Q, R = ((z - 4) ** 2 / 4 - 4 for z in (after, before))
    rounding = rounding_of_Q(after, start) + rounding_of_Q(before, start)
    return (Q - R) / (abs(Q) + abs(R) + 3 * abs(before) + rounding / 1e-11)


@pytest.mark.parametrize("points", [(4.0, 8.0, 2.0), (2.0, 4.0, 16.0), (6.0, 8.0, 4.0)])
def test_what_is_said_to_descend_is_compared_with_the_start_and_with_every_iterate(points, monkeypatch):
    """Each of the pairs, by itself."""
    for after, before in product(points, (1024.0, *points)):

        def descends(Z, W, pair=(after, before)):
            return pair == (Z, W)

        found = certificates(monkeypatch, points, descends, lambda Z: -10.0)
        if after != before:
            expected = rise(after, before)
            if expected < 0:
                Q, R = ((z - 4) ** 2 / 4 - 4 for z in (after, before))
                expected = (Q - R) / (abs(Q) + abs(R) + 3 * abs(before))
            assert found.violation == pytest.approx(expected, rel=1e-12)
            Q, R = ((z - 4) ** 2 / 4 - 4 for z in (after, before))
            words = f"said to descend, but Q rose from {R:.12g} to {Q:.12g}"
            assert found.note == f"iteration {points.index(after) + 1}: {words}"


def test_of_what_is_not_said_to_descend_the_certificate_alone_counts(monkeypatch):
    found = certificates(monkeypatch, (4.0, 8.0, 2.0), lambda Z, W: False, lambda Z: Z)
    assert found.violation == 8.0
    assert found.note == "iteration 2: no member"


@pytest.mark.parametrize(("off", "excused"), [(2.0**-17, False), (2.0**-16, False), (2.0**-14, True)])
def test_a_rise_within_1e_11_is_excused_by_no_rounding(off, excused, monkeypatch):
    """From 4 to 4 + off Q rises by off^2/4, of terms of 20."""
    found = certificates(monkeypatch, (4.0, 4.0 + off), lambda Z, W: Z > W)
    plain = off**2 / 4 / (4 + 4 + 12)
    assert (plain > 1e-11) == excused
    assert found.violation == pytest.approx(rise(4.0 + off, 4.0) if excused else plain, rel=1e-4, abs=0)


def test_from_outside_a_set_anything_inside_is_a_descent_and_nothing_outside(monkeypatch):
    """The box is [-1, 1]."""
    inside = certificates(monkeypatch, (0.5,), lambda Z, W: W > 1, regularizer=Box(), lam=1.0)
    assert inside.violation == -1.0
    outside = certificates(monkeypatch, (2.0,), lambda Z, W: W > 2, regularizer=Box(), lam=1.0)
    assert outside.violation == math.inf
    left = certificates(monkeypatch, (0.5, 2.0), lambda Z, W: (Z, W) == (2.0, 0.5), regularizer=Box(), lam=1.0)
    assert left.violation == math.inf


@pytest.mark.parametrize("regularizer", [L1(1.0), GroupLasso(0.5), NuclearNorm(0.5), SoftThreshold()])
def test_the_right_splitting_passes(regularizer):
    B, D, start = RNG.standard_normal((3, 4)), RNG.uniform(0.2, 2.0, (3, 4)), RNG.standard_normal((3, 4))
    case = {"regularizer": regularizer, "B": B, "D": D, "lam": 0.7, "start": start}
    assert measure_solution(**case).violation <= 0
    assert measure_splitting_certificate(**case, iterations=4, seed=0).violation <= 1e-11
    assert measure_splitting_rate(**case).violation <= 1e-9


def test_right_singular_values_pass():
    for seed in range(3):
        case = {"rows": 5, "columns": 7, "decades": 6.0, "share": 0.01, "seed": seed}
        assert measure_narrow_shrinkage(NuclearNorm(1.0), **case).violation <= 64
        assert measure_narrow_certificate(NuclearNorm(1.0), **case).violation <= 0.01


def test_the_mean_of_entries_has_a_kink_that_rounding_leaves():
    """The fourth point has entries of 1e-10 and a mean of 1e-19, where it should be zero."""
    case = {"B": np.ones((3, 1)), "D": np.array([[1.0], [1.0], [0.7]]), "lam": 6.000001359857427}
    found = measure_splitting_certificate(MeanAbsolute(), **case, start=np.ones((3, 1)), iterations=5, seed=0)
    assert found.violation < 1e-12
