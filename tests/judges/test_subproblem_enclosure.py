"""Which claims of a solution, and which certificates of float64, contradict what is proved."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ramda_verify.checks.subproblem import enclosure
from ramda_verify.checks.subproblem.enclosure import measure_certificates, measure_solution, rounding, terms, turned
from ramda_verify.engine.record import NothingClaimed
from ramda_verify.oracles import certificate, duality_gap
from ramda_verify.oracles.enclosure import Enclosure, Interval
from ramda_verify.oracles.psi import atoms_of
from solvers import L1, NuclearNorm, SparseGroupLasso
from solvers.subproblem.result import Leg
from tests.judges.solutions import solution
from tests.plug_ins.right.nonconvex_entries import L0

EPS, TINY = 2.0**-52, 2.0**-1022
#: ||B|| = 5, ||D*Z|| = sqrt(0.25^2 + 1^2), max D*||Z|| = 4*sqrt(1.0625).
B, D, Z = np.array([3.0, 4.0]), np.array([0.25, 4.0]), np.array([1.0, 0.25])
BY_ENTRY, BY_LARGEST = math.hypot(0.25, 1.0), 4 * 1.0625**0.5
#: What is proved of a residual of 2 at Z, with room on all sides.
PROVED = Enclosure(
    residual=Interval(2.0, 2.0),
    moved=0.0,
    distance=0.0,
    metric_distance=0.0,
    relative_distance=0.0,
    objective_gap=1.0,
    optimum=Interval(-1e3, 1e3),
    bits=192,
)
RIGHT = solution(Z, residual=2.0, objective=-3.0)
ITERATED = replace(RIGHT, legs=(Leg("splitting", 3),))


class WithoutResidual(list):
    """The atoms of an L1 norm, which know no shortest subgradient for a solver."""

    value, prox = L1(0.5).value, L1(0.5).prox


@pytest.fixture
def judged(monkeypatch):
    """The measurement of a claimed solution, given what is proved."""

    def measured(claimed, proved, *, regularizer=None, b=B, d=D, lam=2.0, dtype="float64"):
        monkeypatch.setattr(enclosure, "solve", lambda problem, **options: claimed)
        monkeypatch.setattr(enclosure, "enclose", lambda *given: proved)
        return measure_solution(regularizer or L1(0.5), b, d, lam, dtype, 1e-6)

    return measured


def unit(largest, eps=EPS):
    return 16 * eps * (5 + largest + 2)


@pytest.mark.parametrize(("claimed", "largest"), [(RIGHT, BY_ENTRY), (ITERATED, BY_LARGEST)])
@pytest.mark.parametrize(("dtype", "eps"), [("float64", EPS), ("float32", 2.0**-23)])
def test_a_proved_residual_may_exceed_the_claimed_one_by_sixteen_roundings(claimed, largest, dtype, eps, judged):
    for roundings in (0.5, 3.0, 1e6):
        above = replace(PROVED, residual=Interval(2.0, 2.0 + roundings * unit(largest, eps)))
        found = judged(claimed, above, dtype=dtype)
        assert found.violation == pytest.approx(roundings, rel=3e-2)
        assert found.enclosed
        assert dtype in found.note


def test_what_moved_the_point_is_forgiven_and_so_is_the_smallest_number(judged):
    moved = replace(PROVED, residual=Interval(2.0, 3.0), moved=0.125)
    assert judged(RIGHT, moved).violation == pytest.approx(1 / (2 * 4 * 0.125), rel=1e-9)
    nothing = replace(RIGHT, point=torch.zeros(2), residual=0.0)
    for dtype, tiny in (("float64", TINY), ("float32", 2.0**-126)):
        least = tiny * (1 + 4) * 2**0.5
        high = replace(PROVED, residual=Interval(0.0, 3 * least))
        assert judged(nothing, high, b=0 * B, dtype=dtype).violation == pytest.approx(3, rel=1e-6)
        away = replace(PROVED, residual=Interval(0.0, 0.0), metric_distance=3 * least)
        assert judged(nothing, away, b=0 * B, dtype=dtype).violation == pytest.approx(3, rel=1e-6)


def test_the_turn_of_singular_vectors_is_forgiven(judged):
    square, claimed = np.diag([3.0, 4.0]), solution(np.diag([1.0, 2.0**-20]), residual=0.0)
    high = replace(PROVED, residual=Interval(0.0, 1e-8))
    turn = 2 * 0.5 * 16 * EPS * 2**20
    found = judged(claimed, high, regularizer=NuclearNorm(0.5), b=square, d=np.ones((2, 2)))
    assert found.violation == pytest.approx(1e-8 / (turn + 16 * EPS * (5 + 1)), rel=1e-9)


def test_a_direct_solution_must_claim_the_shortest_subgradient(judged):
    """One of an iteration need not, nor one whose regularizer does not tell it."""
    below = replace(PROVED, residual=Interval(1.0, 1.5))
    found = judged(RIGHT, below)
    assert found.violation == pytest.approx(0.5 / unit(BY_ENTRY), rel=1e-9)
    assert "not the shortest" in found.note
    assert judged(ITERATED, below).violation < 0
    assert judged(RIGHT, below, regularizer=WithoutResidual(atoms_of(L1(0.5), (2,)))).violation <= 0


def test_the_distance_of_an_iterate_is_what_its_residual_promises(judged):
    """||Z - Z*|| <= residual / min D, whatever is proved in the metric."""
    for excess in (0.5, 4.0):
        far = replace(PROVED, metric_distance=1e9, distance=(2.0 + excess * unit(BY_LARGEST)) / 0.25)
        far = replace(far, residual=Interval(0.0, 0.0))
        assert judged(ITERATED, far).violation == pytest.approx(excess, rel=3e-2)


@pytest.mark.parametrize(("dtype", "eps"), [("float64", EPS), ("float32", 2.0**-23)])
def test_the_distance_of_a_direct_solution_is_that_of_roundings(dtype, eps, judged):
    """In the metric, of B/sqrt(D) and sqrt(D)*Z, whatever the Euclidean distance is."""
    roundings = 16 * eps * (math.hypot(3.0 / 0.5, 4.0 / 2.0) + math.hypot(0.5 * 1.0, 2.0 * 0.25))
    far = replace(PROVED, distance=1e9, metric_distance=3 * roundings)
    assert judged(RIGHT, far, dtype=dtype).violation == pytest.approx(3, rel=1e-9)


def quadratic_terms(lam=2.0):
    """1/2<Z,D*Z> twice, <B,Z> and lam*psi."""
    return 16 * EPS * (0.25 + 0.25 + 3.0 + 1.0 + lam * 0.5 * 1.25)


@pytest.mark.parametrize(("low", "high", "gap"), [(-1.0, 5.0, 1.0), (-9.0, -8.0, 1.0), (-9.0, -8.0, 3.0)])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_claimed_Q_lies_between_what_is_proved(low, high, gap, dtype, judged):
    """Of -3: below -1, or above -8 by more than the gap; in roundings of float64 in either dtype."""
    proved = replace(PROVED, optimum=Interval(low, high), objective_gap=gap)
    outside = low + 3.0 if low > -3 else -3.0 - high - gap
    assert judged(RIGHT, proved, dtype=dtype).violation == pytest.approx(outside / quadratic_terms(), rel=1e-9)


@pytest.mark.parametrize(
    ("claimed", "moved", "violation"),
    [
        (math.inf, 1e-9, 0.0),
        (math.inf, 0.0, math.inf),
        (math.nan, 1e-9, math.inf),
        (math.nan, 0.0, math.inf),
        (-math.inf, 1e-9, math.inf),
    ],
)
def test_Q_may_be_infinite_where_rounding_has_left_the_set(claimed, moved, violation, judged):
    proved = replace(PROVED, moved=moved)
    assert judged(replace(RIGHT, objective=claimed), proved).violation == violation


def test_a_finite_Q_is_judged_where_the_point_was_moved(judged):
    proved = replace(PROVED, moved=1e-9, optimum=Interval(-1.0, 5.0))
    assert judged(RIGHT, proved).violation == pytest.approx(2 / quadratic_terms(), rel=1e-9)


def test_a_point_that_is_not_finite_is_a_finding(judged):
    with pytest.raises(ArithmeticError):
        judged(solution([math.nan, 0.5]), PROVED)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_what_is_solved_is_what_is_proved_of(dtype, monkeypatch):
    """The numbers as the dtype has them, to a share of the largest of B; enclosed at the rounding of the dtype."""
    asked: dict = {}
    told: list = []

    def solve(problem, **options):
        asked.update(options, problem=problem)
        return solution(Z, residual=2.0)

    def enclose(*given):
        told.append(given)
        return PROVED

    monkeypatch.setattr(enclosure, "solve", solve)
    monkeypatch.setattr(enclosure, "enclose", enclose)
    measure_solution(L1(0.5), B / 3, D, 2.0, dtype, 1e-6)
    kind = getattr(torch, dtype)
    assert asked["problem"].B.dtype == asked["problem"].D.dtype == kind
    assert asked["tolerance"] == pytest.approx(1e-6 * 4 / 3)
    point, b, d, lam, _, eps = told[0]
    assert point.tolist() == Z.tolist()
    assert b.tolist() == torch.tensor(B / 3, dtype=kind).double().tolist()
    assert (d.tolist(), lam, eps) == (D.tolist(), 2.0, torch.finfo(kind).eps)


def test_sizes_of_rounding():
    assert rounding(0.5, 1.0, -2.0) == 24.0
    assert rounding(0.5) == 0.0


def test_the_terms_of_Q_are_those_of_its_parts():
    point, linear, metric = np.array([[3.0, -1.0], [4.0, 0.5]]), -np.ones((2, 2)), np.full((2, 2), 2.0)
    linear[0, 1] = 2.0
    regularizer = SparseGroupLasso(reg_weight=0.25, entry_weight=0.5, grouping="input")
    columns = 0.25 * 2**0.5 * (5.0 + 1.25**0.5)
    found = terms(point, linear, metric, 3.0, regularizer)
    assert found == pytest.approx((2 * (9 + 1 + 16 + 0.25), 3 + 2 + 4 + 0.5, 3 * (0.5 * 8.5 + columns)))


def test_singular_vectors_turn_by_a_rounding_over_the_smallest_singular_value():
    """Those that are zero up to rounding do not count: below max(m, n) epsilons of the largest."""
    per_rounding = 2.0 * 0.75 * 16 * EPS
    psi = NuclearNorm(0.75)
    assert turned(np.diag([4.0, 3.0]), 2.0, psi, EPS) == pytest.approx(per_rounding * 5 / 3)
    for shape in ((3, 2), (2, 3)):
        point = np.zeros(shape)
        point[0, 0] = 4.0
        for share, smallest in ((2.5, 4.0), (3.5, 3.5 * EPS * 4)):
            point[1, 1] = share * EPS * 4
            assert turned(point, 2.0, psi, EPS) == pytest.approx(per_rounding * 4 / smallest)
    assert turned(np.zeros((2, 2)), 2.0, psi, EPS) == 0
    assert turned(np.ones((2, 2)), 2.0, L1(0.75), EPS) == 0


def test_enclosable_needs_a_convex_psi_and_flint(monkeypatch):
    atoms = atoms_of(L1(1.0), (2, 2))
    assert enclosure.enclosable(L1(1.0), atoms, (2, 2)) is None
    assert "not known" in enclosure.enclosable(L0(), atoms, (2, 2))
    monkeypatch.setattr(enclosure, "is_there", lambda name: name != "flint")
    assert "python-flint" in enclosure.enclosable(L1(1.0), atoms, (2, 2))


#: The points at which certificates are looked at: the prox of (2, -0.25), zero, and the solution.
POINT = np.array([2.0, -0.25])
PLACES = {"prox": [1.5, 0.0], "zero": [0.0, 0.0], "solution": [(3.0 - 1.0) / 0.25, (4.0 - 1.0) / 4.0]}


@pytest.fixture
def certified(monkeypatch):
    """The measurement where the float64 numbers at one of the places are other ones than at the rest."""

    def measured(place, *, proved=PROVED, elsewhere=2.0, **numbers):
        def at(name, point, default):
            there = point.ravel().tolist() == pytest.approx(PLACES[place])
            return numbers.get(name, default) if there else default

        def stationarity(point, *problem):
            here = point.ravel().tolist()
            assert any(here == pytest.approx(known) for known in PLACES.values())
            return at("residual", point, elsewhere)

        monkeypatch.setattr(certificate, "stationarity", stationarity)
        monkeypatch.setattr(duality_gap, "lower_bound", lambda point, *_: at("lower", point, -1e4))
        monkeypatch.setattr(duality_gap, "subproblem_objective", lambda point, *_: at("upper", point, 1e4))
        monkeypatch.setattr(enclosure, "enclose", lambda *given: proved)
        return measure_certificates(L1(0.5), B, D, 2.0, POINT)

    return measured


def certificate_unit(place, high):
    return 16 * EPS * (5 + math.hypot(*(D * PLACES[place])) + high)


@pytest.mark.parametrize("place", PLACES)
def test_a_residual_outside_of_its_enclosure(place, certified):
    proved = replace(PROVED, residual=Interval(2.0, 3.0))
    found = certified(place, proved=proved, residual=4.0)
    assert found.violation == pytest.approx(1 / certificate_unit(place, 3.0), rel=1e-9)
    assert found.enclosed
    assert certified(place, proved=proved, residual=1.5).violation == pytest.approx(
        0.5 / certificate_unit(place, 3.0), rel=1e-9
    )
    assert certified(place, proved=proved, residual=2.5, elsewhere=2.5).violation < 0
    assert certified(place, proved=proved, residual=math.nan).violation == math.inf
    moved = replace(proved, moved=0.25)
    assert certified(place, proved=moved, residual=4.0).violation == pytest.approx(1 / (2 * 4 * 0.25), rel=1e-9)


def bound_unit(place):
    z = np.array(PLACES[place])
    metric_size = 9 / 0.25 + 16 / 4
    return 16 * EPS * (float(D @ z**2) + float(B @ np.abs(z)) + 2 * 0.5 * float(np.abs(z).sum()) + metric_size)


@pytest.mark.parametrize("place", PLACES)
def test_a_bound_outside_of_its_enclosure(place, certified):
    assert certified(place, lower=1e3 + 4.0).violation == pytest.approx(4 / bound_unit(place), rel=1e-9)
    assert certified(place, upper=-1e3 - 4.0).violation == pytest.approx(4 / bound_unit(place), rel=1e-9)
    assert certified(place).violation == 0
    assert certified(place, lower=math.nan).violation == math.inf
    assert certified(place, upper=math.nan).violation == math.inf


def test_nothing_is_said_of_a_point_outside_of_a_constraint(certified):
    """Though of the points after it."""
    assert certified("prox", residual=math.inf, lower=1e5, upper=-1e5).violation == 0
    assert certified("zero", residual=math.inf).violation == 0
    found = certified("solution", elsewhere=math.inf, residual=3.0)
    assert found.violation == pytest.approx(1 / certificate_unit("solution", 2.0), rel=1e-9)


def test_certificates_of_singular_values_are_forgiven_the_turn(certified, monkeypatch):
    monkeypatch.setattr(certificate, "stationarity", lambda *given: 1e-3)
    proved = replace(PROVED, residual=Interval(0.0, 0.0))
    monkeypatch.setattr(enclosure, "enclose", lambda *given: proved)
    point = np.diag([1.5, 0.5 + 2.0**-30])
    found = measure_certificates(NuclearNorm(0.5), np.diag([3.0, 4.0]), np.ones((2, 2)), 2.0, point)
    # At zero, where no singular vector turns, the rounding is that of B alone.
    assert found.violation == pytest.approx(1e-3 / (16 * EPS * 5), rel=1e-9)
    monkeypatch.setattr(certificate, "stationarity", lambda Z, *_: 1e-3 if 0 < Z[1, 1] < 1e-6 else math.inf)
    found = measure_certificates(NuclearNorm(0.5), np.diag([3.0, 4.0]), np.ones((2, 2)), 2.0, point)
    turn = 2 * 0.5 * 16 * EPS * 2.0**30
    assert found.violation == pytest.approx(1e-3 / (turn + 16 * EPS * 6), rel=1e-6)


def test_the_last_point_is_the_solution_to_rounding(monkeypatch):
    """Of diagonal matrices the nuclear norm is the L1 norm: ((3 - 1)/0.25, (4 - 1)/4)."""
    points: list = []

    def outside(Z, *problem):
        points.append(Z)
        return math.inf

    monkeypatch.setattr(certificate, "stationarity", outside)
    with pytest.raises(NothingClaimed):
        measure_certificates(
            NuclearNorm(0.5), np.diag(B), np.array([[0.25, 1.0], [1.0, 4.0]]), 2.0, np.array([[2.0, 0.0], [0.0, 0.25]])
        )
    assert [point.tolist() for point in points[:2]] == [[[1.5, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]]
    assert points[2] == pytest.approx(np.diag([8.0, 0.75]), abs=1e-13)
