"""Problems that the checks solve in a batch and, the last of them, alone."""

import numpy as np
import pytest

from ramda_verify.checks.subproblem.batches import Problems
from solvers import NuclearNorm, Subproblem


@pytest.mark.parametrize("factor", [None, 0.25, 1.0, 4.0])
def test_the_last_problem_is_divided_as_the_others_are(factor):
    B = np.broadcast_to(np.random.default_rng(0).standard_normal((3, 2)), (4, 3, 2)).copy()
    D = np.broadcast_to(np.array([[1.0, 9.0], [3.0, 2.0], [5.0, 1.0]]), B.shape).copy()
    problems = Problems.of(NuclearNorm(0.3), B, D, np.full(4, 0.5))
    options = {} if factor is None else {"factor": factor}
    found = problems.solve("proximal_gradient", 1e-30, max_iterations=3, to_the_end=False, **options)
    assert found.residual[:-1] == pytest.approx(found.residual[-1], rel=1e-6, abs=1e-15)
    for point in found.point:
        assert point.numpy() == pytest.approx(found.point[-1].numpy(), rel=1e-9)


@pytest.mark.parametrize(("factor", "divided"), [(0.25, [0.25]), (1.0, []), (4.0, [4.0])])
def test_the_last_problem_is_divided_by_the_library(factor, divided, monkeypatch):
    """The answer is the same; what is checked is that ``divided_by`` gives it."""
    seen, right = [], Subproblem.divided_by

    def noted(self: Subproblem, by: float) -> Subproblem:
        seen.append(by)
        return right(self, by)

    monkeypatch.setattr(Subproblem, "divided_by", noted)
    B = np.ones((4, 3, 2))
    problems = Problems.of(NuclearNorm(0.3), B, B, np.full(4, 0.5))
    problems.solve("proximal_gradient", 1e-9, factor=factor, to_the_end=False)
    assert seen == divided
