"""When a certificate is told to be false: no member of dQ, not the shortest one, or small far from the solution."""

import math

import numpy as np
import pytest
import torch

from ramda_verify.checks.subproblem import certificate
from ramda_verify.checks.subproblem.batches import Problems
from ramda_verify.checks.subproblem.certificate import (
    measure_membership,
    measure_minimum_norm,
    measure_soundness,
    member_violation,
)
from ramda_verify.checks.subproblem.rows import comparison_points_of_rows
from solvers import L1
from solvers.subproblem.ending import Iterate
from tests.judges.solutions import problems_by_hand
from tests.solvers.plug_ins import ConvexL1, PlainL1

#: lam*psi is the sum of magnitudes; at Z the gradient of the rest is (-5/2, 0), and the subgradient of Q is (-3/2, 1).
B, D, LAM, PSI = np.array([3.0, 4.0]), np.array([0.25, 4.0]), 2.0, L1(0.5)
Z, GRADIENT, MEMBER = np.array([2.0, 1.0]), np.array([-2.5, 0.0]), np.array([-1.5, 1.0])
#: The solution, and Q there.
BEST, LOWEST = np.array([8.0, 0.75]), -9.125
NOTHING = {"prox_error": 0.0, "edge": 0.0, "terms": 0.0}


def row(array):
    return torch.tensor(np.array(array)[None])


def at(points, number):
    """The number for each point."""
    return np.full(len(points), number)


def as_value_of(regularizer):
    """psi at a point and nothing lower beside it."""
    return lambda points, scale: np.array([LAM * float(regularizer.value(point)) for point in points])


def violation_of(member, came_from=(0.0, 0.0), *, regularizer=PSI, z=Z, b=B, **said):
    by_hand = problems_by_hand(None, **{**NOTHING, "lowest_psi": as_value_of(regularizer), **said})
    problems = by_hand.alone(regularizer, b, D, LAM)
    found, columns = certificate._member_violations(problems, row(z), row(member), row(came_from), 5)
    return float(found[0]), columns


def shares(slope, noise, z=Z, fixed=0.0, lost=0.0):
    """By how much ``|X| >= |Z| + <slope, X - Z>`` fails at each of the points that are compared, less what is lost,
    over the sizes of its terms.
    """
    points = comparison_points_of_rows(row(z + slope / 4), row(z), 5)[:, 0].numpy()
    at_z = np.abs(z).sum()
    found = [
        (at_z + slope @ (x - z) - np.abs(x).sum() - lost)
        / (fixed + at_z + np.abs(x).sum() + noise * np.abs(x - z).sum())
        for x in points
    ]
    return max(found), points[int(np.argmax(found))]


OFF = [np.array([0.5, -0.25]), np.array([-2.5, 0.125]), np.array([0.0, 1.0])]


@pytest.mark.parametrize("off", OFF, ids=str)
@pytest.mark.parametrize(
    ("b", "came_from", "noise"), [((3.0, 4.0), (0.0, 1.0), 8.0), ((3.0, 4.0), (5.0, -1.0), 20.0), ((9.0, 4.0), Z, 9.0)]
)
def test_a_member_that_is_off_fails_the_inequality(off, b, came_from, noise):
    """Where the move counts relative to B, and to max D times the largest entry of Z and of what it came from."""
    gradient = D * Z - np.array(b)
    found, columns = violation_of(gradient + 1.0 + off, came_from, b=np.array(b))
    expected, worst = shares(1.0 + off, noise)
    assert found == pytest.approx(expected, rel=1e-9)
    assert found > 1e-3
    assert columns["X"][0].tolist() == pytest.approx(worst.tolist())
    assert columns["member"][0].tolist() == (gradient + 1.0 + off).tolist()
    assert columns["Z"][0].tolist() == Z.tolist()


def test_a_right_member_holds():
    assert violation_of(MEMBER)[0] <= 0
    assert violation_of([-2.5 + 1 / 4, 1.0], z=[0.0, 1.0], b=np.array([2.5 - 0.25, 4.0]))[0] <= 0


