"""Two methods in turn, each played by a list of what its legs return."""

import math
from collections.abc import Sequence

import pytest
import torch

from solvers import L1, Status, Subproblem
from solvers.subproblem.ending import Ending
from solvers.subproblem.relay import in_turn

PROBLEM = Subproblem(torch.ones(2), torch.ones(2), 1.0, L1(1.0))
DONE, SLOW, BROKEN = Status.CONVERGED, Status.ITERATION_LIMIT, Status.NON_FINITE


def relayed(legs: dict[str, Sequence[tuple[Status, int, float]]], budget: int = 100):
    """What the relay returns, and of each leg (method, budget, the first entry of its start, whether it is paced).

    A leg is (status, iterations, residual), the residual inf where it met a NaN; the entries of its point are its
    residual.
    """
    asked, left = [], {name: list(each) for name, each in legs.items()}

    def run_method(name, turn):
        start = None if turn.start is None else float(turn.start[0])
        asked.append((name, turn.budget, start, turn.pace is not None))
        status, iterations, residual = left[name].pop(0)
        return Ending(torch.full((2,), residual), status, iterations, residual, torch.zeros(2))

    found = in_turn(PROBLEM, list(legs), run_method, 1e-9, budget)
    assert not any(left.values()), "a leg was not run"
    return found, asked


def test_the_first_takes_what_is_left_where_both_were_too_slow():
    found, asked = relayed({"fast": [(SLOW, 20, 0.5), (DONE, 30, 0.1)], "sure": [(SLOW, 10, 0.25)]})
    assert asked == [("fast", 100, None, True), ("sure", 80, 0.5, True), ("fast", 70, 0.25, False)]
    assert (found.ending.status, found.ending.iterations, found.ending.residual) == (DONE, 60, 0.1)
    assert [(leg.method, leg.iterations) for leg in found.legs[0]] == [("fast", 20), ("sure", 10), ("fast", 30)]


def test_the_second_takes_it_where_the_first_met_a_nan():
    found, asked = relayed({"fast": [(BROKEN, 20, math.inf)], "sure": [(SLOW, 10, 0.5), (SLOW, 70, 0.25)]})
    assert [(name, budget) for name, budget, *_ in asked] == [("fast", 100), ("sure", 80), ("sure", 70)]
    assert (found.ending.status, found.ending.iterations, found.ending.residual) == (SLOW, 100, 0.25)


def test_nobody_goes_on_where_one_has_ended_or_nothing_is_left():
    assert relayed({"fast": [(DONE, 20, 0.1)], "sure": []})[0].ending.iterations == 20
    found, asked = relayed({"fast": [(SLOW, 20, 0.25)], "sure": [(SLOW, 80, 0.5)]})
    assert len(asked) == 2
    assert (found.ending.status, found.ending.iterations, found.ending.residual) == (SLOW, 100, 0.25)
    assert float(found.ending.point[0]) == 0.25


def test_a_single_method_is_never_cut_short():
    found, asked = relayed({"fast": [(SLOW, 100, 0.5)]})
    assert asked == [("fast", 100, None, False)]
    assert found.ending.status is SLOW


def test_a_nan_after_a_point_is_no_news_of_that_point():
    found, asked = relayed({"fast": [(SLOW, 20, 0.5), (SLOW, 70, 0.4)], "sure": [(BROKEN, 10, math.inf)]})
    assert asked[-1] == ("fast", 70, 0.5, False)
    assert (found.ending.status, found.ending.residual) == (SLOW, 0.4)
    with pytest.raises(AssertionError, match="not run"):
        relayed({"fast": [(DONE, 20, 0.1)], "sure": [(DONE, 10, 0.1)]})
