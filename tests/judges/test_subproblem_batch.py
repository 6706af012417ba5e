"""What counts as a difference between a batch of solves and its problems one by one."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from ramda_verify import tolerances
from ramda_verify.checks.subproblem import batch
from ramda_verify.checks.subproblem.batch import measure_batch
from solvers import L1
from solvers.subproblem import Status, Subproblem
from tests.judges.cases import drawn, target_of
from tests.judges.solutions import solution
from tests.solvers.plug_ins import ConvexL1, PlainL1

EPS = 2.0**-52


def column(*entries):
    return torch.tensor(entries, dtype=torch.float64)


#: ||B|| = 5 and L = 4; of Z = (1, 1/2), L*||Z|| = 4*sqrt(1.25) and the terms of Q are 6.5, 1 and 5.
PROBLEM = Subproblem(column(3.0, 4.0), column(1.0, 4.0), 0.5, PlainL1())
RIGHT = solution([1.0, 0.5], residual=2.0, objective=-0.25, descent=True, iterations=7)
SCALE = 5 + 4 * 1.25**0.5


def difference(ours, alone=RIGHT, start=None, problem=PROBLEM):
    return batch._difference(problem, ours, alone, start)


def test_equal_solutions_do_not_differ():
    assert difference(RIGHT)[0] == 0
    assert difference(replace(RIGHT, residual=math.inf), replace(RIGHT, residual=math.inf))[0] == 0


@pytest.mark.parametrize(("start", "scale"), [(None, SCALE), (column(0.0, 1.5), SCALE + 4 * 1.5)])
def test_points_differ_relative_to_B_and_to_D_times_point_and_start(start, scale):
    moved = replace(RIGHT, point=RIGHT.point + column(0.0, 0.25))
    violation, words = difference(moved, start=start)
    assert violation == pytest.approx(4 * 0.25 / scale, rel=1e-12)
    assert "[1.0, 0.75]" in words
    assert "[1.0, 0.5]" in words
    apart = replace(RIGHT, residual=3.0)
    assert difference(apart, start=start)[0] == pytest.approx(1 / scale, rel=1e-12)


@pytest.mark.parametrize(
    ("ours", "expected"),
    [
        (2 * (1 + 0.9e-6), 0.0),
        (2 * (1 - 0.9e-6), 0.0),
        (2 * (1 + 1.1e-6), 2.2e-6 / SCALE),
        (2 * (1 - 1.1e-6), 2.2e-6 / SCALE),
        (5.0, 3 / SCALE),
        (0.0, 2 / SCALE),
        (math.nan, math.inf),
        (math.inf, math.inf),
    ],
)
def test_residuals_may_differ_by_a_millionth_of_themselves(ours, expected):
    violation, words = difference(replace(RIGHT, residual=ours))
    assert violation == pytest.approx(expected, rel=1e-6, abs=0)
    assert ("residual" in words) == (expected > 0)


@pytest.mark.parametrize(
    ("B", "Z", "objective", "largest"),
    [
        ((3.0, 4.0), (1.0, 0.5), -0.25, 0.5 * (9 / 1 + 16 / 4)),
        ((0.3, 0.4), (10.0, 2.0), -0.25, 0.5 * (1 * 100 + 4 * 4)),
        ((3.0, 4.0), (3.0, 1.0), -0.25, 3 * 3 + 4 * 1),
        ((3.0, 4.0), (1.0, 0.5), -100.0, 100.0),
    ],
)
def test_objectives_differ_relative_to_the_largest_term(B, Z, objective, largest):
    problem = Subproblem(column(*B), column(1.0, 4.0), 0.5, PlainL1())
    alone = replace(RIGHT, point=column(*Z), objective=objective)
    for ours in (objective + 0.125, objective - 0.125):
        violation, words = difference(replace(alone, objective=ours), alone, problem=problem)
        assert violation == pytest.approx(0.125 / largest, rel=1e-9)
        assert "objective" in words
    assert difference(replace(alone, objective=math.nan), alone, problem=problem)[0] == math.inf


#: 64 roundings of ||B|| + L*||Z||.
UNDECIDED = 64 * EPS * SCALE
OTHERS = [{"status": Status.PRECISION_LIMIT}, {"descent": None}, {"iterations": 8}]


@pytest.mark.parametrize("change", OTHERS, ids=str)
@pytest.mark.parametrize(
    ("ours", "alone", "compared"),
    [
        (0.0, 0.0, False),
        (0.99 * UNDECIDED, 0.99 * UNDECIDED, False),
        (1.01 * UNDECIDED, 1.01 * UNDECIDED, True),
        (1.01 * UNDECIDED, 0.99 * UNDECIDED, True),
        (0.99 * UNDECIDED, 1.01 * UNDECIDED, True),
        (math.nan, 0.0, True),
    ],
)
def test_how_a_solve_ended_is_compared_above_the_level_of_rounding(change, ours, alone, compared):
    violation, words = difference(replace(RIGHT, residual=ours, **change), replace(RIGHT, residual=alone))
    assert (violation == math.inf) == compared
    if not math.isnan(ours):
        assert (next(iter(change)) in words) == compared


@pytest.mark.parametrize(
    ("method", "counted"), [("metric_prox", False), ("separable", False), ("accelerated", True), ("splitting", True)]
)
def test_iterations_of_a_direct_method_are_not_compared(method, counted):
    alone = replace(RIGHT, method=method)
    assert (difference(replace(alone, iterations=8), alone)[0] == math.inf) == counted
    assert difference(replace(alone, status=Status.ITERATION_LIMIT), alone)[0] == math.inf
    assert difference(replace(alone, descent=False), alone)[0] == math.inf


CASE = {
    "B": np.array([[3.0, 4.0], [-6.0, 8.0], [0.5, 0.0]]),
    "D": np.array([[1.0, 4.0], [2.0, 1.0], [1.0, 1.0]]),
    "lam": np.array([0.5, 1.0, 2.0]),
    "reference": np.array([[1.0, -1.0], [0.0, 2.0], [1.0, 0.0]]),
    "tolerance": np.array([0.25, 0.125, 1e-3]),
    "iterations": 20,
}
SIZES = [5.0, 10.0, 0.5]


@pytest.mark.parametrize("referred", [False, True])
@pytest.mark.parametrize("regularizer", [L1(0.3), ConvexL1()])
def test_a_right_batch_passes(regularizer, referred):
    found = measure_batch(regularizer, **CASE, referred=referred)
    assert found.violation <= 1e-15
    assert found.problems == 3


@pytest.mark.parametrize("referred", [False, True])
def test_both_solvers_get_the_same_problem(referred, monkeypatch):
    """Each to its share of ||B||, within the budget, by each method, from the reference where there is one."""
    right, asked = batch.solve, []

    def noted(problem, start, **options):
        asked.append((problem.B.tolist(), start if start is None else start.tolist(), options))
        return right(problem, start, **options)

    monkeypatch.setattr(batch, "solve", noted)
    measure_batch(ConvexL1(), **CASE, referred=referred)
    assert [options["method"] for _, _, options in asked] == ["accelerated"] * 3 + ["proximal_gradient"] * 3
    for place, (B, start, options) in enumerate(asked):
        row = place % 3
        assert CASE["B"][row].tolist() == B
        assert start == (CASE["reference"][row].tolist() if referred else None)
        assert options["tolerance"] == pytest.approx(CASE["tolerance"][row] * SIZES[row], rel=1e-12)
        assert options["max_iterations"] == 20


@pytest.mark.parametrize("name", ["max_iterations", "tolerance", "reference", "method"])
def test_a_batch_that_overlooks_an_argument_is_found(name, monkeypatch):
    """With another budget, a hundredth of the tolerance, at another start, by another method."""
    right = batch.solve_batch

    def wrong(B, D, lam, regularizer, reference, **options):
        if name == "reference":
            reference = torch.zeros_like(B)
        elif name == "method":
            options["method"] = "accelerated"
        else:
            options[name] = 1 if name == "max_iterations" else options[name] / 100
        return right(B, D, lam, regularizer, reference, **options)

    monkeypatch.setattr(batch, "solve_batch", wrong)
    case = {**CASE, "tolerance": CASE["tolerance"] / 100}
    assert measure_batch(ConvexL1(), **case, referred=True).violation > 1e-4


@pytest.mark.parametrize("row", [0, 1, 2])
def test_one_wrong_problem_is_named(row, monkeypatch):
    right = batch.solve_batch

    def wrong(*tensors, **options):
        found = right(*tensors, **options)
        point = found.point.clone()
        point[row] += 1e-3 * (options["method"] == "proximal_gradient")
        return replace(found, point=point)

    monkeypatch.setattr(batch, "solve_batch", wrong)
    measured = measure_batch(ConvexL1(), **CASE, referred=False)
    assert measured.violation > 1e-5
    assert measured.note.startswith(f"problem {row}, proximal_gradient")


def test_a_reference_outside_of_a_set_is_projected(monkeypatch):
    """A descent is compared from a point at which psi is finite."""

    class Nonnegative:
        convex = True

        def value(self, w):
            return torch.where((w >= 0).all(), 0.0, torch.inf).to(w.dtype)

        def prox(self, w, step):
            return w.clamp_min(0)

    right, starts = batch.solve, []

    def noted(problem, start, **options):
        starts.append(start.tolist())
        return right(problem, start, **options)

    monkeypatch.setattr(batch, "solve", noted)
    assert measure_batch(Nonnegative(), **CASE, referred=True).violation <= 1e-15
    assert starts[:3] == [[1.0, 0.0], [0.0, 2.0], [1.0, 0.0]]


#: What the single solve depends on, and by how much of it the batch may be mistaken about where it lies: a millionth of
#: the tolerance, sixteen roundings of lam.
EDGES = [("tolerance", 1e-6), ("lam", 16 * EPS)]


@pytest.mark.parametrize(("of", "share"), EDGES)
@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize(("distance", "excused"), [(1.0, True), (1 + 1 / 20, False)])
def test_a_problem_at_an_edge_may_end_on_either_side_of_it(of, share, side, distance, excused, monkeypatch):
    """The single solve ends otherwise from an edge on that lies so many shares away."""
    one = {name: CASE[name][:1] for name in ("B", "D", "reference", "tolerance")}
    if of == "tolerance":
        one["tolerance"] = np.array([0.2])  # so that the tolerance is 1
    edge = 1 + side * share * distance

    def ends(problem, start, *, tolerance, max_iterations, method):
        number = tolerance if of == "tolerance" else problem.lam
        beyond = number >= edge if side > 0 else number <= edge
        return solution([1.0, 0.5], residual=2.0, iterations=4 if beyond else 5)

    monkeypatch.setattr(batch, "solve", ends)
    ends_beyond = solution([1.0, 0.5], residual=2.0, iterations=4)
    monkeypatch.setattr(batch, "solve_batch", lambda *problems, **options: [ends_beyond])
    measured = measure_batch(PlainL1(), **one, lam=np.array([1.0]), iterations=3, referred=False)
    assert measured.violation == (0 if excused else math.inf)


def test_edges_are_looked_at_from_the_same_start_by_the_same_method(monkeypatch):
    """And where none of them explains the difference, the smallest one is told."""
    seen = []

    def ends(problem, start, **options):
        seen.append((start.tolist(), options["max_iterations"], options["method"]))
        return solution([1.0, 0.5 + options["tolerance"] - 1], residual=2.0)

    one = {name: CASE[name][:1] for name in ("B", "D", "reference")}
    monkeypatch.setattr(batch, "solve", ends)
    monkeypatch.setattr(batch, "solve_batch", lambda *problems, **options: [solution([1.0, 0.75], residual=2.0)])
    measured = measure_batch(
        PlainL1(), **one, lam=np.array([1.0]), tolerance=np.array([0.2]), iterations=3, referred=True
    )
    assert seen == [([1.0, -1.0], 3, "proximal_gradient")] * 5
    start = 4 * 2**0.5
    nearest = 4 * (0.25 - 1e-6) / (5 + 4 * math.hypot(1, 0.5 + 1e-6) + start)
    assert measured.violation == pytest.approx(nearest, rel=1e-9)


@pytest.mark.parametrize(("by", "looked"), [(0.5, False), (2.0, True)])
def test_only_what_exceeds_the_tolerance_is_looked_into(by, looked, monkeypatch):
    solves = []

    def ends(problem, start, **options):
        solves.append(options)
        return solution([1.0, 0.5], residual=2.0)

    moved = by * tolerances.BATCH.value * SCALE / 4
    one = {name: CASE[name][:1] for name in ("B", "D", "reference", "tolerance")}
    monkeypatch.setattr(batch, "solve", ends)
    monkeypatch.setattr(batch, "solve_batch", lambda *_, **options: [solution([1.0, 0.5 + moved], residual=2.0)])
    measured = measure_batch(PlainL1(), **one, lam=np.array([1.0]), iterations=3, referred=False)
    assert measured.violation == pytest.approx(by * tolerances.BATCH.value, rel=1e-3)
    assert (len(solves) > 1) == looked


def test_cases_ask_for_many_tolerances_and_scales(monkeypatch):
    """From 1e-14 to below 1, another one for each problem; and Q times powers of ten, which keeps B/D and lam/D."""
    monkeypatch.setattr(batch, "problem_batches", lambda *instances, **options: st.just(CASE))
    factors = []
    for case in drawn(batch._cases(target_of(L1(0.5))), 20):
        lowest = case["tolerance"][0]
        assert round(math.log10(lowest), 9) in (-3, -12, -14)
        assert case["tolerance"] == pytest.approx([lowest, lowest ** (2 / 3), lowest ** (1 / 3)])
        factor = case["lam"] / CASE["lam"]
        for name in ("B", "D"):
            assert case[name] == pytest.approx(factor[:, None] * CASE[name])
        factors += factor.tolist()
    assert 1e-8 < min(factors) < 1e-6
    assert 1e6 < max(factors) < 1e8
