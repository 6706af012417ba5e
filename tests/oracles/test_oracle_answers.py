"""The numbers that go with an answer of an oracle."""

import math

import numpy as np
import pytest

from ramda_verify.oracles.answer import OracleAnswer, failure, relative_error
from ramda_verify.oracles.atoms.scalar_minimum import _between


@pytest.mark.parametrize(
    ("error", "objective", "size", "expected"),
    [
        (1e-9, 2.0, 5.0, (5e-10, 2.0)),
        (1e-9, -2.0, 5.0, (5e-10, 2.0)),
        (1.0, 2.0, 5.0, (0.2, 5.0)),  # the objective is no larger than ten errors
        (1.0, 2.0, 0.5, (0.5, 2.0)),
        (1.0, 10.0, 20.0, (0.05, 20.0)),
        (1.0, 10.5, 20.0, (1 / 10.5, 10.5)),
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


def test_a_failure_offers_nothing_and_vouches_for_nothing():
    found = failure("no luck")
    assert (found.point, found.objective, found.solved, found.detail) == (None, None, False, "no luck")
    assert found.accuracy == found.error == math.inf
    assert OracleAnswer(None, 1.0, 0.25, True, "").error == 0.25


@pytest.mark.parametrize(("start", "end"), [(2.0, 4.0), (-0.1, 0.1), (0.0, 1e-9), (-1e12, 5.0)])
def test_places_between_two_ends(start, end):
    shares = np.array([0.25, 0.5, 0.75])
    assert _between(np.array(start), np.array(end), shares) == pytest.approx(np.linspace(start, end, 5)[1:4])
