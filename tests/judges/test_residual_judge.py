"""How long a residual may be that prox proves to be short, and which slopes psi is asked about, in which directions."""

import numpy as np
import pytest
import torch

from ramda_verify.checks import measure
from ramda_verify.checks.regularizer.residual_claim import _slopes
from ramda_verify.engine.worst import Worst
from solvers import L1
from tests.judges.regularizers import Made

EPS = 2.0**-52
ROUNDINGS = 256 * EPS


def absolute(w):
    return w.abs().sum()


def soft(w, step):
    return torch.where(w.abs() > step, w - w.sign() * step, 0.0)


def right(Z, G, lam):
    """Of psi = sum |z_i|."""
    return torch.where(Z != 0, G + lam * Z.sign(), soft(G, lam))


def claimed(residual, w, step=1.0, seed=0):
    regularizer = Made(absolute, soft, subgradient_residual=residual)
    return measure("residual-claim", regularizer=regularizer, w=np.array(w), step=step, seed=seed)


@pytest.mark.parametrize("w", [[2.0], [2.0, -0.5, 3.0], [0.0], [0.0, 0.0, 1e-3], [1e6, -1e-6]])
@pytest.mark.parametrize("seed", range(3))
def test_a_right_residual_is_right(w, seed):
    assert claimed(right, w, seed=seed).violation <= 1


@pytest.mark.parametrize("units", [0.5, -2.0, 8.0])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_a_residual_is_too_long_in_units_of_the_move(units, scale):
    """From 2 to 1: a billionth of 1 and roundings of 3, the latter times the root of nine entries, of which eight are
    zero.
    """
    unit = (1e-9 + 3 * ROUNDINGS * 3) * scale

    def long(Z, G, lam):
        at_prox = abs(float(Z[0]) - scale) < 1e-9 * scale and float(G.abs().max()) <= scale * 1.0001
        found = right(Z, G, lam)
        found[0] += units * unit * at_prox
        return found

    found = claimed(long, [2 * scale, *[0.0] * 8], step=scale)
    assert found.violation == pytest.approx(abs(units), rel=1e-5)
    assert found.note.startswith(f"||r|| = {abs(units) * unit:.6g} at Z = [{scale}, 0.0, ")


@pytest.mark.parametrize("share", [0.0, 1e-3, 1.0, 1e3])
@pytest.mark.parametrize("scale", [1e-2, 1.0, 1e2])
def test_a_residual_is_asked_for_as_far_from_zero_as_a_few_shares_of_the_move(share, scale):
    """It is too long by a ten-thousandth at one of them alone."""

    def long(Z, G, lam):
        off = abs(float(G) + scale) / scale
        here = off == 0 if share == 0 else 0.3 < off / share < 3
        wrong = here and abs(float(Z) - scale) < 1e-9 * scale
        return right(Z, G, lam) * (1 + 1e-4 * wrong) + 1e-6 * scale * wrong * (share == 0)

    found = claimed(long, [2.0 * scale], step=scale, seed=4)
    assert found.violation > 10
    assert "where w - Z is" in found.note


def errors_of_G(w, threshold):
    """How far from -(w - Z) each G is, psi being ``threshold`` times the sum of all |z_i|."""
    asked = []

    def residual(Z, G, lam):
        asked.append(G)
        return torch.where(Z != 0, G + threshold * Z.sign(), soft(G, threshold))

    psi = Made(lambda w: threshold * absolute(w), lambda w, step: soft(w, threshold), subgradient_residual=residual)
    assert measure("residual-claim", regularizer=psi, w=np.array(w), step=1.0, seed=4).violation <= 1
    return [float(G) + min(abs(w[0]), threshold) for G in asked[:4]]


def test_at_a_prox_that_stays_the_errors_are_those_of_a_move_of_one():
    """At zero and where psi is zero; shares of a move of 0 would be 0."""
    moved = errors_of_G([2.0], 1.0)
    assert moved[0] == 0
    assert abs(moved[3]) > 100
    assert errors_of_G([2.0], 0.0) == pytest.approx(moved)
    assert errors_of_G([0.0], 0.0) == pytest.approx(moved)
    assert errors_of_G([0.0], 1.0) == pytest.approx(moved)


@pytest.mark.parametrize(("times", "forgiven"), [(7.5, True), (8.5, False)])
def test_a_residual_that_roundings_of_the_point_move_may_be_longer_by_eight_times_that(times, forgiven):
    def shaking(Z, G, lam):
        moved = not torch.equal(Z, torch.ones(4, dtype=torch.float64))
        found = right(Z.round(), G, lam)
        found[0] += 1e-6 * (times + moved) * (float(G.abs().max()) <= 1.0001)
        return found

    assert (claimed(shaking, [2.0, 2.0, 2.0, 2.0]).violation <= 1) == forgiven


