"""What is held against the splitting, and against singular values of narrow dtypes."""

import math
from itertools import product

import numpy as np
import pytest
import torch

from ramda_verify.checks.subproblem import singular_values
from ramda_verify.checks.subproblem.singular_values import (
    _price,
    matrix_of,
    measure_batch,
    measure_narrow_certificate,
    measure_narrow_shrinkage,
    measure_solution,
    measure_splitting_certificate,
    measure_splitting_rate,
)
from ramda_verify.engine.property import Inconclusive
from ramda_verify.oracles import certificate
from solvers import L1, GroupLasso, NuclearNorm
from solvers.regularizers.singular_values import shrink_by_svd
from solvers.subproblem import Status
from solvers.subproblem.ending import Ending, Iterate
from solvers.subproblem.penalty import FIRST
from tests.judges.answers import solution
from tests.plug_ins.right.convex_entries import SoftThreshold
from tests.plug_ins.right.own_numbers import SortedSimplex
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
        self.solution = solution(vector(*fast), status=statuses[1], residual=residuals[1])
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


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("wrong", [{"fast": [math.nan]}, {"fast": [math.inf]}, {"residuals": (0.5, math.nan)}])
def test_what_is_no_number_is_never_the_same(wrong, monkeypatch):
    Ends(monkeypatch, **{"plain": [4.0], "fast": [4.0], **wrong})
    try:
        assert measure_solution(**ONE).violation == math.inf
    except ArithmeticError:
        assert "fast" in wrong


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


RNG = np.random.default_rng(3)
METRICS = {"even": np.array([1.0, 1.25, 0.75, 1.0]), "uneven": np.array([1e-5, 1.0, 1e-5, 3.0])}
SHIFT = np.array([2.0, -1.0, 0.5, 0.25])


def rates(monkeypatch, xs, points, D, start=None, B=SHIFT, regularizer=None):
    """Of a splitting that has these x and these Z = prox(x)."""
    rho = D.mean()
    iterates = [
        Iterate(torch.tensor(Z), torch.tensor(D * Z - B + rho * (x - Z))) for x, Z in zip(xs, points, strict=True)
    ]
    splitting_by_hand(monkeypatch, [*iterates, Iterate(torch.full((len(D),), math.nan), torch.zeros(len(D)))])
    regularizer = L1(1.0) if regularizer is None else regularizer
    return measure_splitting_rate(regularizer, B, D, 0.5, np.zeros_like(D) if start is None else start)


def promised(D):
    """|1 - 0.8| + 0.8 q with the contraction q of the reflected prox of the quadratic, or 0.99."""
    rho = D.mean()
    eigenvalues = np.abs((rho - D) / (rho + D))
    return max(0.2 + 0.8 * eigenvalues.max(), 0.99)


def moves_of(xs, points, D, B=SHIFT):
    """1.6 times the certificate over D + rho, downwards."""
    rho = D.mean()
    return [-1.6 * (D * Z - B + rho * (x - Z)) / (D + rho) for x, Z in zip(xs, points, strict=True)]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("seed", range(4))
def test_every_kept_move_is_compared_with_the_kept_one_before(metric, seed, monkeypatch):
    rng, D = np.random.default_rng(seed), METRICS[metric]
    xs, points = rng.standard_normal((2, FIRST, 4)) * np.linspace(1, 1.5, FIRST)[:, None]
    moves = [float(np.linalg.norm(move)) for move in moves_of(xs, points, D)]
    noise = 1e-12 * 2 * D.max() / D.mean()
    largest = np.maximum(np.abs(xs).max(axis=1), np.abs(points).max(axis=1))
    sizes = np.maximum(2.0 / D.mean(), np.maximum.accumulate(largest))
    expected = max(
        (moves[at] - promised(D) * moves[at - 1] - noise * sizes[at]) / sizes[at - 1] for at in range(1, FIRST - 1)
    )
    assert rates(monkeypatch, xs, points, D).violation == pytest.approx(expected, rel=1e-9)


