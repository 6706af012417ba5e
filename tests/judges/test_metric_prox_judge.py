"""How far metric_prox may be from its fixed point, which rivals beat it, and what its answers in float32 may miss."""

import numpy as np
import pytest
import torch

from ramda_verify.checks import measure
from ramda_verify.checks.regularizer.metric_prox_claim import _scaled
from ramda_verify.checks.regularizer.narrow_members import _rise
from ramda_verify.engine.record import NothingClaimed
from solvers import L1
from solvers.regularizers import MetricProx
from tests.judges.regularizers import Made, zero

EPS32 = 2.0**-23
ROUNDINGS = 256 * 2.0**-52


def claimed(regularizer, B, D, lam=1.0):
    case = {"B": np.array(B), "D": np.array(D), "lam": lam}
    return measure("metric-prox-claim", regularizer=regularizer, **case, seed=0)


def half_square(w):
    return 0.5 * w.square().sum()


def ridge(error, convex=True, value=half_square):
    """psi = 1/2 ||w||^2, whose solution is B/(D + lam); ``error(B, D, lam)`` is added to it."""

    def metric_prox(B, D, lam):
        return B / (D + lam) + error(B, D, lam)

    return Made(value, lambda w, step: w / (1 + step), convex=convex, metric_prox=metric_prox)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
@pytest.mark.parametrize("units", [0.0, 0.5, -2.0, 8.0])
@pytest.mark.parametrize(("convex", "share"), [(True, 1.0), (False, 2 / 3)])
def test_a_fixed_point_is_missed_in_units_of_the_distance_to_the_centre(scale, units, convex, share):
    """B/D is 2 and the solution 1: the unit is 1e-9, and two thousand times less for rounding of 1 and 2. A whole step
    leads from an error e to the solution; half a step, where psi is not said to be convex, to e/3.
    """
    found = claimed(ridge(lambda B, D, lam: 1e-9 * scale * units if lam else 0.0, convex), [2.0 * scale], [1.0])
    unit = 1e-9 + ROUNDINGS * 3
    assert found.violation == pytest.approx(abs(units) * share * 1e-9 / unit, abs=1e-5, rel=1e-5)
    assert found.violation <= 1e-5 or "from which a proximal gradient step leads to" in found.note


def test_the_unit_grows_with_the_root_of_the_number_of_entries():
    """Of a 4 among a hundred entries which psi moves by 4e-4: rounding is allowed for ten times as it is for one."""
    first = np.eye(1, 100)[0]
    unit = 1e-9 * 4e-4 + 10 * 8 * ROUNDINGS
    for units in (0.5, 2.0):
        error = torch.tensor(units * unit * first)
        found = claimed(ridge(lambda B, D, lam, error=error: error * (lam > 0)), 4 * first, first**0, lam=1e-4)
        assert found.violation == pytest.approx(units, rel=1e-2)


@pytest.mark.parametrize("D", [[1.0, 2.0], [1.0, 1e-4], [50.0, 1e-4]])
def test_a_right_solution_fits_in_every_metric(D):
    assert claimed(ridge(lambda B, D, lam: 0.0), [3.0, -1.0], D).violation <= 1e-3


def test_a_fixed_point_is_asked_for_in_a_metric_of_mild_condition():
    """A step leaves an entry where it is whose D is 1e-4 of the largest; the metric in which it moves is the given one
    with small numbers raised.
    """
    asked = []

    def record(B, D, lam):
        asked.append((D.tolist(), lam))
        return 0.0

    claimed(ridge(record), [3.0, -1.0, 1.0], [8.0, 4.0, 8e-4], lam=0.5)
    (given, lam), *others = asked
    assert (given, lam) == ([8.0, 4.0, 8e-4], 0.5)
    assert [weight for _, weight in others] == [0.5, 0.0]
    for metric, _ in others:
        assert metric[:2] == [8.0, 4.0]
        assert 10 <= 8 / metric[2] <= 100


