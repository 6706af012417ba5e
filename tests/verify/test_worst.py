"""The helper through which every violation goes: a NaN is infinite wherever it stands among numbers."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from experiments.bench.residual import nuclear_residual
from ramda_verify.checks.helpers import feasible, finite, lowest, psi_value, size
from ramda_verify.checks.subproblem.batches import Problems, WorstProblem, feasible_rows
from ramda_verify.checks.subproblem.rows import sizes
from ramda_verify.engine.record import Measurement, NothingClaimed
from ramda_verify.engine.worst import TINY, Worst, infinite_if_nan, largest, relative
from ramda_verify.oracles.certificate import stationarity
from solvers import L1
from tests.registry import weighted

NUMBERS = st.floats(allow_nan=False)
ORDERS = [list(order) for order in itertools.permutations([math.nan, 0.5, 2.0])]


class Psi:
    """|w|, with another value or prox at will."""

    def __init__(self, value=None, prox=None):
        self._value, self._prox = value, prox

    def value(self, w):
        return w.abs().sum() if self._value is None else torch.tensor(self._value, dtype=w.dtype)

    def prox(self, w, step):
        return w if self._prox is None else torch.full_like(w, self._prox)


@given(st.lists(NUMBERS, max_size=5), st.lists(NUMBERS, max_size=5))
def test_nan_among_numbers_is_the_largest(before, after):
    values = [*before, math.nan, *after]
    assert largest(values) == math.inf
    worst = Worst()
    for place, value in enumerate(values):
        worst.see(value, str(place))
    assert worst.violation == math.inf
    # The first infinity is the one that is explained.
    first = next(place for place, value in enumerate(values) if not value < math.inf)
    assert worst.note == str(first)


@given(st.lists(NUMBERS, min_size=1, max_size=6))
def test_without_nan_it_is_the_maximum(values):
    assert largest(values) == max(values)
    worst = Worst()
    for value in values:
        worst.see(value)
    assert worst.violation == max(values)
    assert worst.seen == len(values)


def test_worst_of_nothing_is_no_evidence():
    with pytest.raises(NothingClaimed):
        Worst().measurement()
    with pytest.raises(ValueError, match="zero-size"):
        largest([])


def test_measurement_has_no_nan():
    assert Measurement(math.nan, "why").violation == math.inf
    assert Measurement(np.float64("nan")) == Measurement(math.inf)
    assert Measurement(-math.inf).violation == -math.inf
    assert type(Measurement(np.float64(1.0)).violation) is float


@pytest.mark.parametrize(
    ("excess", "scale", "expected"),
    [
        (1.0, 2.0, 0.5),
        (-1.0, 2.0, -0.5),
        (0.0, 0.0, 0.0),
        (TINY, 0.0, 1.0),
        (math.nan, 1.0, math.inf),
        (1.0, math.nan, math.inf),
        (1.0, math.inf, math.inf),
        (0.0, math.inf, math.inf),
        (-math.inf, math.inf, math.inf),
        (math.inf, 1.0, math.inf),
        (-math.inf, 1.0, -math.inf),
    ],
)
def test_relative(excess, scale, expected):
    assert relative(excess, scale) == expected
    assert relative(np.array([excess, 3.0]), np.array([scale, 2.0])).tolist() == [expected, 1.5]


def test_relative_of_an_array_to_a_number():
    assert relative(np.array([1.0, math.nan]), 2.0).tolist() == [0.5, math.inf]
    assert infinite_if_nan(np.array([[math.nan, -1.0]])).tolist() == [[math.inf, -1.0]]


def test_sizes_of_nan_are_nan():
    assert math.isnan(size(1.0, math.nan))
    assert math.isnan(size(math.nan, 1.0))
    assert math.isnan(size(np.array([1.0, math.nan]), 3.0))
    assert size() == size(0.0) == TINY
    assert np.isnan(sizes(torch.tensor([[1.0], [math.nan]]), torch.ones(2, 1))).tolist() == [False, True]


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_rival_with_nan_is_the_lowest(order):
    point, value = lowest(lambda x: float(x[0]), [np.array([v]) for v in order])
    assert math.isnan(value)
    assert math.isnan(point[0])
    assert lowest(lambda x: float(x[0]), [np.array([v]) for v in (math.inf, 1.0, 2.0)])[1] == 1.0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.bool, torch.int64])
def test_finite(dtype):
    good = torch.ones(2, 3, dtype=dtype)
    assert finite("it", good) is good
    if dtype.is_floating_point:
        for wrong in (math.nan, math.inf, -math.inf):
            good[1, 2] = wrong
            with pytest.raises(ArithmeticError, match="1 of 6 entries of it"):
                finite("it", good)


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_value_that_no_psi_has(value):
    with pytest.raises(ArithmeticError, match=f"value = {value}"):
        psi_value(Psi(value), np.zeros(2))
    with pytest.raises(ArithmeticError, match=f"value = {value}"):
        feasible(Psi(value), np.zeros(2))
    with pytest.raises(ArithmeticError, match="psi at the start"):
        feasible_rows(Psi(value), torch.zeros(3, 2, dtype=torch.float64))


def test_infinite_value_is_a_constraint():
    outside = Psi(math.inf, prox=0.5)
    assert psi_value(outside, np.zeros(2)) == math.inf
    assert feasible(outside, np.zeros(2)).tolist() == [0.5, 0.5]
    assert feasible_rows(outside, torch.zeros(1, 2, dtype=torch.float64)).tolist() == [[0.5, 0.5]]
    for rows in (feasible, lambda psi, point: feasible_rows(psi, torch.as_tensor(point[None]))):
        with pytest.raises(ArithmeticError, match="prox"):
            rows(Psi(math.inf, prox=math.nan), np.zeros(2))


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_problem_with_nan_is_the_worst(order):
    """Within one look and over several, at every place."""
    B = np.ones((3, 2))
    problems = Problems.of(L1(1.0), B, B, np.ones(3))
    at_once, one_by_one = WorstProblem(problems), WorstProblem(problems)
    at_once.see(np.array(order), "it is {x}", x=np.array(order))
    for value in order:
        one_by_one.see(np.array([0.0, value, 0.0]), "it is {x}", x=np.array([0.0, value, 0.0]))
    for worst in (at_once, one_by_one):
        found = worst.measurement(1)
        assert found.violation == math.inf
        assert "it is nan" in found.note
        assert found.problems == 3


@pytest.mark.parametrize("regularizer", weighted(0.3, "convex"), ids=repr)
@pytest.mark.parametrize("place", [(0, 0), (1, 1)])
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_oracles_take_no_such_point_for_stationary(regularizer, place, wrong):
    point, ones = np.zeros((2, 2)), np.ones((2, 2))
    point[place] = wrong
    assert not stationarity(point, 0.1 * ones, ones, 1.0, regularizer) < math.inf
    assert not nuclear_residual(torch.tensor(point), torch.tensor(ones), torch.tensor(ones), 1.0) < math.inf


def test_of_equal_violations_the_first_is_explained_and_only_what_is_kept_is_written():
    written: list[str] = []

    def note(text):
        def writes():
            written.append(text)
            return text

        return writes

    worst = Worst()
    for violation, text in ((-2.0, "first"), (-2.0, "as large"), (-3.0, "smaller"), (-1.0, "larger")):
        worst.see(violation, note(text))
    assert worst.measurement() == Measurement(-1.0, "larger", problems=1)
    assert worst.measurement(5).problems == 5
    assert written == ["first", "larger"]


def test_a_violation_of_minus_infinity_is_evidence_too():
    worst = Worst()
    worst.see(-math.inf)
    assert worst.measurement() == Measurement(-math.inf, "")


def test_numbers_of_all_kinds_become_floats():
    assert type(infinite_if_nan(3)) is float
    assert infinite_if_nan(np.float64("nan")) == math.inf
    assert infinite_if_nan(np.array(2)) == 2.0
    assert type(infinite_if_nan(np.array(math.nan))) is float
    assert type(relative(np.float64(1.0), np.float64(4.0))) is float