def test_what_rounding_does_is_taken_off():
    """A prox error adds to what moves count, an edge is a share of the slope, and terms and kinks add to the scale."""
    slope = np.array([1.5, 0.75])
    member, came_from = GRADIENT + slope, (5.0, -1.0)
    found = violation_of(member, came_from, prox_error=7e-11)[0]
    assert found == pytest.approx(shares(slope, 20 + 7)[0], rel=1e-9)
    found = violation_of(member, came_from, edge=lambda z: at(z, 1e-3 * float(z.abs().max())))[0]
    assert found == pytest.approx(shares(slope, 20, lost=2 * math.hypot(*slope) * 2e-3)[0], rel=1e-9)
    found = violation_of(member, came_from, terms=lambda z: at(z, 50 * float(z.abs().max())))[0]
    assert found == pytest.approx(shares(slope, 20, fixed=100.0)[0], rel=1e-9)


@pytest.mark.parametrize(("came_from", "size"), [((5.0, -1.0), 12.0), ((0.0, -50.0), 50.0)])
def test_a_kink_counts_sixteen_tolerances(came_from, size):
    """psi may be lower beside Z: within roundings of what it was computed from, the largest being 3/0.25 of B/D."""

    def lower(points, scale):
        assert scale.tolist() == [size]
        return at(points, 3.0 - 1e-10)

    slope = np.array([1.5, 0.75])
    found = violation_of(GRADIENT + slope, came_from, lowest_psi=lower)[0]
    kink = 3.0 - (3.0 - 1e-10)
    expected = shares(slope, max(4 * max(map(abs, came_from)), 8.0), fixed=16e11 * kink)[0]
    assert found == pytest.approx(expected, rel=1e-9)


class Nonnegative(ConvexL1):
    """Half the sum of magnitudes of what is not negative."""

    def value(self, w):
        return torch.where((w >= 0).all(), 0.5 * super().value(w), torch.inf)

    def prox(self, w, step):
        return (w - step / 2).clamp_min(0)


def test_where_psi_is_infinite_there_is_no_inequality():
    """At zero any negative number is a subgradient; outside of the set there is none."""
    with np.errstate(all="ignore"):
        assert violation_of([-7.0, 1.0], regularizer=Nonnegative(), z=[0.0, 1.0])[0] <= 0
        assert violation_of(MEMBER, regularizer=Nonnegative(), z=[-1.0, 1.0])[0] == math.inf
        assert violation_of([math.nan, 0.0])[0] == math.inf


def test_the_violation_of_one_problem_and_its_sentence():
    """Nothing is forgiven a regularizer of ours but a kink by half of 32 roundings of the largest number, 12."""
    off = np.array([0.5, -0.25])
    found, words = member_violation(PSI, B, D, LAM, Z, MEMBER + off, np.zeros(2), 5)
    assert found == pytest.approx(shares(1.0 + off, 8.0, fixed=3.0)[0], rel=1e-2)
    assert words.startswith("fails at X = [")
    assert words.endswith("] for s = [-1.0, 0.75] at Z = [2.0, 1.0]")
    assert member_violation(PSI, B, D, LAM, Z, MEMBER, np.zeros(2), 5)[0] <= 0


#: Two problems, the second with twice the numbers: they have the same subgradients, of which it has twice.
PAIR = {"B": np.stack([B, 2 * B]), "D": np.stack([D, 2 * D]), "lam": np.array([LAM, 2 * LAM])}
START = np.array([[5.0, -1.0], [0.0, 3.0]])


def iterating(iterates, **rounding):
    """Problems whose iterates are ``iterates(method, count)``: points and members, the second problem first."""

    def made(self, method, start, count):
        assert start.tolist() == START[::-1].tolist()
        for number in range(1, count + 1):
            yield Iterate(*(torch.tensor(np.array(found)) for found in iterates(method, number)))

    found = problems_by_hand(None, **rounding)
    found.iterates = made
    return found


@pytest.mark.parametrize("method", ["accelerated", "proximal_gradient"])
@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("second", [True, False])
def test_the_certificate_of_every_iteration_is_looked_at(method, number, second, monkeypatch):
    off = np.array([0.5, -0.25])

    def iterates(by, count):
        wrong = off if (by, count) == (method, number) else 0 * off
        return [Z, Z], [2 * MEMBER + 2 * wrong * second, MEMBER + wrong * (not second)]

    monkeypatch.setattr(certificate, "Problems", iterating(iterates, **NOTHING, lowest_psi=lowest_of_pair))
    found = measure_membership(PSI, **PAIR, start=START, iterations=3, seed=5)
    name = "problem 1" if second else "problem 0, by solve"
    assert found.note.startswith(f"{name}: {method}, iteration {number}: fails at")
    assert found.problems == 2
    assert found.violation == pytest.approx(expected_of_pair(off, second), rel=1e-9)
    assert measure_membership(PSI, **PAIR, start=START, iterations=number - 1 or 2, seed=5).violation <= (
        0 if number > 1 else math.inf
    )


