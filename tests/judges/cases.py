"""What the tests of the judges draw, and how they compare numbers."""

from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from ramda_verify.engine.targets import Target
from solvers import L1

#: A problem that a test completes by lam and by what its judge asks.
TWO_BY_TWO = {
    "regularizer": L1(1.0),
    "B": np.array([[2.0, -4.0], [0.0, 1.0]]),
    "D": np.array([[8.0, 2.0], [1.0, 4.0]]),
    "start": np.array([[-0.5, 0.25], [0.0, 2.0]]),
}


def target_of(regularizer: Any) -> Target:
    """A target with this instance alone."""
    return Target("by hand", "regularizer", regularizer, st.just(regularizer), lambda found: [])


def drawn(strategy: SearchStrategy[Any], count: int = 60) -> list[Any]:
    """The first cases that a strategy gives, always the same ones."""
    found: list[Any] = []

    @hypothesis.seed(0)
    @settings(max_examples=count, phases=[Phase.generate], suppress_health_check=list(HealthCheck), database=None)
    @given(strategy)
    def collect(case: Any) -> None:
        found.append(case)

    collect()
    return found


def close(value: Any, rel: float = 1e-6) -> Any:
    """Equal up to a share, however small the number is."""
    return pytest.approx(value, rel=rel, abs=0.0)
