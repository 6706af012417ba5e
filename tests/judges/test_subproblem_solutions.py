"""When a solution is told to be wrong: by an oracle, by another method, by (7b), by what screening calls zero."""

import math
from dataclasses import dataclass
from typing import Any

import cvxpy
import numpy as np
import pytest
import torch

from ramda_verify.checks.subproblem import solutions
from ramda_verify.checks.subproblem.solutions import (
    Unscreened,
    measure_agreement,
    measure_descent,
    measure_norm_equation,
    measure_oracle,
    measure_screening,
    solved,
)
from ramda_verify.engine.property import Inconclusive
from ramda_verify.engine.record import NothingClaimed
from ramda_verify.oracles import cvxpy_models
from ramda_verify.oracles.answer import OracleAnswer
from solvers import L1, MCP, GroupLasso, MetricProx
from solvers.subproblem import Status, Subproblem
from tests.judges.cases import target_of
from tests.judges.solutions import answers, problems_by_hand, solution
from tests.solvers.plug_ins import ConvexL1, PlainL1

TINY = 2.0**-1022
#: lam*psi is the sum of magnitudes, and the solution ((3 - 1)/0.25, (4 - 1)/4) = (8, 3/4), where Q is -9.125.
B, D, LAM, PSI = np.array([3.0, 4.0]), np.array([0.25, 4.0]), 2.0, L1(0.5)
BEST, LOWEST = [8.0, 0.75], -9.125
#: Two more in the second entry raise Q by 1/2*4*2^2.
HIGHER, RISE = [8.0, 2.75], 8.0
#: 1/2 <B, B/D>, what gaps in Q are relative to.
SIZE = 0.5 * (9 / 0.25 + 16 / 4)


@pytest.mark.parametrize("status", Status)
def test_only_convergence_and_rounding_are_right_ends(status, monkeypatch):
    given = {}
    found = solution(BEST, status=status)
    monkeypatch.setattr(solutions, "solve", lambda problem, **options: given.update(options) or found)
    problem = solutions.model(PSI, B, D, LAM)
    if status in (Status.CONVERGED, Status.PRECISION_LIMIT):
        assert solved(problem, "splitting", 0.25, step_rule="global") is found
        assert (given["method"], given["tolerance"], given["step_rule"]) == ("splitting", 0.25, "global")
    else:
        with pytest.raises(ArithmeticError, match=f"splitting: {status.value}"):
            solved(problem, "splitting", 0.25)


@pytest.mark.parametrize(
    ("regularizer", "reason"),
    [(PSI, None), (PlainL1(), "as_cvxpy"), (MCP(1.0), "not convex")],
    ids=["L1", "plain", "MCP"],
)
def test_an_oracle_needs_a_convex_model(regularizer, reason):
    found = solutions._has_model(target_of(regularizer))
    assert found is None if reason is None else reason in found


def test_the_model_may_be_of_one_shape_alone():
    """Of which the oracle is asked."""

    class OfThree(PlainL1):
        shapes = ((3,),)

        def as_cvxpy(self, x):
            assert x.shape == (3,)
            return cvxpy.norm1(x)

    assert solutions._has_model(target_of(OfThree())) is None


@pytest.fixture
def compared(monkeypatch):
    """The measurement of a solution by one method, the others being right, given the point of CVXPY."""

    def measured(point, oracle=BEST, *, accuracy=0.0, objective=None, method=None, b=B, lam=LAM):
        def solve(problem, by, tolerance):
            assert problem.B.tolist() == b.tolist()
            assert tolerance == pytest.approx(1e-11 * b.max())
            wrong = method is None or by == method
            chosen = np.array(point if wrong else oracle)
            q = float(chosen @ (0.5 * D * chosen - b)) + lam * 0.5 * np.abs(chosen).sum()
            return solution(chosen, objective=q if objective is None else objective)

        answer = OracleAnswer(np.array(oracle), -1.0, accuracy, True, "solved")
        monkeypatch.setattr(solutions, "solved", solve)
        monkeypatch.setattr(cvxpy_models, "solve_subproblem", lambda *given: answer)
        return measure_oracle(PSI, b, D, lam)

    return measured


def test_a_gap_in_Q_is_relative_and_less_the_accuracy_of_the_oracle(compared):
    assert compared(BEST).violation == 0
    for accuracy in (0.0, 0.01):
        found = compared(HIGHER, accuracy=accuracy)
        assert found.violation == pytest.approx(RISE / SIZE - accuracy, rel=1e-12)
    assert found.note.startswith("metric_prox: [8.0, 2.75], Q = -1.125; CVXPY [8.0, 0.75], Q = -9.125")