def following(D, certificates):
    """x for these certificates at Z = 0."""
    return [(SHIFT + s) / D.mean() for s in certificates], [np.zeros(4)] * len(certificates)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("at", [1, 2, 5, FIRST - 2])
def test_a_move_that_is_longer_than_promised_is_found_wherever_it_is(metric, at, monkeypatch):
    """By a thousandth; all others are half as long as the one before."""
    D = METRICS[metric]
    for share, bad in ((1.001 * promised(D), True), (0.999 * promised(D), False)):
        certificates, s = [], np.array([1.0, -2.0, 0.5, 1.0])
        for n in range(FIRST):
            certificates.append(s)
            s = -s * (share if n + 1 == at else 0.5)
        xs, points = following(D, certificates)
        violation = rates(monkeypatch, xs, points, D).violation
        assert (violation > 1e-9) == bad
        before, after = (np.linalg.norm(1.6 * certificates[n] / (D + D.mean())) for n in (at - 1, at))
        sizes = [
            max(2.0 / D.mean(), *(np.abs(x).max() for x in following(D, certificates)[0][:n])) for n in (at, at + 1)
        ]
        noise = 1e-12 * sizes[1] * 2 * D.max() / D.mean()
        if bad:
            assert violation == pytest.approx((after - promised(D) * before - noise) / sizes[0], rel=1e-9, abs=0)


@pytest.mark.parametrize(("share", "bad"), [(1.0001, True), (0.9999, False)])
def test_where_one_entry_of_D_is_far_above_the_mean_that_one_sets_the_pace(share, bad, monkeypatch):
    """The contraction of the reflected prox is that of the largest entry, 0.994; of the smallest it is 0.833."""
    D, B = np.where(np.arange(400) == 7, 4000.0, 1.0), np.tile(SHIFT, 100)
    s = np.tile([1.0, -2.0, 0.5, 1.0], 100)
    certificates = [s, *((-share * promised(D)) * 0.5**n * s for n in range(FIRST - 1))]
    xs = [(B + s) / D.mean() for s in certificates]
    violation = rates(monkeypatch, xs, [np.zeros(400)] * FIRST, D, B=B).violation
    assert (violation > 1e-9) == bad


def test_the_last_move_is_not_judged_for_nobody_knows_whether_it_is_kept(monkeypatch):
    D = METRICS["even"]
    certificates = [0.5**n * np.array([1.0, -2.0, 0.5, 1.0]) for n in range(FIRST)]
    certificates[-1] = 100 * certificates[0]
    xs, points = following(D, certificates)
    assert rates(monkeypatch, xs, points, D).violation < 0


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("off", "kept"), [(0.0, False), (0.8, False), (1.2, True)])
@pytest.mark.parametrize("start", [0.0, 1e3])
def test_what_is_followed_by_the_plain_step_that_it_replaced_is_not_kept(metric, off, kept, start, monkeypatch):
    """Up to a rounding of 1e-12 of the largest numbers, for each of four entries and magnified by D."""
    D = METRICS[metric]
    xs = [(SHIFT + 0.5**n * np.array([1.0, -2.0, 0.5, 1.0])) / D.mean() for n in range(FIRST)]
    points = [np.zeros(4)] * FIRST
    xs[4] = SHIFT / D.mean() + 50.0  # a leap
    plain = xs[3] + moves_of(xs[3:4], points[3:4], D)[0]
    size = max(start, 2.0 / D.mean(), *(np.abs(x).max() for x in xs[:5]))
    noise = 1e-12 * size * 2 * D.max() / D.mean()
    xs[5] = plain + np.array([off * noise, 0.0, 0.0, 0.0])
    # The moves after it shrink on.
    for n in range(6, FIRST):
        xs[n] = SHIFT / D.mean() + 0.1 ** (n - 5) * (xs[5] - SHIFT / D.mean())
    violation = rates(monkeypatch, xs, points, D, start=np.full(4, start)).violation
    assert (violation > 1e-3) == kept