def lowest_of_pair(points, scale):
    return np.array([6.0, 3.0])


def expected_of_pair(off, second):
    """The points of both problems are drawn together; the second came from 3, the first from 5."""
    slopes = torch.tensor(np.stack([1.0 + off * second, 1.0 + off * (not second)]))
    z = torch.tensor(np.stack([Z, Z]))
    drawn_points = comparison_points_of_rows(z + slopes / 4 * 1.0, z, 5).numpy()
    which, factor = (0, 2.0) if second else (1, 1.0)
    noise, slope = factor * 4 * (3 if second else 5), factor * (1.0 + off)
    found = [
        (factor * 3 + slope @ (x - Z) - factor * np.abs(x).sum())
        / (factor * 3 + factor * np.abs(x).sum() + noise * np.abs(x - Z).sum())
        for x in drawn_points[:, which]
    ]
    return max(found)


class Told(PlainL1):
    """Half the sum of magnitudes, with a shortest subgradient that is wrong at one point by ``off``."""

    place, off, jump = Z, np.zeros(2), 0.0

    def value(self, w):
        return 0.5 * super().value(w)

    def prox(self, w, step):
        return super().prox(w, 0.5 * step)

    def subgradient_residual(self, point, gradient, lam):
        there = torch.round(point * 2.0**20) / 2.0**20
        # D is known from the problem: the gradient at the rounded point.
        price = torch.as_tensor(lam * 0.5)
        free = torch.sign(gradient) * (gradient.abs() - price).clamp_min(0)
        found = torch.where(there == 0, free, gradient + price * torch.sign(there))
        found = torch.round(found * 2.0**20) / 2.0**20
        if there.tolist() == list(self.place):
            moved = (point - there).abs().max()
            found = found + torch.tensor(self.off) + self.jump * ((moved > 0) & (moved < 1e-14))
        return found


def told(place=Z, off=(0.0, 0.0), jump=0.0, kind=Told):
    found = kind()
    found.place, found.off, found.jump = place, np.array(off, dtype=float), jump
    return found


@pytest.fixture
def shortest(monkeypatch):
    """The measurement of one problem from a start, whose iterate is Z with a member of a known norm."""

    def measured(regularizer, member=MEMBER, start=(5.0, -1.0)):
        def iterates(method, number):
            assert method == "proximal_gradient"
            return [Z, Z], [member, member]

        def made(self, method, start, count):
            yield from (Iterate(*map(torch.tensor, map(np.array, iterates(method, n)))) for n in range(count))

        of_one = problems_by_hand(None, **NOTHING, lowest_psi=as_value_of(regularizer))
        of_one.iterates = made
        monkeypatch.setattr(certificate, "Problems", of_one)
        problem = {"B": B[None], "D": D[None], "lam": np.array([LAM]), "start": np.array([start])}
        return measure_minimum_norm(regularizer, **problem, iterations=1, seed=5)

    return measured


@pytest.mark.parametrize(("share", "start"), [(0.5, (5.0, -1.0)), (0.25, (5.0, -1.0)), (0.5, (1.0, -1.0))])
def test_no_member_is_shorter_than_the_shortest(share, start, shortest):
    """Relative to ||B||, to D times the point or the start, and to itself."""
    found = shortest(told(), member=share * MEMBER, start=start)
    length = math.hypot(1.5, 1.0)
    scale = 5 + 4 * max(2.0, start[0]) + length
    assert found.violation == pytest.approx((1 - share) * length / scale, rel=1e-9)
    assert f"norm {length:.6g} at Z = [2.0, 1.0], a member of norm {share * length:.6g} exists" in found.note
    assert shortest(told()).violation <= 1e-15


def test_what_a_few_roundings_change_is_not_held_against_it(shortest):
    """Where the norm jumps by 1e-9 as the point moves in its last digits, sixteen tolerances of that are forgiven."""
    jumped = [1.5 - 1e-9, 1.0 + 1e-9]
    change = math.hypot(1.5, 1.0) - math.hypot(*jumped)
    found = shortest(told(jump=1e-9), member=0.5 * MEMBER)
    length = math.hypot(1.5, 1.0)
    assert found.violation == pytest.approx(0.5 * length / (5 + 20 + length + 16e11 * change), rel=1e-3)