@pytest.mark.parametrize("condition", [1e2, 1e4, 1e6])
@pytest.mark.parametrize("share", [0.1, -0.1])
def test_an_error_in_the_given_metric_alone_is_beaten_by_a_rival(condition, share):
    """The entry of the small D is off by a tenth of its way; in the mild metric all is right."""

    def error(B, D, lam):
        return share * (B / D - B / (D + lam)) * (D.max() / D > 99)

    found = claimed(ridge(error), [1.0, 1 / condition], [1.0, 1 / condition], lam=1 / condition)
    assert found.violation > 1
    assert "Q is lower at" in found.note


def test_a_fixed_point_with_a_higher_Q_is_beaten():
    """psi counts: at 1 a short step stays, Q(1) = 0.7 - 0.5 and Q(0) = 0."""
    count = Made(
        lambda w: (w != 0).sum().to(w.dtype),
        lambda w, step: torch.where(w * w > 2 * step, w, 0.0),
        metric_prox=lambda B, D, lam: B / D,
    )
    found = claimed(count, [1.0], [1.0], lam=0.7)
    assert found.violation > 1e6
    assert "Q is lower at [0.0]" in found.note
    assert claimed(count, [1.0], [1.0], lam=0.3).violation <= 1e-3


@pytest.mark.parametrize("units", [0.5, 2.0, -2.0])
def test_without_psi_the_solution_is_the_centre_up_to_rounding(units):
    error = units * ROUNDINGS * 4
    found = claimed(ridge(lambda B, D, lam: error * (lam == 0)), [8.0], [2.0])
    assert found.violation == pytest.approx(abs(units), rel=0.01)
    assert found.note == "with lam = 0 metric_prox is not B/D"


@pytest.mark.parametrize(("B", "asked"), [(0.5, True), (2.0, False)])
def test_without_psi_nothing_is_asked_of_a_set_that_the_centre_is_not_in(B, asked):
    box = Made(
        lambda w: torch.where((w.abs() <= 1).all(), 0.0, torch.inf),
        lambda w, step: w.clamp(-1, 1),
        convex=True,
        metric_prox=lambda B, D, lam: (B / D).clamp(-1, 1) + 0.25 * (lam == 0),
    )
    assert (claimed(box, [B], [1.0]).violation > 1) == asked


def test_a_pair_with_the_number_of_iterations_is_a_solution():
    made = Made(half_square, lambda w, step: w / (1 + step), metric_prox=lambda B, D, lam: MetricProx(B / (D + lam), 3))
    assert claimed(made, [3.0, 1.0], [1.0, 2.0]).violation <= 1e-3


def test_moves_are_short_in_the_metric():
    """By a thousandth and a tenth of the distance to the centre, each entry either way, and along the way to it."""
    Z, centre, D = (
        np.array([[1.0, -2.0], [0.5, 0.0]]),
        np.array([[3.0, 1.0], [0.5, -4.0]]),
        np.array([[4.0, 1], [9, 25]]),
    )
    distance = (4 * 4 + 9 + 25 * 16) ** 0.5
    points = _scaled(Z, centre, D)
    assert len(points) == 4 * 4 + 2
    moves = {(place, share): 0 for place in range(4) for share in (1e-3, -1e-3, 0.1, -0.1)}
    for point in points[:-2]:
        (place,) = np.flatnonzero(point != Z)
        share = (point - Z).flat[place] * D.flat[place] ** 0.5 / distance
        (nearest,) = [(place, s) for s in (1e-3, -1e-3, 0.1, -0.1) if share == pytest.approx(s, rel=1e-6)]
        moves[nearest] += 1
    assert set(moves.values()) == {1}
    for point, sign in zip(points[-2:], (1, -1), strict=True):
        assert point == pytest.approx(Z + sign * 1e-3 * (centre - Z), rel=1e-12)


def narrow(regularizer, B, D, lam=1.0):
    return measure("members-in-float32", regularizer=regularizer, B=np.array(B), D=np.array(D), lam=lam)


def nothing(**members):
    """psi = 0 with these members."""
    return Made(zero, **members)


def off_in_float32(error):
    return nothing(metric_prox=lambda B, D, lam: B / D + (error if B.dtype == torch.float32 else 0))


