"""Answers of solvers that are written down, for judges of which the right verdict is known."""

from types import SimpleNamespace

import hypothesis
import numpy as np
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ramda_verify.checks.subproblem.batches import Answers, Problems
from ramda_verify.engine.targets import Target
from solvers.subproblem import Solution, Status


def solution(point, **fields):
    """A converged solution at this point, but for the fields given."""
    default = {
        "status": Status.CONVERGED,
        "iterations": 1,
        "residual": 0.0,
        "objective": 0.0,
        "tolerance": 0.0,
        "method": "accelerated",
    }
    return Solution(point=torch.as_tensor(point, dtype=torch.float64), **{**default, **fields})


def target_of(regularizer):
    """A target with this instance alone."""
    return Target("by hand", "regularizer", regularizer, st.just(regularizer), lambda found: [])


def drawn(strategy, count=60):
    """The first cases that a strategy gives, always the same ones."""
    found = []

    @hypothesis.seed(0)
    @settings(max_examples=count, phases=[Phase.generate], suppress_health_check=list(HealthCheck), database=None)
    @given(strategy)
    def collect(case):
        found.append(case)

    collect()
    return found


def problems_by_hand(solve, unit=1.0, **rounding):
    """Problems that ``solve(problems, method, tolerance, reference, **options)`` answers; ``rounding`` does to their
    numbers what is said: a number, one for each problem, or a function of points.
    """

    class ByHand(Problems):
        @property
        def rounding(self):
            said = {name: found if callable(found) else self._always(found) for name, found in rounding.items()}
            return SimpleNamespace(unit=self._always(unit)(), **said)

        def _always(self, number):
            return lambda *points: np.broadcast_to(np.array(number, dtype=float), len(self)).copy()

        def solve(self, method, tolerance, reference=None, **options):
            return solve(self, method, tolerance, reference, **options)

    return ByHand


def answers(points, residual=0.0, status=Status.CONVERGED):
    """What solvers say of problems, one row each."""
    found = torch.as_tensor(np.array(points), dtype=torch.float64)
    statuses = (status,) * len(found) if isinstance(status, Status) else tuple(status)
    return Answers(found, np.broadcast_to(residual, len(found)).astype(float), statuses)