@pytest.mark.parametrize("which", range(16))
def test_a_residual_that_one_of_the_roundings_moves_is_forgiven(which):
    moves: list = []

    def shaking(Z, G, lam):
        found = right(Z.round(), G, lam)
        if torch.equal(Z, torch.ones(40, dtype=torch.float64)):
            moves.clear()
            return found + 1e-6 * (float(G.abs().max()) <= 1.0001)
        moves.append(Z)
        return found + 1e-6 * (1 - (len(moves) == which + 1)) * (float(G.abs().max()) <= 1.0001)

    assert claimed(shaking, [2.0] * 40).violation <= 1


def test_the_point_and_what_it_is_the_prox_of_are_moved_by_one_or_two_roundings_either_way():
    """The point is 1, and moves by as much as w, whose rounding is twice as large."""
    asked = []

    def long(Z, G, lam):
        asked.append(Z)
        return right(Z.round(), G, lam) + 1e-6

    assert claimed(long, [2.0] * 40).violation > 1
    moves = torch.stack([Z - 1 for Z in asked if 0 < float((Z - 1).abs().max()) < 1e-3]) / EPS
    assert set(moves[::2].flatten().tolist()) == {-2, -1, 0, 1, 2}
    assert set(moves[1::2].flatten().tolist()) == {-4, -2, 0, 2, 4}


@pytest.mark.parametrize("share", [1.0, 1e3])
def test_a_residual_that_claims_too_much_is_held_against_psi(share):
    """It is zero at one error of G, which is thus said to be a slope: psi falls short of it by that error, in units of
    a hundredth of the lengths of the slope and of G, the latter by its two parts.
    """
    errors = []

    def zero(Z, G, lam):
        error = abs(float(G) + 1.0)
        if float(Z) != 1.0 or not 0.3 < error / share < 3:
            return right(Z, G, lam)
        errors.append(float(G) + 1.0)
        return 0 * G

    found = claimed(zero, [2.0], seed=4)
    (error,) = errors
    expected = abs(error) / (0.01 * (abs(1 - error) + abs(error) + 1))
    assert found.violation == pytest.approx(expected, rel=0.06)
    assert "psi falls below the slope r - G" in found.note


@pytest.mark.parametrize("w", [[2.0], [-4.0]])
def test_psi_is_asked_about_the_slope_at_w_too(w):
    """There half as much again is claimed; G is about as large as w."""
    gradients = []

    def steep(Z, G, lam):
        if float(Z) != w[0]:
            return right(Z, G, lam)
        gradients.append(abs(float(G)))
        return G + 1.5 * lam * Z.sign()

    found = claimed(steep, w, seed=4)
    (gradient,) = gradients
    assert 0.3 < gradient / abs(w[0]) < 3
    assert found.violation == pytest.approx(0.5 / (0.01 * (1.5 + gradient)), rel=0.08)


@pytest.mark.parametrize(("w", "asked"), [(0.5, True), (2.0, False)])
def test_where_psi_is_infinite_no_slope_is_asked_for(w, asked):
    points = []

    def residual(Z, G, lam):
        points.append(float(Z))
        return torch.where((Z.abs() < 1) | (G * Z > 0), G, 0.0)

    box = Made(
        lambda w: torch.where((w.abs() <= 1).all(), 0.0, torch.inf),
        lambda w, step: w.clamp(-1, 1),
        subgradient_residual=residual,
    )
    assert measure("residual-claim", regularizer=box, w=np.array([w]), step=1.0, seed=0).violation <= 1
    assert (w in points) == asked
    assert points[-1] == min(w, 1.0)


@pytest.mark.parametrize("broken", ["prox", "subgradient_residual"])
def test_a_nan_is_a_finding(broken):
    regularizer = Made(absolute, soft, subgradient_residual=right)
    setattr(regularizer, broken, lambda w, *_: w * torch.nan)
    with pytest.raises(ArithmeticError, match=broken):
        measure("residual-claim", regularizer=regularizer, w=np.array([2.0]), step=1.0, seed=0)


class Function:
    """A psi of float64 arrays, a number of its own and the size of its terms."""

    def __init__(self, at, own_size=0.0, size=1.0):
        self.at, self.own_size, self.terms = at, own_size, size

    def size(self, point):
        return self.terms