#: The size of B = 4 over the least D = 2, and the solution 2: a unit is 4 epsilons. At 2 float32 has steps of 2.
@pytest.mark.parametrize(("steps", "expected"), [(0, 0.0), (1, 0.5), (-1, 0.25), (2, 1.0), (-2, 0.5)])
def test_a_solution_in_float32_is_missed_in_epsilons_of_both_sizes(steps, expected):
    error = steps * 2 * EPS32 if steps > 0 else steps * EPS32
    found = narrow(off_in_float32(error), [4.0, 1.0], [2.0, 2.0**9])
    assert found.violation == expected
    assert found.note == f"metric_prox in float32 is {expected:.3g} epsilons away from float64"


@pytest.mark.parametrize(("lam", "expected"), [(10.0, 100.0), (1.5, 50.0)])
def test_where_a_solution_is_missed_by_more_its_Q_counts_if_that_is_less(lam, expected):
    """B = D = 1 and psi = |w|: the solution is 0, and Q rises from 1/2 by lam - 1 times the error of 100 epsilons; its
    terms are 1/2 + 1/2.
    """
    found = narrow(
        Made(
            lambda w: w.abs().sum(),
            metric_prox=lambda B, D, lam: 0 * B + (100 * EPS32 if B.dtype == torch.float32 else 0),
        ),
        [1.0],
        [1.0],
        lam,
    )
    assert found.violation == pytest.approx(expected, rel=1e-3)


def test_a_rise_of_Q_is_in_epsilons_of_its_terms():
    """psi = |w|, centre 8/2 = 4: Q(3) = 1/2*2*1 + 1.5*3 = 5.5, Q(1) = 9 + 1.5 = 10.5; the terms 5.5 + 16."""
    B, D, found, exact = (torch.tensor([number]) for number in (8.0, 2.0, 1.0, 3.0))
    psi = Made(lambda w: w.abs().sum())
    assert _rise(psi, B, D, 1.5, found, exact) == pytest.approx(5 / (EPS32 * 21.5))
    assert _rise(psi, B, D, 1.5, exact, found) == pytest.approx(-5 / (EPS32 * 26.5))
    # A negative psi: Q(3) = 1 - 4.5.
    psi = Made(lambda w: -w.abs().sum())
    assert _rise(psi, B, D, 1.5, found, exact) == pytest.approx((7.5 + 3.5) / (EPS32 * 19.5))


@pytest.mark.parametrize(
    ("B", "D", "lam", "claimed"),
    [
        ([1.0, 0.0], [1.0, 2.0], 1.0, True),
        ([0.0, 0.0], [1.0, 2.0], 1.0, True),
        ([1.0, 0.0], [1.1e-12, 1.0], 1.0, True),
        ([1.0, 0.0], [1e-12, 1.0], 1.0, False),
        ([1.0, 0.0], [1.0, 0.99e12], 1.0, True),
        ([1.0, 0.0], [1.0, 1e12], 1.0, False),
        ([1.0, 0.0], [1.0, 1.0], 1.1e-12, True),
        ([1.0, 0.0], [1.0, 1.0], 1e-12, False),
        ([1.0, 0.0], [1.0, 1.0], 0.99e12, True),
        ([1.0, 0.0], [1.0, 1.0], 1e12, False),
        ([1.1e-12, 0.0], [1.0, 1.0], 1.0, True),
        ([1e-12, 0.0], [1.0, 1.0], 1.0, False),
        ([-0.99e12, 0.0], [1.0, 1.0], 1.0, True),
        ([-1e12, 0.0], [1.0, 1.0], 1.0, False),
        ([0.0, 0.0], [1e-12, 1.0], 1.0, False),
    ],
)
def test_float32_is_asked_about_numbers_that_it_holds(B, D, lam, claimed):
    right = nothing(metric_prox=lambda B, D, lam: B / D)
    if claimed:
        assert narrow(right, B, D, lam).violation <= 1
    else:
        with pytest.raises(NothingClaimed, match="float32 does not hold the case"):
            narrow(right, B, D, lam)