@pytest.mark.parametrize(
    ("start", "B", "regularizer", "size"),
    [
        (8.0, 2.0, L1(1.0), 8.0),
        (0.0, 4.0, L1(1.0), 4.0),
        (0.0, 2.0**-20, SortedSimplex(), None),
    ],
)
def test_moves_are_relative_to_the_start_to_B_over_rho_and_to_the_numbers_of_psi(
    start, B, regularizer, size, monkeypatch
):
    """Where all x and Z are smaller. The largest of D is 2, its mean 1; the simplex has numbers of 1/10 or more."""
    D = np.array([0.5, 1.0, 0.5, 2.0])
    xs = [np.full(4, 2.0**-30 * (-1) ** n) for n in range(FIRST)]
    shift = np.full(4, B)
    iterates = [Iterate(torch.zeros(4, dtype=torch.float64), torch.tensor(x - shift)) for x in xs]
    splitting_by_hand(monkeypatch, iterates)
    found = measure_splitting_rate(regularizer, shift, D, 0.5, np.full(4, start))
    lengths = [np.linalg.norm(1.6 * (x - shift) / (D + 1)) for x in xs]
    excess = max(lengths[n] - promised(D) * lengths[n - 1] for n in range(1, FIRST - 1))
    if size is None:
        assert excess / 10 <= found.violation <= excess / 0.5
    else:
        assert found.violation == pytest.approx(excess / size, rel=1e-9)


@pytest.mark.parametrize("what", ["point", "member"])
def test_a_splitting_that_is_no_number_is_a_finding(what, monkeypatch):
    good = Iterate(torch.zeros(4, dtype=torch.float64), torch.ones(4, dtype=torch.float64))
    bad = good._replace(**{what: torch.tensor([0.0, math.nan, 0.0, 0.0], dtype=torch.float64)})
    splitting_by_hand(monkeypatch, [good, bad] * FIRST)
    with pytest.raises(ArithmeticError):
        measure_splitting_rate(L1(1.0), SHIFT, METRICS["even"], 0.5, np.zeros(4))


@pytest.mark.parametrize(("rows", "columns"), [(3, 5), (5, 3), (4, 4), (1, 3), (3, 1)])
@pytest.mark.parametrize("decades", [0.0, 2.0, 9.0])
def test_singular_values_run_over_the_decades(rows, columns, decades):
    matrix, shorter = matrix_of(rows, columns, decades, 1), min(rows, columns)
    assert matrix.shape == (rows, columns)
    expected = [10.0 ** (-decades * n / max(shorter - 1, 1)) for n in range(shorter)]
    np.testing.assert_allclose(np.linalg.svd(matrix, compute_uv=False), expected, rtol=1e-6)
    assert not np.allclose(matrix, matrix_of(rows, columns, decades, 2))
    assert np.array_equal(matrix, matrix_of(rows, columns, decades, 1))


@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_narrow_singular_values_are_shrunk_at_three_thresholds(wrong, monkeypatch):
    """Of which one is wrong by a thousand epsilons."""
    thresholds = [0.25, 0.25e-3, 0.25e-6]

    def shrunk(matrix, threshold):
        assert matrix.dtype == torch.float32
        np.testing.assert_allclose(matrix.numpy(), matrix_of(3, 5, 2.0, 1), rtol=1e-6, atol=1e-7)
        found = shrink_by_svd(matrix.double(), threshold)
        found[0, 0] += 1000 * EPS32 if threshold == pytest.approx(thresholds[wrong]) else 0.0
        return found

    monkeypatch.setattr(singular_values.singular_values, "shrink_singular_values", shrunk)
    found = measure_narrow_shrinkage(NuclearNorm(1.0), 3, 5, 2.0, 0.25, 1)
    assert found.violation == pytest.approx(1000.0, rel=1e-6)
    assert found.note == f"1e+03 epsilons away from float64 at the threshold {thresholds[wrong]:.3g}"