def test_an_oracle_that_is_further_from_the_optimum_than_it_says_decides_nothing(compared):
    """Clarabel at B = 1e5: a gap of 4e-8 where it claims less than 1e-9. Twice what it claims is allowed for."""
    share = RISE / (0.5 * (0.25 * 8.0**2 + 4 * 2.75**2))
    for accuracy in (0.0, 0.49 * share):
        with pytest.raises(Inconclusive, match=r"further from the optimum .* CVXPY \[8.0, 2.75\]"):
            compared(BEST, oracle=HIGHER, accuracy=accuracy)
    assert compared(BEST, oracle=HIGHER, accuracy=0.51 * share).violation == 0


@pytest.mark.parametrize("method", ["metric_prox", "separable", "accelerated", "proximal_gradient"])
def test_a_solution_above_another_one_is_wrong_even_where_the_oracle_is(method, compared):
    """One method alone is at the optimum, the others are where the oracle is."""
    found = compared(BEST, oracle=HIGHER, method=method)
    assert found.violation == pytest.approx(RISE / (0.5 * (0.25 * 8.0**2 + 4 * 2.75**2)), rel=1e-12)
    assert not found.note.startswith(method)


def test_a_point_that_a_constraint_keeps_away_is_the_scale(compared):
    """Where B is small: 1/2 <Z, D*Z> of the oracle."""
    small = np.array([0.3, 0.4])
    found = compared([8.0, 0.75], b=small, objective=1e3, lam=1.0)
    q = 8 * (1 - 0.3) + 0.75 * (1.5 - 0.4) + 0.5 * 8.75
    assert found.violation == pytest.approx((1e3 - q) / (0.5 * (0.25 * 64 + 4 * 0.5625)), rel=1e-12)


@pytest.mark.parametrize("claimed", [LOWEST + 0.5, LOWEST - 0.5, math.nan])
def test_the_Q_that_is_claimed_is_that_of_the_point(claimed, compared):
    expected = math.inf if math.isnan(claimed) else 0.5 / SIZE
    assert compared(BEST, objective=claimed).violation == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("method", ["metric_prox", "separable", "accelerated", "proximal_gradient"])
def test_every_method_is_compared_with_the_oracle(method, compared):
    found = compared(HIGHER, method=method)
    assert found.violation > 0.05
    assert found.note.startswith(method)


@pytest.mark.parametrize("failed", [{"solved": False}, {"point": None}])
def test_an_oracle_that_fails_says_nothing(failed, monkeypatch):
    answer = {"point": np.array(BEST), "objective": -1.0, "accuracy": 0.0, "solved": True, "detail": "it broke"}
    monkeypatch.setattr(cvxpy_models, "solve_subproblem", lambda *given: OracleAnswer(**{**answer, **failed}))
    with pytest.raises(Inconclusive, match="it broke"):
        measure_oracle(PSI, B, D, LAM)


@dataclass(frozen=True)
class Longer(GroupLasso):
    """The direct solution of one problem, told by its B, is off by a share of B and takes more iterations."""

    share: float = 0.0
    iterations: int = 1
    first: float = 3.0

    def metric_prox(self, B, D, lam):
        point = super().metric_prox(B, D, lam).point
        wrong = B[0, 0] == self.first
        count = torch.where(wrong, torch.as_tensor(self.iterations), 3)
        return MetricProx(torch.where(wrong, point + self.share * B, point), count)


#: Three problems of a column, whose norms are 5, 10 and 1.
COLUMNS = np.array([[[3.0], [4.0]], [[-6.0], [8.0]], [[0.0], [1.0]]])


@pytest.mark.parametrize("first", [3.0, -6.0, 0.0])
@pytest.mark.parametrize(("share", "iterations"), [(0.0, 12), (0.25, 12), (0.0, 13), (0.25, 13)])
def test_the_residual_of_a_group_is_relative_to_B_and_found_within_12_iterations(first, share, iterations):
    """At D = 1 the gradient of Q is as far off as the point."""
    psi = Longer(0.25, "input", share=share, iterations=iterations, first=first)
    found = measure_norm_equation(psi, COLUMNS, np.ones_like(COLUMNS), np.full(3, 0.5))
    if iterations > 12:
        assert found.violation == math.inf
        assert "after 13 iterations" in found.note
    else:
        assert found.violation == pytest.approx(share, rel=1e-9, abs=1e-15)
    names = {3.0: "problem 0", -6.0: "problem 1", 0.0: "problem 2"}
    assert (share, iterations) == (0.0, 12) or found.note.startswith(names[first])
    assert found.problems == 3


