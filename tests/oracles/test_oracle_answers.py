"""The numbers that go with an answer of an oracle."""

import math

import numpy as np
import pytest

from ramda_verify.oracles.answer import OracleAnswer, relative_error
from ramda_verify.oracles.atoms.scalar_minimum import _between


@pytest.mark.parametrize(
    ("error", "objective", "size", "expected"),
    [
        (1e-9, 2.0, 5.0, (5e-10, 2.0)),
        (1e-9, -2.0, 5.0, (5e-10, 2.0)),
        (1.0, 2.0, 5.0, (0.2, 5.0)),  # the objective is no larger than ten errors
        (1.0, 2.0, 0.5, (0.5, 2.0)),
        (0.0, 0.0, 0.0, (0.0, 1.0)),
        (1.0, 0.0, 0.0, (math.inf, 1.0)),
        (1e-9, 0.0, 0.0, (math.inf, 1.0)),
    ],
)
def test_errors_are_relative_to_the_objective_or_the_size_of_the_problem(error, objective, size, expected):
    accuracy, scale = relative_error(error, objective, size)
    assert (accuracy, scale) == (pytest.approx(expected[0]), expected[1])
    if math.isfinite(accuracy):
        assert OracleAnswer(None, objective, accuracy, True, "", scale).error == pytest.approx(error)


@pytest.mark.parametrize(("start", "end"), [(2.0, 4.0), (-0.1, 0.1), (0.0, 1e-9), (-1e12, 5.0)])
def test_places_between_two_ends(start, end):
    shares = np.array([0.25, 0.5, 0.75])
    assert _between(np.array(start), np.array(end), shares) == pytest.approx(np.linspace(start, end, 5)[1:4])
