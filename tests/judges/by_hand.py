"""Answers of solvers that are written down, for judges of which the right verdict is known."""

import hypothesis
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

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