class Narrow:
    """In the place of the solver: answers with a point of float32, and keeps the problem."""

    def __init__(self, monkeypatch, point=None, **fields):
        self.point, self.fields, self.asked = point, fields, []
        monkeypatch.setattr(singular_values, "solve", self.solve)

    def solve(self, problem, *, tolerance, method):
        self.asked.append((problem, tolerance, method))
        point = torch.zeros_like(problem.B) if self.point is None else torch.tensor(self.point, dtype=torch.float32)
        fields = {name: value * tolerance if name == "residual" else value for name, value in self.fields.items()}
        return solution(point, tolerance=tolerance, **fields)


SPECTRUM = {"rows": 2, "columns": 5, "decades": 1.0, "seed": 4}


@pytest.mark.parametrize(("share", "used"), [(0.5, 0.5), (0.01, 0.01), (1e-5, 1e-3)])
@pytest.mark.parametrize("weight", [0.5, 1.0, 4.0])
def test_a_narrow_problem_is_the_matrix_times_its_metric_at_a_share_of_the_threshold_of_zero(
    share, used, weight, monkeypatch
):
    """At zero the residual is what the threshold leaves of the singular values of B."""
    asked = Narrow(monkeypatch, residual=0.25)
    found = measure_narrow_certificate(NuclearNorm(weight), **SPECTRUM, share=share)
    ((problem, tolerance, method),) = asked.asked
    D = 10.0 ** np.random.default_rng(4).uniform(-2, 0, (2, 5))
    B = matrix_of(2, 5, 1.0, 4) * D
    assert problem.B.dtype == problem.D.dtype == torch.float32
    np.testing.assert_allclose(problem.B.numpy(), B, rtol=1e-6)
    np.testing.assert_allclose(problem.D.numpy(), D, rtol=1e-6)
    sigma = np.linalg.svd(problem.B.double().numpy(), compute_uv=False)
    assert problem.lam == pytest.approx(used * sigma[0] / weight, rel=1e-9)
    length = math.hypot(*sigma)
    assert tolerance == pytest.approx(1e-4 * length, rel=1e-9)
    assert method == "splitting"
    left = math.hypot(*np.maximum(sigma - used * sigma[0], 0))
    excess = (left - 0.25 * tolerance - 16 * EPS32 * length) / tolerance
    assert found.violation == pytest.approx(excess, rel=1e-6)
    words = f"certified {0.25 * tolerance:.6g}, recomputed {left:.6g}, rounding {16 * EPS32 * length:.3g}"
    assert found.note == words


@pytest.mark.parametrize(
    ("fields", "counts"),
    [
        ({"residual": 1.0}, True),
        ({"residual": 1.0 + 1e-9}, False),
        ({"residual": math.nan}, False),
        ({"residual": 0.5, "status": Status.PRECISION_LIMIT}, False),
        ({"residual": 0.5, "status": Status.ITERATION_LIMIT}, False),
    ],
)
def test_a_narrow_solution_has_to_converge(fields, counts, monkeypatch):
    Narrow(monkeypatch, **fields)
    found = measure_narrow_certificate(NuclearNorm(1.0), **SPECTRUM, share=0.5)
    assert (found.violation < math.inf) == counts
    assert counts or found.note.startswith(fields.get("status", Status.CONVERGED).value + ", residual ")


