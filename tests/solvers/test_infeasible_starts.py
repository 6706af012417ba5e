"""A start outside the set of a constraint is no solution, whatever a regularizer makes of its subgradients there."""

import math

import pytest
import torch

from solvers import Status, Subproblem, solve, solve_batch
from tests.plug_ins.right.sets import NonnegativeSum

METHODS = ["accelerated", "proximal_gradient", "splitting"]


def column(*entries: float) -> torch.Tensor:
    return torch.tensor(entries, dtype=torch.float64)


def test_the_residual_of_a_start_outside_is_zero():
    """Otherwise the tests below show nothing."""
    assert NonnegativeSum().subgradient_residual(column(-1.0), column(-1.0), 1.0).tolist() == [0.0]


@pytest.mark.parametrize("method", METHODS)
def test_a_start_outside_is_left(method):
    subproblem = Subproblem(column(0.0, 4.0), column(1.0, 2.0), 1.0, NonnegativeSum())
    found = solve(subproblem, column(-1.0, 1.5), method=method, tolerance=1e-12)
    assert found.status is Status.CONVERGED
    torch.testing.assert_close(found.point, column(0.0, 1.5), rtol=0, atol=1e-12)


def test_a_start_inside_needs_no_iteration():
    subproblem = Subproblem(column(0.0, 4.0), column(1.0, 2.0), 1.0, NonnegativeSum())
    found = solve(subproblem, column(0.0, 1.5), method="accelerated", tolerance=1e-12)
    assert (found.status, found.iterations) == (Status.CONVERGED, 0)


def test_each_start_of_a_batch_for_itself():
    starts = torch.stack([column(-1.0, 1.5), column(0.0, 1.5)])
    B, D = column(0.0, 4.0).expand(2, 2), column(1.0, 2.0).expand(2, 2)
    found = solve_batch(B, D, 1.0, NonnegativeSum(), starts, method="accelerated", tolerance=1e-12)
    assert found.status == (Status.CONVERGED, Status.CONVERGED)
    torch.testing.assert_close(found.point, column(0.0, 1.5).expand(2, 2), rtol=0, atol=1e-12)
    assert found.iterations.tolist()[0] > 0 == found.iterations.tolist()[1]
    assert not math.isinf(float(found.residual.max()))
