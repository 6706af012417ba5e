"""How far a direct solution may be from the one in 70 digits."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from ramda_verify.checks.subproblem import high_precision
from ramda_verify.checks.subproblem.high_precision import measure_metric_prox, measure_prox
from ramda_verify.engine.property import Inconclusive
from ramda_verify.oracles import exact
from ramda_verify.oracles.answer import OracleAnswer
from solvers import L1, MCP
from solvers.subproblem import Status
from solvers.subproblem import solve as right_solve
from tests.judges.solutions import solution

W = np.array([3.0, -4.0])
#: The solution of B, D and lam is ((3 - 1)/0.25, (4 - 1)/4).
B, D, LAM, BEST = np.array([3.0, 4.0]), np.array([0.25, 4.0]), 2.0, np.array([8.0, 0.75])


@dataclass(frozen=True)
class Moved(L1):
    """Both members are off in one entry."""

    by: float = 0.0
    metric_by: float = 0.0

    def prox(self, w, step):
        return super().prox(w, step) + torch.tensor([0.0, self.by])

    def metric_prox(self, B, D, lam):
        return super().metric_prox(B, D, lam) + torch.tensor([self.metric_by, 0.0])


@pytest.mark.parametrize("by", [0.0, 0.25, -0.25, 1e-9, math.nan])
def test_a_prox_is_off_relative_to_its_argument(by):
    if math.isnan(by):
        with pytest.raises(ArithmeticError, match="prox"):
            measure_prox(Moved(0.5, by=by), W, 2.0)
    else:
        found = measure_prox(Moved(0.5, by=by), W, 2.0)
        assert found.violation == pytest.approx(abs(by) / 5, rel=1e-6)
        assert found.note.startswith(f"prox: [2.0, {-3.0 + by}], exact [2.0, -3.0]")


@pytest.mark.parametrize("by", [0.0, 0.25, -0.25])
def test_a_metric_prox_is_off_in_the_metric(by, monkeypatch):
    """By sqrt(D) times the error, of ||B/sqrt(D)|| = sqrt(36 + 4); so is what a solver makes of it."""
    monkeypatch.setattr(high_precision, "solve", lambda problem, **options: solution(BEST))
    found = measure_metric_prox(Moved(0.5, metric_by=by), B, D, LAM)
    assert found.violation == pytest.approx(0.5 * abs(by) / 40**0.5, rel=1e-9)
    assert by == 0 or found.note.startswith(f"metric_prox: [{8.0 + by}, 0.75], exact [8.0, 0.75]")
    monkeypatch.setattr(high_precision, "solve", lambda problem, **options: solution([8.0, 0.75 + by]))
    found = measure_metric_prox(L1(0.5), B, D, LAM)
    assert found.violation == pytest.approx(2 * abs(by) / 40**0.5, rel=1e-9)
    assert by == 0 or found.note.startswith(f"solve: [8.0, {0.75 + by}]")


def test_a_solution_that_is_larger_than_B_is_the_scale(monkeypatch):
    """As a constraint may make it."""
    answer = OracleAnswer(np.array([8.0, 4.0]), 0.0, 0.0, True, "70 digits")
    monkeypatch.setattr(exact, "subproblem", lambda *given: answer)
    monkeypatch.setattr(high_precision, "solve", lambda problem, **options: solution([8.0, 4.0]))
    found = measure_metric_prox(L1(0.5), B, D, LAM)
    assert found.violation == pytest.approx(2 * 3.25 / math.hypot(0.5 * 8, 2 * 4), rel=1e-9)


@dataclass(frozen=True)
class MovedMCP(MCP):
    """Not convex; its prox is off in the second entry."""

    by: float = 0.0

    def prox(self, w, step):
        return super().prox(w, step) + torch.tensor([0.0, self.by])


@pytest.mark.parametrize("by", [0.0, 0.5, -0.5])
def test_where_psi_is_not_convex_the_objective_is_higher(by):
    """Beyond gamma*weight, where psi is constant, a move by e costs e^2/2; relative to 1/2||w||^2."""
    found = measure_prox(MovedMCP(0.25, 4.0, by=by), W, 1.0)
    assert found.violation == pytest.approx(0.5 * by**2 / 12.5, rel=1e-9, abs=1e-30)


def test_in_a_metric_too(monkeypatch):
    """By D*e^2/2, of 1/2<B, B/D>; the answer of a nonconvex problem is one of its minimisers."""
    monkeypatch.setattr(high_precision, "solve", lambda problem, **options: solution([12.0, 0.75 + 0.5]))
    best = torch.tensor([12.0, 0.75], dtype=torch.float64)

    class Known(MCP):
        def metric_prox(self, B, D, lam):
            return best.clone()

    found = measure_metric_prox(Known(0.0625, 4.0), np.array([3.0, 3.0]), D, LAM)
    assert found.violation == pytest.approx(0.5 * 4 * 0.25 / (0.5 * (36 + 2.25)), rel=1e-9)
    assert found.note.startswith("solve: [12.0, 1.25]")


@pytest.mark.parametrize("failed", [{"solved": False}, {"point": None}])
def test_an_oracle_that_fails_says_nothing(failed, monkeypatch):
    answer = replace(OracleAnswer(W, 0.0, 0.0, True, "no minimiser"), **failed)
    monkeypatch.setattr(exact, "subproblem", lambda *given: answer)
    with pytest.raises(Inconclusive, match="no minimiser"):
        measure_prox(L1(0.5), W, 2.0)


@pytest.mark.parametrize("status", Status)
def test_only_an_end_in_numbers_that_are_not_finite_is_a_finding(status, monkeypatch):
    """The point says how good it is."""
    asked = {}

    def solve(problem, **options):
        asked.update(options)
        return replace(right_solve(problem, **options), status=status)

    monkeypatch.setattr(high_precision, "solve", solve)
    if status is Status.NON_FINITE:
        with pytest.raises(ArithmeticError, match="solve"):
            measure_metric_prox(L1(0.5), B, D, LAM)
    else:
        assert measure_metric_prox(L1(0.5), B, D, LAM).violation <= 1e-15
    assert asked == {"tolerance": 0.0}
