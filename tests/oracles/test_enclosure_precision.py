"""An enclosure takes as many bits as make it sharp, and as many Newton steps as bring it to the minimiser."""

import math
import sys

import numpy as np
import pytest

from ramda_verify.oracles.atoms import Norm, Scalar, Simplex, Spectral
from ramda_verify.oracles.atoms.functions import ABS
from ramda_verify.oracles.enclosure import Enclosure, Interval, enclose
from ramda_verify.oracles.enclosure.balls import flint
from ramda_verify.oracles.enclosure.spectral import SpectralPart
from ramda_verify.oracles.index_sets import every

#: ``enclose`` as the name of the package hides the module.
MODULE = sys.modules["ramda_verify.oracles.enclosure.enclose"]
SHAPE = (3, 2)
RANDOM = np.random.default_rng(5)
B, D, Z = RANDOM.standard_normal(SHAPE), RANDOM.uniform(1, 2, SHAPE), RANDOM.standard_normal(SHAPE)
PSI = {
    "norm": [Norm(0.5, every(SHAPE))],
    "entries and norm": [Scalar(0.25, every(SHAPE), ABS), Norm(0.5, every(SHAPE))],
    "simplex": [Simplex(every(SHAPE), 1.0)],
    "singular values": [Spectral(0.5, every(SHAPE), SHAPE, ABS)],
}


@pytest.fixture
def at_first(monkeypatch):
    def begun(bits, most=6144):
        monkeypatch.setattr(MODULE, "BITS", bits)
        monkeypatch.setattr(MODULE, "MOST_BITS", most)

    return begun


@pytest.mark.parametrize(("name", "bits"), [*((name, 12) for name in PSI if name[0] != "s"), ("simplex", 12)])
def test_bits_are_doubled_until_the_residual_is_sharp(name, bits, at_first):
    plain = enclose(Z, B, D, 1.0, PSI[name])
    assert plain.bits == 192
    at_first(bits)
    found = enclose(Z, B, D, 1.0, PSI[name])
    assert found.bits in (24, 48, 96)
    assert found.residual.high == pytest.approx(plain.residual.high, rel=2.0**-19)
    assert found.objective_gap == pytest.approx(plain.objective_gap, rel=1e-3)
    assert found.residual.low <= plain.residual.high
    assert plain.residual.low <= found.residual.high


@pytest.mark.parametrize(("most", "bits"), [(6, 6), (7, 12), (12, 12), (6144, 48)])
def test_bits_are_doubled_no_further_than_to_the_most(most, bits, at_first):
    """What is said with fewer of them is no less true."""
    plain = enclose(Z, B, D, 1.0, PSI["norm"])
    at_first(6, most)
    found = enclose(Z, B, D, 1.0, PSI["norm"])
    assert found.bits == bits
    assert found.residual.low <= plain.residual.low <= plain.residual.high <= found.residual.high


def test_the_sum_of_singular_values_is_known_to_a_share_of_the_gap(at_first):
    """At 56 bits the residual has a narrow ball, but the bound on the spectral norm has a slack of 2^(40 - 56)."""
    at_first(56)
    assert enclose(Z, B, D, 1.0, PSI["singular values"]).bits == 112
    assert enclose(Z, B, D, 1.0, PSI["norm"]).bits == 56


def rank_two(seed, price=0.5):
    """B for which ``U S V'`` is the minimiser: ``D*Z + price U V' = B`` there."""
    random = np.random.default_rng(seed)
    U, V = (np.linalg.qr(random.standard_normal((length, 2)))[0] for length in (4, 3))
    metric = 10 ** random.uniform(-3, 0, (4, 3))
    best = U * [3.0, 1.0] @ V.T
    return best, metric * best + price * (U @ V.T), metric, random.standard_normal((4, 3))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("off", [1e-9, 1e-12])
def test_a_matrix_beside_the_minimiser_is_known_to_be_as_far_away_as_it_is(seed, off):
    """Its residual alone says no more than a thousand times as much in this metric."""
    best, pull, metric, noise = rank_two(seed)
    found = enclose(best + off * noise, pull, metric, 1.0, [Spectral(0.5, every((4, 3)), (4, 3), ABS)])
    exact = off * math.hypot(*noise.ravel())
    assert 0.99 * exact <= found.distance <= 1.01 * exact + 1e-12
    assert found.residual.high > 1e-4 * exact
    assert found.moved > 0.01 * exact or found.residual.low == 0
    assert found.objective_gap <= 10 * off