def judged(psi, Z, slope, size_of_G=0.0, lam=1.0, seed=0):
    worst = Worst()
    _slopes(psi, np.array(Z), np.array(slope), size_of_G, lam, np.random.default_rng(seed), worst)
    return worst


def line(Z, slope, excused=None, claimed=0.0, offset=0.0, own_size=0.0):
    """psi rises by ``slope``, and by ``claimed`` where it is asked about a distance near ``excused``."""

    def at(point):
        way = float(point[0] - Z)
        near = excused is not None and 0.8 * excused < abs(way) < 1.25 * excused
        return offset + (claimed if near else slope) * way

    return Function(at, own_size, 1.0 + abs(offset))


@pytest.mark.parametrize("lam", [1.0, 5.0])
@pytest.mark.parametrize("error", [2e4, -3e4, 5e3])
def test_a_slope_is_wrong_in_units_of_a_hundredth_of_the_lengths(lam, error):
    """That of G is a million."""
    found = judged(line(2.0, 7.0), [2.0], [7.0 * lam + error], 1e6, lam)
    assert found.violation == pytest.approx(abs(error) / (0.01 * (abs(7 * lam + error) + 1e6)), rel=1e-3)


def test_a_right_slope_is_right():
    for Z in (2.0, 1e5, 0.0):
        assert judged(line(Z, 7.0), [Z], [7.0]).violation <= 0.1


@pytest.mark.parametrize("size", [1.0, 50.0])
@pytest.mark.parametrize(
    ("distance", "asked"),
    [(1e-4, True), (1e-6, True), (1e-8, True), (1e-10, True), (1e-12, True)]
    + [(distance, False) for distance in (1.0, 1e-2, 1e-3, 1e-5, 1e-7, 1e-9, 1e-14)],
)
def test_who_is_right_at_one_distance_is_not_accused(size, distance, asked):
    """What is true of a slope is true at every distance, relative to the point; G is long, so that all have digits."""
    psi = line(size, 0.0, distance * size, 1e5)
    assert (judged(psi, [size], [1e5], 1e5).violation <= 1) == asked


@pytest.mark.parametrize(
    ("Z", "own_size", "distance", "asked"),
    [
        (0.0, 0.0, 1e-4, True),
        (0.0, 0.0, 1e-6, True),
        (0.0, 50.0, 50e-4, True),
        (0.0, 50.0, 1e-4, False),
        (1e4, 1.0, 1.0, True),
        (1e4, 1.0, 1e-4, True),
        (1e4, 1.0, 1e-6, True),
        (1e4, 0.0, 1e-6, True),
        (1e4, 0.0, 1e-5, False),
        (1.0, 1e4, 1.0, False),
        (1.0, 1e4, 1e-2, False),
        (1.0, 1e-1, 1e-5, False),
        (1.0, 1e-3, 1e-7, True),
        (1.0, 1e-3, 1e-9, True),
    ],
)
def test_distances_are_of_the_point_and_of_the_numbers_that_psi_has_of_its_own(Z, own_size, distance, asked):
    """At zero of these alone, or of one; the latter only where they are smaller."""
    psi = line(Z, 0.0, distance, 1e5, own_size=own_size)
    assert (judged(psi, [Z], [1e5], 1e5).violation <= 1) == asked


@pytest.mark.parametrize(("distance", "counts"), [(1e-8, True), (1e-10, True), (1e-12, False)])
@pytest.mark.parametrize("offset", [1.0, -1.0])
def test_a_distance_counts_while_psi_has_digits(distance, counts, offset):
    """Of psi near 1, whose terms are 2, roundings over 1e-12 are 1/5, of the slope a hundredth is 1/50."""
    psi = line(1.0, 0.0, distance, 2.0, offset)
    assert (judged(psi, [1.0], [2.0]).violation <= 1) == counts


def test_the_two_usual_distances_count_without_digits():
    """Of psi near 1e5 roundings over 1e-6 are more than a hundredth of the slope."""
    psi = line(1.0, 0.0, 1e-6, 1.0, 1e5)
    assert judged(psi, [1.0], [1.0]).violation <= 1
    assert judged(line(1.0, 0.0, 1e-8, 1.0, 1e5), [1.0], [1.0]).violation > 1


@pytest.mark.parametrize(("distance", "counts"), [(1e-8, True), (1e-10, True), (1e-12, False)])
def test_digits_are_also_those_of_what_was_seen_before(distance, counts):
    """Slope and G are zero, and psi falls by 1 a unit either way: a hundredth of that is seen."""

    def falling(point):
        way = abs(float(point[0]) - 1.0)
        return 1.0 if 0.8 * distance < way < 1.25 * distance else 1.0 - way

    assert (judged(Function(falling), [1.0], [0.0]).violation <= 1) == counts