def test_a_step_per_entry_is_a_direct_solution():
    """lam over D, of B over D: 3/2 and 1/4 at 1/2 and 1/4; in float32 the answer is off by two epsilons."""

    def prox(w, step):
        asked.append((w.dtype, w.tolist(), step.tolist()))
        return w + (2 * EPS32 if w.dtype == torch.float32 else 0)

    asked: list = []
    found = narrow(nothing(prox=prox, separable=True), [3.0, 1.0], [2.0, 4.0])
    assert [(w, step) for _, w, step in asked] == [([1.5, 0.25], [0.5, 0.25])] * 2
    assert {dtype for dtype, *_ in asked} == {torch.float32, torch.float64}
    assert found.violation == pytest.approx(2 / (1.5 + 1.5))
    assert "prox with a step per entry in float32 is 0.667 epsilons" in found.note


def of_wrong_kind(found):
    return {
        "float64": found.double(),
        "another shape": torch.cat([found.reshape(-1), found.reshape(-1)]),
        "not finite": found * torch.nan,
    }


@pytest.mark.parametrize("kind", ["float64", "another shape", "not finite"])
def test_members_in_float32_are_of_the_kind_of_their_input(kind):
    def spoiled(found):
        return of_wrong_kind(found)[kind] if found.dtype == torch.float32 else found

    wrong = [
        nothing(metric_prox=lambda B, D, lam: spoiled(B / D)),
        nothing(prox=lambda w, step: spoiled(w.clone()), separable=True),
        nothing(subgradient_residual=lambda Z, G, lam: spoiled(G)),
    ]
    if kind != "another shape":
        wrong.append(nothing(blockwise_max=lambda D: spoiled(D.max())))
    for regularizer in wrong:
        with pytest.raises(ArithmeticError):
            narrow(regularizer, [3.0, 1.0], [2.0, 4.0])


def test_members_without_a_solution_to_compare_are_right_where_they_are_finite():
    residual = nothing(subgradient_residual=lambda Z, G, lam: G)
    assert narrow(residual, [3.0, 1.0], [2.0, 4.0]).violation == 0
    assert narrow(nothing(blockwise_max=lambda D: D.max()), [3.0, 1.0], [2.0, 4.0]).violation == 0
    with pytest.raises(NothingClaimed):
        narrow(nothing(), [3.0, 1.0], [2.0, 4.0])
    with pytest.raises(RuntimeError):
        narrow(nothing(blockwise_max=lambda D: torch.ones(3)), [3.0, 1.0], [2.0, 4.0])


@pytest.mark.parametrize("wrong_at", [None, 0.0, 1.0, 2.0])
def test_a_residual_is_asked_for_at_zero_and_at_every_solution(wrong_at):
    """With the gradient D*Z - B of each; metric_prox gives 2 and prox 1, the one right for psi = 0."""

    def residual(Z, G, lam):
        assert (float(G), lam) == (2 * float(Z) - 4, 1.0)
        return G * (torch.nan if float(Z) == wrong_at else 1.0)

    both = nothing(
        metric_prox=lambda B, D, lam: B / D,
        prox=lambda w, step: w / 2,
        separable=True,
        subgradient_residual=residual,
    )
    if wrong_at is None:
        assert narrow(both, [4.0], [2.0]).violation == 0
    else:
        with pytest.raises(ArithmeticError, match="subgradient_residual at"):
            narrow(both, [4.0], [2.0])


def test_where_psi_is_infinite_at_zero_no_residual_is_asked_for():
    """A finding it would be, that of a NaN."""
    positive = Made(
        lambda w: torch.where((w > 0).all(), 0.0, torch.inf),
        metric_prox=lambda B, D, lam: B / D,
        subgradient_residual=lambda Z, G, lam: torch.where(Z > 0, G, torch.nan),
    )
    assert narrow(positive, [4.0], [2.0]).violation == 0


def test_ours_are_right():
    rng = np.random.default_rng(0)
    B, D = rng.standard_normal((3, 4)), rng.uniform(0.5, 2, (3, 4))
    assert claimed(L1(0.5), B, D).violation <= 1
    assert narrow(L1(0.5), B, D).violation <= 4
