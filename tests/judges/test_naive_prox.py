"""Line searches find what lies between the samples, at every size, and say where no line leads to the solution."""

import math

import numpy as np
import pytest

from ramda_verify.oracles.atoms import Norm, Scalar, Simplex
from ramda_verify.oracles.atoms.functions import ABS, COUNT
from ramda_verify.oracles.naive_prox import SAMPLES, line_minimum, naive_prox, shortened

ENTRIES = np.arange(3)


@pytest.mark.parametrize("at", [0.0, 1e-9, 0.3, 0.5, 0.999, 1.0])
@pytest.mark.parametrize("steep", [1.0, 50.0])
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-7.0, 3.0)])
def test_a_valley_is_found_on_an_interval(at, steep, low, high):
    """One that is steeper on one side than on the other, to the last digits."""
    bottom = low + at * (high - low)
    for left, right in ((1.0, steep), (steep, 1.0)):

        def valley(x, left=left, right=right):
            return max(left * (bottom - x), right * (x - bottom))

        found = line_minimum(valley, low, high)
        assert found == pytest.approx(bottom, abs=1e-14 * (high - low))


@pytest.mark.parametrize("end", [0.0, 1.0])
def test_an_end_at_which_the_function_jumps_down_is_tried_itself(end):
    assert line_minimum(lambda x: 0.0 if x == end else 1.0 + (x - 0.4) ** 2, 0.0, 1.0) == end


def test_of_equal_halves_the_lower_is_kept():
    """Where a function is the same at both points a minimum lies before the second, as it does after the first."""
    assert line_minimum(lambda x: max(x, 0.2), 0.0, 1.0) <= 0.2
    assert line_minimum(lambda x: max(-x, -0.8), 0.0, 1.0) >= 0.8


@pytest.mark.parametrize("length", [1e-150, 1e-3, 1.0, 1e3, 1e150])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_length_less_its_price(length, share):
    """``cost = price*r`` shortens by the price; also where the square of the length has no float."""
    assert shortened(length, lambda r: share * length * r) == pytest.approx(
        length * (1 - share), rel=0, abs=1e-7 * length
    )
    assert shortened(length, lambda r: 1.5 * length * r) == 0.0
    assert shortened(length, lambda r: length * abs(r)) <= 1e-7 * length


def test_what_has_no_length_is_not_shortened():
    assert shortened(0.0, lambda r: math.nan) == 0.0


def objective_of(function):
    """The cost by which ``cost(r) + 1/2 (r - 1)^2`` is this function of the length."""
    return lambda r: function(r) - 0.5 * (r - 1) ** 2


@pytest.mark.parametrize("place", [0, 1, 20, SAMPLES - 1, SAMPLES])
@pytest.mark.parametrize("side", [-0.9, 0.9])
@pytest.mark.parametrize("better", [0, 1, 2])
def test_a_valley_beside_one_of_the_best_samples_is_found(place, side, better):
    """It is steep on the far side, so that of the samples around it only ``place`` looks good; up to two others do
    better, though nothing beside them does.
    """
    bottom = (place + side) / SAMPLES
    if not 0 <= bottom <= 1:
        return
    others = [10 / SAMPLES, 14 / SAMPLES][:better]

    def function(r):
        if r in others:
            return 0.25 + others.index(r) / 100
        near = abs(r - bottom) * SAMPLES
        towards = (r - bottom) * side < 0
        return min(0.3 * near / 0.9, 1.0) if towards else min(0.9 * near / 0.1, 1.0)

    assert shortened(1.0, objective_of(function)) == pytest.approx(bottom, abs=1e-9)


@pytest.mark.parametrize("step", [0.0, 0.5])
def test_objective_and_accuracy_of_an_answer(step):
    """||z|| of (3, 4) at a step: moved by it along itself."""
    w = np.array([3.0, 0.0, 4.0])
    found = naive_prox(w, step, [Norm(1.0, ENTRIES)])
    assert found.solved
    assert np.abs(found.point - w * (1 - step / 5)).max() <= 1e-6
    assert found.objective == pytest.approx(step * (5 - step) + 0.5 * step**2, rel=1e-12)
    assert found.error == pytest.approx(1e-12 * 12.5)
    assert found.scale == (12.5 if step == 0 else pytest.approx(found.objective))


def test_zero_stays_zero_and_costs_nothing():
    found = naive_prox(np.zeros((2, 2)), 1.0, [Scalar(1.0, np.arange(4), ABS)])
    assert found.point.tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert (found.objective, found.accuracy, found.scale) == (0.0, 0.0, 1.0)


def test_atoms_keep_to_their_entries():
    w = np.array([[3.0, 0.5], [-2.0, 4.0]])
    atoms = [Scalar(1.0, np.array([0, 2]), ABS), Scalar(1.0, np.array([3]), COUNT)]
    found = naive_prox(w, 0.5, atoms)
    assert found.point == pytest.approx(np.array([[2.5, 0.5], [-1.5, 4.0]]), abs=1e-6)
    assert found.objective == pytest.approx(0.5 * (2.5 + 1.5 + 1) + 0.5 * (0.25 + 0.25), rel=1e-12)


@pytest.mark.parametrize(
    ("w", "step", "atoms", "words"),
    [
        ([1.0, math.nan, 0.0], 1.0, [Norm(1.0, ENTRIES)], "finite"),
        ([1.0, -math.inf, 0.0], 1.0, [Norm(1.0, ENTRIES)], "finite"),
        ([1.0, 2.0, 0.0], math.nan, [Norm(1.0, ENTRIES)], "step"),
        ([1.0, 2.0, 0.0], math.inf, [Norm(1.0, ENTRIES)], "step"),
        ([1.0, 2.0, 0.0], -0.5, [Norm(1.0, ENTRIES)], "step"),
        ([1.0, 2.0, 0.0], 1.0, [Norm(1.0, ENTRIES[:2]), Norm(1.0, ENTRIES[1:])], "share entries"),
        ([1.0, 2.0, 0.0], 1.0, [Simplex(ENTRIES, 1.0)], "no line leads"),
    ],
)
def test_what_cannot_be_searched_is_a_failure(w, step, atoms, words):
    found = naive_prox(np.array(w), step, atoms)
    assert (found.solved, found.point, found.objective) == (False, None, None)
    assert words in found.detail