@pytest.mark.parametrize("lam", [1.0, 3.0])
@pytest.mark.parametrize("Z", [[-1.0], [-200.0]])
@pytest.mark.parametrize("units", [0.5, 2.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_psi_may_fall_by_roundings_of_its_terms(lam, Z, units, sign):
    """Where no slope is claimed: of psi here and there, 1 each, and of its terms, 5."""
    fall = units * 7 * ROUNDINGS
    psi = Function(lambda point: sign - fall * (point[0] != Z[0]), size=5.0)
    assert judged(psi, Z, [0.0], lam=lam).violation == pytest.approx(units, rel=1e-2)


def test_curvature_is_no_slope():
    """psi = -w^2/2 falls by h/2 over h, which vanishes with h; -|w| falls by 1."""
    assert judged(Function(lambda point: -0.5 * float(point[0] ** 2), 1.0, 0.0), [0.0], [0.0]).violation <= 1
    assert judged(Function(lambda point: -abs(float(point[0])), 1.0, 0.0), [0.0], [0.0]).violation > 1e6
    curved = judged(Function(lambda point: -50.0 * float(point[0] ** 2), 1.0, 0.0), [0.0], [0.1])
    assert curved.violation == pytest.approx(0.1 / (0.01 * 0.1), rel=1e-3)


def test_where_psi_is_infinite_on_the_way_nothing_is_missing_there():
    """A distance at which psi is infinite is no violation; the next ones count, and are compared with none before."""
    assert judged(Function(lambda point: 0.0 if point[0] == 1 else np.inf), [1.0], [1e5]).violation == 0

    def wall(point):
        return np.inf if abs(point[0] - 1) > 1e-5 else 1e6 * abs(float(point[0]) - 1)

    assert judged(Function(wall, size=0.0), [1.0], [0.0], 1e3).violation == pytest.approx(-1e6 / 10, rel=1e-3)

    def wall_between(point):
        way = float(point[0]) - 1
        return np.inf if 1e-5 > abs(way) > 1e-7 else 0.0

    assert judged(Function(wall_between, size=0.0), [1.0], [1e5], 1e5).violation == 0


SLOPE = np.array([2.0, -1.0, 0.0, 0.5])


def directed(falls):
    """psi = 1 falls by 1 a unit in directions of one kind."""

    def at(point):
        way = point - 1.0
        length = float(np.linalg.norm(way))
        return 1.0 - length if length and falls(way / length) else 1.0 + 1e3 * length

    return Function(at)


@pytest.mark.parametrize(
    ("falls", "slope"),
    [
        (lambda d: abs(d @ SLOPE / np.linalg.norm(SLOPE)) < 0.99 and np.abs(d).max() < 0.99, SLOPE),
        (lambda d: d @ SLOPE / np.linalg.norm(SLOPE) > 0.999, SLOPE),
        (lambda d: d @ SLOPE / np.linalg.norm(SLOPE) < -0.999, SLOPE),
        (lambda d: d.max() > 0.999, SLOPE),
        (lambda d: d.min() < -0.999, SLOPE),
        (lambda d: np.abs(d).max() < 0.99, 0 * SLOPE),
        (lambda d: d.max() > 0.999, 0 * SLOPE),
        (lambda d: d.min() < -0.999, 0 * SLOPE),
    ],
    ids=["any", "slope", "against it", "an entry", "down", "any, no slope", "an entry, no slope", "down, no slope"],
)
def test_psi_may_fall_in_one_kind_of_direction_alone(falls, slope):
    """Against the slope it must fall faster than the slope says."""
    found = judged(directed(falls), [1.0] * 4, slope / 1e3)
    assert found.violation > 1
    assert judged(directed(lambda d: False), [1.0] * 4, slope / 1e3).violation <= 1


def test_every_entry_is_moved_by_itself_now_and_then():
    drawn = set()
    for seed in range(30):

        def at(point):
            places = np.flatnonzero(point != 1.0)
            drawn.update(places.tolist() if len(places) == 1 else [])
            return 1.0

        judged(Function(at), [1.0] * 4, [0.0] * 4, seed=seed)
    assert drawn == {0, 1, 2, 3}


def test_ours_are_right():
    w = np.random.default_rng(0).standard_normal((3, 4))
    for step in (1e-6, 0.3, 1e6):
        assert measure("residual-claim", regularizer=L1(0.5), w=w, step=step, seed=0).violation <= 1
