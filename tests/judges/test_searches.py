"""What a search gains on an answer, relative to the terms of the objective, and where it has nothing to say."""

import math

import numpy as np
import pytest
import torch

from ramda_verify.checks.regularizer import search
from ramda_verify.checks.regularizer.search import measure_metric_search, measure_prox_search
from ramda_verify.engine.record import NothingClaimed
from ramda_verify.oracles.answer import OracleAnswer
from solvers import L1
from solvers.regularizers.simplex import Simplex
from tests.judges.cases import close
from tests.judges.regularizers import made
from tests.plug_ins.right.own_numbers import LogCosh


@pytest.mark.parametrize(
    ("constant", "step", "gain", "scale"),
    [
        (0.0, 1.0, 4.5, 4.5 + 4.5),
        (7.0, 0.5, 4.5, 4.5 + 7.0 + 4.5),
        (-7.0, 2.0, 4.5, 4.5 + 28.0 + 4.5),
    ],
)
def test_a_gain_is_relative_to_move_psi_and_input(constant, step, gain, scale):
    """psi is constant, and the answer to 3 is 0: the input itself is better by 9/2."""
    found = measure_prox_search(made(lambda w: constant, lambda w, s: 0 * w), np.array([3.0]), step, 0)
    assert found.violation == close(gain / scale, rel=1e-9)
    assert "[3.0]" in found.note
    assert "[0.0]" in found.note


def test_the_scale_counts_the_move_of_the_answer():
    """Of 3 the answer is 5, and the gain 2."""
    found = measure_prox_search(made(prox=lambda w, s: w + 2), np.array([3.0]), 1.0, 0)
    assert found.violation == close(2.0 / (2.0 + 4.5), rel=1e-9)


@pytest.mark.parametrize("step", [1.0, 4.0])
def test_what_rounding_changes_in_a_steep_psi_is_no_gain(step):
    """1 + the root of |w - 1| at 1: eight roundings of w change it by 4e-8, and so much is taken off."""
    steep = made(lambda w: 1.0 + abs(float(w[0]) - 1) ** 0.5)
    found = measure_prox_search(steep, np.ones(1), step, 0).violation
    assert found == close(-step * (8 * 2.0**-52) ** 0.5 / (2 * step + 0.5), rel=0.1)
    metric = made(lambda w: 1.0 + abs(float(w[0]) - 1) ** 0.5, metric_prox=lambda B, D, lam: B / D)
    found = measure_metric_search(metric, np.ones(1), np.ones(1), step, 0).violation
    assert found == close(-step * (8 * 2.0**-52) ** 0.5 / (abs(step - 0.5) + 0.5), rel=0.1)


@pytest.fixture
def free(monkeypatch):
    """L1 with a value and a prox of zero: no point beats the input, but for what L1 is known as."""
    monkeypatch.setattr(L1, "value", lambda self, w: w.new_zeros(()))
    monkeypatch.setattr(L1, "prox", lambda self, w, step: w.clone())
    return L1(1.0)


def test_a_known_psi_is_searched_along_lines_as_well(free):
    """Of 3 at step 2 the answer is 1, of objective 4; the sum is 6 at 3."""
    found = measure_prox_search(free, np.array([3.0]), 2.0, 0)
    assert found.violation == close(2.0 / 4.5, rel=1e-6)
    assert "line searches find" in found.note
    assert "lower by 2 " in found.note


@pytest.mark.parametrize(("entries", "searched"), [(64, True), (65, False)])
def test_large_tensors_are_left_to_the_other_searches(free, entries, searched):
    found = measure_prox_search(free, np.full(entries, 3.0), 1.0, 0)
    assert (found.violation > 0.01) == searched


@pytest.mark.parametrize("solved", [True, False])
def test_what_line_searches_find_counts_where_they_say_that_it_is_the_answer(solved, monkeypatch):
    """Of 3 the answer is 2, of objective 2.5; what is said to be found is lower by 1."""
    answer = OracleAnswer(np.array([2.5]), 1.5, 0.0, solved, "by hand")
    monkeypatch.setattr(search, "naive_prox", lambda w, step, regularizer: answer)
    found = measure_prox_search(L1(1.0), np.array([3.0]), 1.0, 0)
    assert found.violation == close(1.0 / (0.5 + 4.0 + 4.5), rel=1e-9) if solved else found.violation <= 0
    assert ("line searches find [2.5]" in found.note) == solved


def test_a_set_that_is_known_is_searched_as_it_is():
    w = np.array([0.75, 0.5, -1.0])
    assert abs(measure_prox_search(Simplex(1.0), w, 1.0, 0).violation) < 1e-12


def test_a_line_search_counts_the_move_of_the_answer(monkeypatch):
    """Of 3 the answer is 1.5, the objective of the sum is 1.5 + 9/8 there, and 2 + 1/2 at 2."""
    monkeypatch.setattr(L1, "value", lambda self, w: 1e-9 * (w - 1.5).abs().sum() + 9 * (w != 1.5).sum())
    monkeypatch.setattr(L1, "prox", lambda self, w, step: w / 2)
    found = measure_prox_search(L1(1.0), np.array([3.0]), 1.0, 0)
    assert found.violation == close((1.5 + 1.125 - 2.5) / (1.125 + 4.5), rel=1e-6)


@pytest.mark.parametrize(
    ("D", "lam", "Z", "gain", "scale"),
    [
        (4.0, 1.0, 0.0, 2.0, 5.0 + 2.0),
        (4.0, 0.5, 0.0, 2.0, 2.5 + 2.0),
        (4.0, 1.0, 3.0, 8.0, 11.0 + 2.0),
        (0.25, 1.0, 0.0, 32.0, 5.0 + 32.0),
    ],
)
def test_a_gain_in_a_metric_is_relative_to_Q_and_to_that_of_the_free_solution(D, lam, Z, gain, scale):
    """psi is 5, and B is 4: Q falls to -8/D."""
    wrong = made(lambda w: 5.0, metric_prox=lambda B, D, lam: torch.full_like(B, Z))
    found = measure_metric_search(wrong, np.array([4.0]), np.array([D]), lam, 0)
    assert found.violation == close(gain / scale, rel=1e-9)
    assert f"[{Z}]" in found.note
    assert "points tried" in found.note


def test_where_psi_is_infinite_there_is_no_objective():
    nowhere = made(lambda w: math.inf, lambda w, s: w.clone(), metric_prox=lambda B, D, lam: B / D)
    with pytest.raises(NothingClaimed):
        measure_prox_search(nowhere, np.ones(2), 1.0, 0)
    with pytest.raises(NothingClaimed):
        measure_metric_search(nowhere, np.ones(2), np.ones(2), 1.0, 0)


def test_an_answer_that_is_not_finite_is_a_finding():
    with pytest.raises(ArithmeticError):
        measure_prox_search(made(prox=lambda w, s: w * math.nan), np.ones(2), 1.0, 0)


@pytest.mark.parametrize("seed", range(4))
def test_the_rounding_of_a_value_that_cancels_is_no_gain(seed):
    """log cosh 5e-5 is 1e-9, the difference of numbers of size 1."""
    found = measure_prox_search(LogCosh(), np.full((1, 1, 1, 1), -1e-4), 1.0, seed)
    assert found.violation < 0
