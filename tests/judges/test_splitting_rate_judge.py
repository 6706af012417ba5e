"""The judge of the pace of the splitting: every kept move against the one before."""

import math

import numpy as np
import pytest
import torch

from ramda_verify.checks.subproblem.singular_values import (
    measure_splitting_rate,
)
from solvers import L1
from solvers.subproblem.ending import Iterate
from solvers.subproblem.penalty import FIRST
from tests.judges.test_splitting_judges import splitting_by_hand
from tests.plug_ins.right.own_numbers import SortedSimplex

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


@pytest.mark.parametrize(("growth", "bad"), [(3.0, True), (0.5, False)])
def test_after_what_is_not_kept_a_move_that_is_too_long_is_found(growth, bad, monkeypatch):
    D = METRICS["even"]
    centre = SHIFT / D.mean()
    xs = [centre + 0.5**n * np.array([1.0, -2.0, 0.5, 1.0]) for n in range(4)]
    plain = xs[3] + moves_of(xs[3:], [np.zeros(4)], D)[0]
    xs += [centre + 50.0, plain]  # a leap, which the plain step replaces
    for n in range(6, FIRST):
        xs.append(centre + (growth if n == 8 else 0.5) * (xs[-1] - centre))
    assert (rates(monkeypatch, xs, [np.zeros(4)] * FIRST, D).violation > 1e-4) == bad


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


@pytest.mark.parametrize("D", METRICS.values(), ids=METRICS)
def test_at_its_fixed_point_nothing_but_rounding_is_left_to_shorten(D, monkeypatch):
    Z = np.sign(SHIFT) * np.maximum(np.abs(SHIFT) - 0.5, 0) / D
    x = Z + (SHIFT - D * Z) / D.mean()
    found = rates(monkeypatch, [x] * FIRST, [Z] * FIRST, D)
    assert found.violation == 0
    assert "nothing but rounding" in found.note