#: Two problems: of the second, numbers are twice as large. They are solved in the other order.
PAIR = {"B": np.stack([B, 2 * B]), "D": np.stack([D, 2 * D]), "lam": np.array([2.0, 4.0])}


@pytest.mark.parametrize("method", ["separable", "accelerated", "proximal_gradient"])
@pytest.mark.parametrize(("share", "row"), [(0.5, 0), (2.0, 1)])
def test_methods_may_differ_by_what_their_residuals_and_rounding_allow(method, share, row, monkeypatch):
    """By (r + r' + rounding level + twice the error of a prox) / min D; ``row`` is 1 for the first problem."""
    smallest = [0.5, 0.25][row]
    allowed = (1.0 + 0.5 + 0.25 + 2 * 0.125) / smallest

    def solve(problems, by, tolerance, reference=None):
        assert tolerance.tolist() == [1e-10 * 3.0, 1e-10 * 7.0]
        points, wrong = np.array([BEST, BEST]), by == method
        points[row, 1] += share * allowed * wrong
        return answers(points, 1.0 if wrong else 0.5)

    monkeypatch.setattr(
        solutions, "Problems", problems_by_hand(solve, [3.0, 7.0], floors=0.25, prox_error=lambda Z: at(Z, 0.125))
    )
    found = measure_agreement(PSI, **PAIR)
    assert found.violation == pytest.approx(share - 1, rel=1e-12)
    assert found.problems == 2
    assert f": {method} is {share * allowed:.3g} from metric_prox" in found.note
    assert found.note.startswith(["problem 1", "problem 0, by solve"][row])


def at(points, number):
    """The number for each point."""
    return np.full(len(points), number)


#: The slope of the smooth part at HIGHER is (-1, 7), of the size sqrt(50), and the terms of the change from BEST are
#: (0, 6), those of <slope, Z> (8, 19.25), and lam*psi is 10.75 after 8.75.
TERMS = 6 + 8 + 19.25 + 10.75 + 8.75
#: In units of the tolerance: how accurate a prox is, along the slope over max D, and what rounding may do to Q.
ACCURACY = 50**0.5 * 5 / 4
FORGIVEN = ACCURACY + 50**0.5 * 1e3 / 4 + (2e3 + 3e3)
#: The slope at BEST is (-1, -1): the terms of no change from there.
AT_BEST = 8 + 0.75 + 8.75 + 8.75
ONE = {"B": B[None], "D": D[None], "lam": np.array([LAM])}


@pytest.fixture
def descended(monkeypatch):
    """The measurement where every method ends at a point, whatever it starts from, but where ``methods`` say others."""

    def measured(point, reference=BEST, *, methods=None, regularizer=PSI, forgiving=1e-13, iterations=5):
        def solve(problems, by, tolerance, W, **options):
            assert tolerance == 0.0
            assert options == {"max_iterations": iterations, "to_the_end": False}
            found = point(W[-1].tolist(), by) if callable(point) else point
            return answers([found, found])

        def of_Q(*points):
            return at(points[0], (2e3 if len(points) == 2 else 3e3) * forgiving)

        by_hand = problems_by_hand(solve, prox_error=lambda Z: at(Z, 1e3 * forgiving), of_Q=of_Q)
        monkeypatch.setattr(solutions, "Problems", by_hand)
        return measure_descent(regularizer, **ONE, reference=np.array([reference]), iterations=iterations)

    return measured


def test_a_rise_of_Q_is_relative_to_its_terms_and_to_what_rounding_does(descended):
    found = descended(HIGHER)
    assert found.violation == pytest.approx(RISE / (TERMS + FORGIVEN), rel=1e-12)
    assert "metric_prox: Q rose by 8, reported 8" in found.note
    assert descended(BEST, HIGHER).violation <= 0


def test_nothing_is_forgiven_that_rounding_does_not_explain(descended):
    found = descended(HIGHER, forgiving=0.0)
    assert found.violation == pytest.approx(RISE / (TERMS + ACCURACY), rel=1e-12)