@pytest.mark.parametrize("name", ["norm", "simplex"])
def test_a_point_beside_the_minimiser_is_known_to_be_as_far_away_as_it_is(name):
    """In a metric of a hundred million: (3, -4, 0) is the minimiser by its gradient, (1/4, 3/4, 0) by a multiplier."""
    metric = np.array([1.0, 1e-8, 1.0])
    if name == "norm":
        best, psi = np.array([3.0, -4.0, 0.0]), [Norm(5.0, every((3,)))]
        pull = metric * best + best
    else:
        best, psi = np.array([0.25, 0.75, 0.0]), [Simplex(every((3,)), 1.0)]
        pull = metric * best + [1.0, 1.0, -1.0]
    move = 1e-7 * np.array([1.0, -1.0, 0.0])
    found = enclose(best + move, pull, metric, 1.0, psi)
    assert math.hypot(*move) * (1 - 1e-8) <= found.distance <= 1.3 * math.hypot(*move)
    assert found.metric_distance == pytest.approx(1e-7, rel=1e-3)


def test_of_several_ranks_all_bounds_are_kept_and_the_residual_is_that_of_the_first():
    """diag(1, 1e-10) with the price 1 of singular values: at rank two the second has a slope of one and more, at rank
    one, where the minimiser is, none.
    """
    point, ones = np.diag([1.0, 1e-10]), np.ones((2, 2))
    psi = [Spectral(1.0, every((2, 2)), (2, 2), ABS)]
    pull = np.diag([2.0, 0.5])
    found = enclose(point, pull, ones, 1.0, psi)
    assert found.residual.high == pytest.approx(0.5 + 1e-10, rel=1e-12)
    assert found.moved <= 1e-22
    assert found.distance == pytest.approx(1e-10, rel=1e-6)
    assert found.metric_distance == pytest.approx(1e-10, rel=1e-6)
    # Q rises by ``(1 - 1/2) * 1e-10``, as the second entry of B pulls with a half.
    assert 0.5e-10 <= found.objective_gap <= 2e-10
    assert found.optimum.low <= -0.5 <= found.optimum.high
    assert found.optimum.high - found.optimum.low <= 1e-12
    narrow = enclose(point, pull, ones, 1.0, psi, eps=1e-9)
    assert narrow.residual.high <= 1e-22
    assert narrow.moved == pytest.approx(1e-10, rel=1e-6)


def test_a_distance_of_nothing_is_a_share_of_nothing():
    zero = enclose(np.zeros(2), np.zeros(2), np.ones(2), 1.0, [Norm(1.0, every((2,)))])
    assert (zero.relative_distance, zero.within(0.0)) == (0.0, True)
    far = enclose(np.array([1e-3, 0.0]), np.zeros(2), np.ones(2), 1.0, [Norm(1.0, every((2,)))])
    assert far.relative_distance == math.inf
    assert not far.within(1e300)
    near = enclose(np.array([4.5, 0.0]), np.array([5.0, 0.0]), np.ones(2), 1.0, [Norm(1.0, every((2,)))])
    assert near.relative_distance == pytest.approx(0.5 / 4.0, rel=1e-9)


@pytest.mark.parametrize(("low", "high"), [(-5.0, -4.0), (4.0, 5.0), (-4.0, 5.0), (0.0, 0.0)])
def test_an_enclosure_in_other_units_is_rounded_outward(low, high):
    """Three times Q: the residual and Q three times, the distance in the metric the root of it, that of Z as it is."""
    one = Enclosure(Interval(1.0, 2.0), 0.25, 0.5, 4.0, 0.125, 8.0, Interval(low, high), 192)
    found = one.times(3.0)
    assert (found.moved, found.distance, found.relative_distance) == (0.25, 0.5, 0.125)
    for outer, inner in ((found.residual, (3.0, 6.0)), (found.optimum, (3 * low, 3 * high))):
        assert outer.low <= inner[0] <= inner[1] <= outer.high
        assert outer == pytest.approx(inner, rel=1e-15)
    assert 24.0 < found.objective_gap <= math.nextafter(24.0, 25.0)
    assert found.metric_distance**2 >= 48.0
    assert found.metric_distance == pytest.approx(48**0.5, rel=1e-15)
    assert one.times(1.0) is one


def test_singular_values_may_change_in_both_directions():
    """Between diag(3, 1) and diag(1, 2) their sum falls by one, times the price."""
    part = SpectralPart(Spectral(2.0, every((2, 2)), (2, 2), ABS), flint.arb(0.5))
    for order in (1, -1):
        ends = [[flint.arb(entry) for entry in np.diag(values).ravel().tolist()] for values in ([3.0, 1.0], [1.0, 2.0])]
        change = part.change(*ends[::order])
        assert float(change.lower()) <= order <= float(change.upper())
        assert float(change.upper()) <= 10**0.5 + 1e-6