@pytest.mark.parametrize(("rows", "columns"), [(2, 5), (5, 2)])
@pytest.mark.parametrize(("value", "cut"), [(4.5, 1e-3), (5.5, 1e-9)])
def test_singular_values_up_to_as_many_epsilons_as_the_longer_side_count_as_zero(
    rows, columns, value, cut, monkeypatch
):
    point = np.zeros((rows, columns))
    point[0, 0], point[1, 1] = 1.0, value * EPS32
    asked = Narrow(monkeypatch, point, residual=0.0)
    case = {**SPECTRUM, "rows": rows, "columns": columns}
    found = measure_narrow_certificate(NuclearNorm(1.0), **case, share=0.5)
    ((problem, tolerance, _),) = asked.asked
    B, D = problem.B.double().numpy(), problem.D.double().numpy()
    left, other = (
        certificate.stationarity(point, B, D, float(problem.lam), NuclearNorm(1.0), rank_tolerance=tolerance)
        for tolerance in (cut, 1e-3 + 1e-9 - cut)
    )
    assert abs(left - other) > 1e-3
    assert found.violation == pytest.approx(left / tolerance, rel=1e-2)


def test_the_price_of_a_singular_value():
    assert _price(NuclearNorm(0.7), (3, 4)) == 0.7


class OffUnderVmap(NuclearNorm):
    """One member is off in one dtype where torch.vmap runs over it."""

    member, dtype, off = "prox", torch.float64, 0.0

    def _off(self, member, found):
        batched = torch._C._functorch.is_batchedtensor(found)
        return found + (self.off if batched and (member, found.dtype) == (self.member, self.dtype) else 0.0)

    def prox(self, w, step):
        return self._off("prox", super().prox(w, step))

    def subgradient_residual(self, point, gradient, lam):
        return self._off("subgradient_residual", super().subgradient_residual(point, gradient, lam))


FIRST_MATRIX, SECOND_MATRIX = RNG.standard_normal((2, 3, 4))


@pytest.mark.parametrize(("sizes", "size"), [((1, 1), 3.5), ((50, 1), 50.0), ((1, 50), 50.0)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("member", ["prox", "subgradient_residual"])
def test_what_differs_under_vmap_is_relative_to_the_largest_number(sizes, size, dtype, member, monkeypatch):
    """1e-16 of it in float64, and as many epsilons in float32; lam times the price of a singular value is 3.5."""
    first, second = (
        matrix * size / np.abs(matrix).max() for matrix, size in zip((FIRST_MATRIX, SECOND_MATRIX), sizes, strict=True)
    )
    epsilon = EPS if dtype == torch.float64 else EPS32
    for name, value in (("member", member), ("dtype", dtype), ("off", 2.0**20 * epsilon)):
        monkeypatch.setattr(OffUnderVmap, name, value)
    found = measure_batch(OffUnderVmap(0.7), first, second, 5.0)
    assert found.violation == pytest.approx(2.0**20 * 1e-16 / size, rel=1e-3)
    assert found.note.startswith(f"{member} in {dtype} differs under vmap by {found.violation:.3g}")


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 2), (4, 5)])
def test_of_one_of_the_matrices_the_second_half_is_zero(shape, monkeypatch):
    first, second = np.random.default_rng(1).uniform(1, 2, (2, *shape))
    asked = []

    class Recorded(NuclearNorm):
        def prox(self, w, step):
            if not torch._C._functorch.is_batchedtensor(w):
                asked.append(w.numpy().copy())
            return super().prox(w, step)

        def subgradient_residual(self, point, gradient, lam):
            if not torch._C._functorch.is_batchedtensor(point):
                asked.extend([point.numpy().copy(), gradient.numpy().copy()])
            return super().subgradient_residual(point, gradient, lam)

    before = first.copy()
    assert measure_batch(Recorded(0.7), np.asfortranarray(first), second, 0.5).violation <= 1e-10
    assert np.array_equal(first, before)
    columns = int(np.prod(shape[1:]))
    poor = np.where(np.arange(columns) < columns // 2, first.reshape(shape[0], -1), 0.0).reshape(shape)
    # In float64: prox of each, then each with the gradient; then the same in float32.
    expected = [poor, second, poor, second, second, first]
    for found, wanted in zip(asked, [*expected, *expected], strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


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