@pytest.mark.parametrize(
    ("wrong", "violation"),
    [
        (0.5, 0.5 / (AT_BEST + 2**0.5 * 5 / 4)),
        (-0.5, 0.5 / (AT_BEST + 2**0.5 * 5 / 4)),
        (math.nan, math.inf),
        (2.0**-46, 2.0**-46 / AT_BEST),  # which is within the tolerance, and not looked into
    ],
)
def test_the_change_of_Q_that_is_reported_is_the_right_one(wrong, violation, descended, monkeypatch):
    right = Subproblem.objective_change

    def reported(self, Z, reference):
        change, rounding = right(self, Z, reference)
        return change + wrong, rounding

    monkeypatch.setattr(Subproblem, "objective_change", reported)
    assert descended(BEST, forgiving=0.0).violation == pytest.approx(violation, rel=1e-9, abs=0)


@pytest.mark.parametrize("method", ["metric_prox", "separable", "accelerated", "proximal_gradient"])
@pytest.mark.parametrize("again", [False, True])
def test_every_method_must_descend_from_the_reference_and_from_where_that_led(method, again, descended):
    start = [7.0, 0.75]

    def rises(W, by):
        return HIGHER if by == method and (BEST if again else start) == W else BEST

    found = descended(rises, start)
    assert found.violation > 1e-5
    assert f": {method}: Q rose" in found.note


class Outside(ConvexL1):
    """The sum of magnitudes of what is not negative; not a number at 101."""

    def value(self, w):
        found = torch.where((w >= 0).all(), super().value(w), torch.inf)
        return torch.where((w == 101).any(), torch.nan, found)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("reference", "point", "violation"),
    [
        ([-1.0, 0.75], HIGHER, 0.0),
        ([-1.0, 0.75], [-1.0, 1.75], math.inf),
        (BEST, [-1.0, 0.75], math.inf),
        ([-1.0, 0.75], [101.0, 0.75], math.inf),
        ([-1.0, 0.75], [1e200, 1e200], math.inf),
    ],
)
def test_from_outside_of_a_set_whatever_is_inside_is_a_descent(reference, point, violation, descended):
    """Where the change of Q is a number at all."""
    found = descended(lambda W, by: point if reference == W else W, reference, regularizer=Outside())
    assert found.violation == violation


def test_no_screening_is_left_of_a_regularizer():
    found: Any = Unscreened(PSI)
    assert float(found.value(torch.ones(2))) == 1.0
    assert found.prox(torch.ones(2), 1.0).tolist() == [0.5, 0.5]
    assert found.convex
    assert found.subgradient_residual(torch.ones(1), torch.ones(1), 1.0).tolist() == [1.5]
    assert hasattr(PSI, "zero_mask")
    assert not any(hasattr(found, member) for member in ("zero_mask", "metric_prox", "separable"))
    assert not hasattr(Unscreened(PlainL1()), "convex")


@dataclass(frozen=True)
class Screening(L1):
    """Calls entries of B at the bound zero; in the shape that broadcasts."""

    bound: float = 0.0

    def zero_mask(self, B, lam):
        return B[:1] <= self.bound


@pytest.fixture
def screened(monkeypatch):
    def measured(point, bound=3.0, status=Status.CONVERGED, b=B):
        def solve(problems, by, tolerance, reference, **options):
            assert (by, options) == ("proximal_gradient", {"to_the_end": False})
            assert tolerance.tolist() == [7e-12, 7e-12]
            assert reference.tolist() == [(b / D).tolist()] * 2
            return answers([point, point], status=(Status.CONVERGED, status))

        monkeypatch.setattr(solutions, "Problems", problems_by_hand(solve, 7.0))
        return measure_screening(Screening(0.5, bound=bound), b[None], D[None], np.array([LAM]))

    return measured


def test_what_is_screened_out_is_zero_in_the_solution(screened):
    """Relative to the solution, or to B/D where that is larger."""
    assert screened([0.0, 0.0]).violation == 0
    found = screened([0.5, -6.0])
    assert found.violation == pytest.approx(6 / 12, rel=1e-12)
    assert "[0.5, -6.0]" in found.note
    assert screened([-48.0, 24.0]).violation == 1.0
    assert screened([math.nan, 0.0]).violation == math.inf


def test_screening_of_nothing_claims_nothing(screened):
    with pytest.raises(NothingClaimed):
        screened([1.0, 1.0], bound=2.0)


@pytest.mark.parametrize("status", Status)
def test_screening_is_judged_by_a_solution(status, screened):
    if status in (Status.CONVERGED, Status.PRECISION_LIMIT):
        assert screened([0.0, 0.0], status=status).violation == 0
    else:
        with pytest.raises(Inconclusive):
            screened([0.0, 0.0], status=status)
