"""When "auto" is told to choose badly: it is slow, or claims what it does not reach, where one method is fast."""

import math

import numpy as np
import pytest
import torch

from ramda_verify.checks.subproblem import choice
from ramda_verify.checks.subproblem.choice import is_always_fast, measure_choice
from ramda_verify.checks.subproblem.solutions import Unscreened, model
from solvers import L1
from solvers.regularizers.simplex import Simplex
from solvers.subproblem import Status
from solvers.subproblem.result import Leg
from tests.judges.solutions import solution

B, D, LAM = np.array([3.0, 4.0]), np.array([0.25, 4.0]), 2.0
#: 1e-6 of ||B||.
GOAL = 5e-6


def taking(iterations, *, residual=GOAL / 2, tolerance=GOAL, legs=None, method="splitting", **fields):
    own = (Leg("accelerated", iterations - iterations // 2), Leg("splitting", iterations // 2))
    return solution(
        [0.0, 0.0],
        iterations=iterations,
        residual=residual,
        tolerance=tolerance,
        method=method,
        legs=own if legs is None else legs,
        **fields,
    )


MISSED = {"residual": 2 * GOAL, "status": Status.ITERATION_LIMIT}


@pytest.fixture
def chosen(monkeypatch):
    """The measurement, given what the two methods and "auto" answer, alone and in a batch."""

    def measured(splitting, accelerated, alone, batch=None, *, always_fast=True):
        answers = {"splitting": splitting, "accelerated": accelerated, "auto": alone}

        def solve(problem, *, tolerance, max_iterations, method="auto"):
            assert isinstance(problem.regularizer, Unscreened)
            assert tolerance == pytest.approx(GOAL, rel=1e-12)
            assert max_iterations == 1000
            return answers[method]

        def solve_batch(b, d, lam, regularizer, *, tolerance, max_iterations):
            assert b.tolist() == [B.tolist()] * 3
            assert d.tolist() == [D.tolist(), D.tolist(), [1.0, 1.0]]
            assert (lam, max_iterations) == (LAM, 1000)
            assert tolerance == pytest.approx(GOAL, rel=1e-12)
            return [alone if batch is None else batch, taking(999, **MISSED), taking(999, **MISSED)]

        def fast(problem, method, goal):
            quicker = min(("splitting", "accelerated"), key=lambda name: answers[name].iterations)
            assert (method, goal) == (quicker, pytest.approx(GOAL))
            return always_fast

        monkeypatch.setattr(choice, "solve", solve)
        monkeypatch.setattr(choice, "solve_batch", solve_batch)
        monkeypatch.setattr(choice, "is_always_fast", fast)
        return measure_choice(L1(0.5), B, D, LAM)

    return measured


@pytest.mark.parametrize(
    ("fastest", "iterations", "violation"),
    [
        (1, 4 + 256, 0.0),
        (1, 4 + 257, math.inf),
        (10, 40 + 256, 0.0),
        (10, 40 + 257, math.inf),
        (333, 1000, 0.0),
        (333, 1001, math.inf),
        (334, 1001, 0.0),
    ],
)
@pytest.mark.parametrize("splitting", [True, False])
def test_four_times_the_iterations_of_the_fastest_and_256_more(fastest, iterations, violation, splitting, chosen):
    """And no more than the budget; of a method that takes more than a third of it nothing follows."""
    slow = taking(900)
    pair = (taking(fastest), slow) if splitting else (slow, taking(fastest))
    found = chosen(*pair, taking(iterations))
    assert found.violation == violation
    if violation:
        assert found.note.startswith("solve: CONVERGED after (Leg(")
        assert f"{'splitting' if splitting else 'accelerated'} alone takes {fastest}" in found.note


def test_the_batch_is_held_to_the_same(chosen):
    found = chosen(taking(10), taking(20), taking(20), taking(300))
    assert found.violation == math.inf
    assert found.note.startswith("solve_batch: CONVERGED")
    assert chosen(taking(10), taking(20), taking(300), taking(20)).note.startswith("solve: CONVERGED")


def test_nothing_is_asked_where_no_single_method_meets_the_tolerance(chosen):
    assert chosen(taking(9, **MISSED), taking(9, **MISSED), taking(1000, **MISSED)).violation == 0
    assert chosen(taking(9, **MISSED), taking(400), taking(1000, **MISSED)).violation == 0
    assert chosen(taking(400), taking(9), taking(1000, **MISSED)).violation == math.inf


@pytest.mark.parametrize("of", [0, 1])
def test_a_residual_of_a_method_that_is_no_number(of, chosen):
    pair = [taking(9), taking(9)]
    pair[of] = taking(9, residual=math.nan)
    found = chosen(*pair, taking(9))
    assert found.violation == math.inf
    assert "nan" in found.note


@pytest.mark.parametrize(
    ("alone", "excused"),
    [
        (taking(900), True),
        (taking(1000, **MISSED), True),
        (taking(20, residual=2 * GOAL, status=Status.PRECISION_LIMIT), False),
        (taking(20, residual=2 * GOAL, tolerance=3 * GOAL), False),
        (taking(20, residual=math.nan), False),
        (taking(20, residual=GOAL / 2, tolerance=GOAL / 3, status=Status.NON_FINITE), False),
    ],
    ids=["slow", "limit", "rounding", "looser", "nan", "non finite"],
)
def test_only_what_is_slow_is_excused_where_the_method_is_fast_by_chance(alone, excused, chosen):
    assert chosen(taking(9), taking(99), alone, always_fast=True).violation == math.inf
    assert chosen(taking(9), taking(99), alone, always_fast=False).violation == (0 if excused else math.inf)


@pytest.mark.parametrize(
    ("alone", "violation"),
    [
        (taking(20, legs=(Leg("splitting", 20),)), 0.0),
        (taking(20, legs=()), 0.0),
        (taking(20, legs=(Leg("splitting", 19),)), math.inf),
        (taking(20, legs=(Leg("splitting", 21),)), math.inf),
        (taking(20, legs=(Leg("splitting", 10), Leg("accelerated", 10))), math.inf),
        (taking(20, legs=(Leg("splitting", 10), Leg("accelerated", 10)), method="accelerated"), 0.0),
        (taking(0, legs=(), method="metric_prox"), 0.0),
    ],
    ids=str,
)
def test_the_legs_of_a_solve_are_what_it_took(alone, violation, chosen):
    found = chosen(taking(9), taking(99), alone)
    assert found.violation == violation
    assert violation == 0 or "iterations by" in found.note


def test_a_goal_is_relative_to_what_a_constraint_keeps_away(monkeypatch):
    """Of the simplex, whose least point is (1/2, 1/2): D*Z has the size 4/sqrt(2) also where B is small."""
    goals = []

    def solve(problem, *, tolerance, **options):
        goals.append(tolerance)
        return taking(900)

    monkeypatch.setattr(choice, "solve", solve)
    for b, size in ((0.0, 4 * 0.5**0.5), (1.0, 5.0)):
        measure_choice(Simplex(1.0), b * B, D, LAM)
        assert goals[-1] == pytest.approx(1e-6 * size, rel=1e-9)


def test_a_method_is_fast_where_it_is_wherever_the_last_digits_lie(monkeypatch):
    """Of B: within a few 1e-13 of it, each time elsewhere, within a third of the budget."""
    tried, problem = [], model(L1(0.5), np.linspace(1, 2, 90), np.ones(90), LAM)

    def solve(moved, *, tolerance, max_iterations, method):
        assert (tolerance, max_iterations, method) == (GOAL, 333, "splitting")
        assert moved.D is problem.D
        tried.append(moved.B)
        return taking(9, **(MISSED if len(tried) == slow else {}))

    monkeypatch.setattr(choice, "solve", solve)
    for slow, fast in ((0, True), (1, False), (5, False)):
        tried.clear()
        assert is_always_fast(problem, "splitting", GOAL) is fast
        moves = torch.stack(tried) / problem.B - 1
        assert 1e-14 < float(moves.abs().max()) < 1e-12
        assert len({tuple(move) for move in moves.tolist()}) == len(tried) >= (slow or 5)


def test_right_solvers_choose_well():
    assert measure_choice(L1(0.5), B, D, LAM).violation == 0