class ConvexTold(Told):
    convex = True


#: At the start the gradient is (-7/4, -8) and the shortest subgradient (-3/4, -9); at zero (-2, -3).
PLACES = {"start": (5.0, -1.0), "zero": (0.0, 0.0), "iterate": (2.0, 1.0)}


@pytest.mark.parametrize("place", PLACES)
def test_of_a_convex_psi_it_is_a_member(place, shortest):
    right = shortest(told(kind=ConvexTold))
    assert right.violation <= 1e-12
    off = (0.25, 0.0) if place == "zero" else (0.0, 0.25)
    found = shortest(told(PLACES[place], off=off, kind=ConvexTold), member=100 * MEMBER)
    assert found.violation > 1e-3
    assert f"at Z = {list(PLACES[place])}" in found.note
    assert "fails at X" in found.note
    # Of a psi that is not known to be convex this cannot be asked.
    assert shortest(told(PLACES[place], off=off), member=100 * MEMBER).violation <= 0


class KnownTold(L1):
    """Known to the oracles and not taken for convex; its shortest subgradient is too long or short at one point."""

    convex = False
    place, off, jump = (2.0, 1.0), np.zeros(2), 0.0

    def __init__(self):
        super().__init__(0.5)

    subgradient_residual = Told.subgradient_residual

    def __setattr__(self, name, value):
        object.__setattr__(self, name, value)


@pytest.mark.parametrize(
    ("place", "exact", "size"),
    [("start", (-0.75, -9.0), 20.0), ("zero", (-2.0, -3.0), 20.0), ("iterate", (-1.5, 1.0), 20.0)],
)
@pytest.mark.parametrize("by", [0.5, -0.5])
def test_of_a_known_psi_it_is_as_long_as_recomputed(place, exact, size, by, shortest):
    off = by * np.array(exact)
    found = shortest(told(PLACES[place], off=off, kind=KnownTold), member=100 * MEMBER)
    ours, length = math.hypot(*exact), (1 + by) * math.hypot(*exact)
    assert found.violation == pytest.approx(0.5 * ours / (5 + size + length), rel=1e-9)
    assert f"norm {length:.6g} at Z = {list(PLACES[place])}, recomputed {ours:.6g}" in found.note
    assert shortest(told(kind=KnownTold), member=100 * MEMBER).violation <= 1e-15


def test_a_start_outside_of_a_set_is_projected(monkeypatch):
    """As zero is, where psi is infinite at the point itself."""

    class AboveOne(Told):
        def value(self, w):
            return torch.where((w >= 1).all(), super().value(w), torch.inf)

        def prox(self, w, step):
            return super().prox(w, step).clamp_min(1.0)

        def subgradient_residual(self, point, gradient, lam):
            seen.append(point.tolist())
            return super().subgradient_residual(point, gradient, lam)

    seen: list = []
    problem = {"B": B[None], "D": D[None], "lam": np.array([LAM]), "start": np.array([[5.0, -1.0]])}
    measure_minimum_norm(AboveOne(), **problem, iterations=2, seed=5)
    assert seen[0] == [4.5, 1.0]
    assert [1.0, 1.0] in seen
    assert all(min(point) >= 1 - 1e-15 for point in seen)


def test_the_last_of_three_is_asked_by_itself():
    """And its shortest subgradient is that of its own point."""
    three = {name: np.concatenate([PAIR[name], PAIR[name][:1]]) for name in ("B", "D", "lam")}
    found = measure_minimum_norm(
        PSI, **three, start=np.array([[5.0, -1.0], [1.0, 3.0], [2.0, 0.0]]), iterations=3, seed=1
    )
    assert found.violation <= 1e-15
    assert found.problems == 3


def test_right_solvers_pass():
    """All of it together, by the solvers that there are."""
    case = {"regularizer": PSI, **PAIR, "start": START}
    assert isinstance(certificate.Problems.of(PSI, **PAIR), Problems)
    assert measure_membership(**case, iterations=3, seed=1).violation <= 0
    assert measure_minimum_norm(**case, iterations=3, seed=1).violation <= 1e-15
    assert measure_soundness(**case, tolerance=np.array([1e-3, 0.5]), factor=1e-3).violation <= 0
