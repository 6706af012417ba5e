"""Runs that get nowhere, and where a splitting goes next: the counters, by sequences written by hand."""

import math

import pytest
import torch

from solvers import L1, GroupLasso, Subproblem
from solvers.subproblem.batch_problem import SubproblemBatch
from solvers.subproblem.extrapolation import Extrapolation
from solvers.subproblem.pace import FIRST_LOOK, Pace, Stagnation

ONE = Subproblem(torch.ones(3), torch.ones(3), 1.0, L1(1.0))


def looked_at(residuals, target: float, budget: int) -> list[int]:
    """The iterations at which a run with these residuals is called hopeless."""
    pace = Pace(ONE, budget)
    return [count for count, residual in enumerate(residuals, 1) if pace.hopeless(count, residual, target)]


@pytest.mark.parametrize("look", [FIRST_LOOK, 2 * FIRST_LOOK, 4 * FIRST_LOOK])
@pytest.mark.parametrize(("over", "hopeless"), [(0.99, False), (1.01, True)])
def test_a_run_is_hopeless_where_its_pace_is_too_slow_for_its_budget(look, over, hopeless):
    """Nothing is gained up to half of a look, and ``fall`` e-folds an iteration after it: at the look the rest of the
    budget, divided by the share that is spent, gains so much; a target below that is out of reach.
    """
    budget, fall = 5 * look, 0.01
    residuals = [math.exp(-fall * max(count - look // 2, 0)) for count in range(1, look + 1)]
    reachable = math.log(residuals[-1]) - fall * (budget - look) * budget / look
    found = looked_at(residuals, math.exp(reachable * over), budget)
    assert (look in found) == hopeless


def test_no_run_is_hopeless_before_the_first_look_or_within_its_tolerance():
    assert looked_at([1.0] * (FIRST_LOOK - 1), 1e-9, 1000) == []
    assert looked_at([1.0] * 3 * FIRST_LOOK, 1e-9, 1000) == [FIRST_LOOK, 2 * FIRST_LOOK]
    assert looked_at([1.0] * FIRST_LOOK, 1.0, 1000) == []
    assert looked_at([0.0] * FIRST_LOOK, 0.0, 1000) == []
    assert looked_at([math.inf] * (FIRST_LOOK - 1) + [0.5], 0.1, FIRST_LOOK) == []
    assert looked_at([math.inf] * FIRST_LOOK, 1.0, 1000) == []  # nothing is known of its pace


def test_a_run_stagnates_where_its_residual_is_not_halved():
    stagnation = Stagnation(ONE, patience=2)
    residuals = {1.0: False, 0.5: False, 0.3: False, 0.25: False, 0.2: False, 0.126: True}
    assert [bool(stagnation.seen(residual, True)) for residual in residuals] == list(residuals.values())


def test_residuals_that_do_not_count_are_not_seen():
    stagnation = Stagnation(ONE, patience=2)
    assert not any(stagnation.seen(residual, False) for residual in (1.0, 1.0, 1.0, 0.1))
    assert [bool(stagnation.seen(residual, True)) for residual in (1.0, 1.0, 1.0)] == [False, False, True]


class Newton:
    """Proposes a step each time that it is asked, and counts how often."""

    def __init__(self) -> None:
        self.asked = 0

    def propose(self, x, prox, member, rho):
        self.asked += 1
        return x

    def forget(self) -> None:
        pass


def test_newton_rests_twice_as_long_each_time_that_its_step_is_not_kept():
    newton, x = Newton(), torch.ones(3)
    extrapolation = Extrapolation(ONE, newton)
    asked = []
    for _ in range(4 + 1 + 2 + 4):
        before = newton.asked
        extrapolation.propose(x, object(), x, x, x)
        asked.append(newton.asked > before)
        if asked[-1]:
            extrapolation.fail(True)
    assert asked == [True, *[False] * 1, True, *[False] * 2, True, *[False] * 4, True]


def test_newton_goes_on_while_its_steps_are_kept():
    newton, x = Newton(), torch.ones(3)
    extrapolation = Extrapolation(ONE, newton)
    for _ in range(4):
        assert extrapolation.propose(x, object(), x, x, x)[1]
        extrapolation.fail(False)
    assert newton.asked == 4


class ByColumn(L1):
    """A psi that couples the entries of a column, with one number for each of them."""

    separable = False

    def blockwise_max(self, D: torch.Tensor) -> torch.Tensor:
        return D.amax(0)


@pytest.mark.parametrize(
    ("rule", "regularizer", "shape"),
    [
        ("global", GroupLasso(1.0, "output"), (4,)),
        ("block", L1(1.0), (4, 2, 3)),
        ("block", GroupLasso(1.0, "output"), (4, 2, 1)),
        ("block", ByColumn(1.0), (4, 1, 3)),
    ],
)
def test_lipschitz_constants_of_a_batch_have_the_shape_that_is_documented(rule, regularizer, shape):
    D = torch.linspace(1, 2, 4 * 2 * 3).reshape(4, 2, 3)
    found = SubproblemBatch(D, D, torch.ones(4), regularizer).step_lipschitz(rule)
    assert found.shape == shape
