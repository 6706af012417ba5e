"""What several checks need: the words for an array, sizes, refusals, and the rivals of a point."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ramda_verify.checks.helpers import (
    comparison_points,
    feasible,
    finite,
    lowest,
    metric_prox,
    needs,
    norm,
    psi_value,
    shown,
    size,
    size_in_metric,
    tensor,
)
from ramda_verify.engine.targets import Target
from ramda_verify.engine.worst import TINY
from solvers import L1
from solvers.regularizers.members import MetricProx


def test_a_tensor_is_new_and_of_the_dtype_that_was_asked_for():
    array = np.array([1.0, 2.0])
    made = tensor(array)
    assert made.dtype == torch.float64
    made[0] = 5.0
    assert array.tolist() == [1.0, 2.0]
    assert tensor(array, torch.float32).dtype == torch.float32


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([[1.0, 2.0], [3.0, 4.5]], "[[1.0, 2.0], [3.0, 4.5]]"),
        (torch.tensor([0.5, -1.0], dtype=torch.bfloat16), "[0.5, -1.0]"),
        (np.arange(12.0), str([float(entry) for entry in range(12)])),
        (np.arange(13.0), "[0, 1, 2, ...] of shape (13,)"),
        (np.full((2, 7), 1 / 3), "[0.333333, 0.333333, 0.333333, ...] of shape (2, 7)"),
        (np.zeros((3, 5)), "[0 everywhere] of shape (3, 5)"),
        (np.eye(1, 20, 7), "[0 everywhere, 1 at 7] of shape (1, 20)"),
        (np.diag([1.0, 2.0, -3.0, 4.0]), "[0 everywhere, 1 at 0, 2 at 5, -3 at 10, 4 at 15] of shape (4, 4)"),
        (np.diag([1.0, 2.0, 3.0, 4.0, 5.0]), "[1, 0, 0, ...] of shape (5, 5)"),
    ],
)
def test_a_small_array_is_shown_in_whole_and_of_a_large_one_its_shape_and_what_is_not_zero(entries, words):
    assert shown(entries if isinstance(entries, torch.Tensor) else np.asarray(entries)) == words


def test_a_size_is_the_largest_magnitude_and_never_zero():
    assert size(np.array([[1.0, -7.0]]), torch.tensor([3.0]), 2.0) == 7.0
    assert size(np.array([1e-5]), -0.25e-5) == 1e-5
    assert size(np.zeros(3)) == size(np.array([]), 0.0) == TINY
    assert math.isnan(size(np.array([1.0, np.nan])))


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_a_norm_neither_vanishes_nor_overflows(scale):
    assert norm(scale * np.array([[3.0, 0.0], [0.0, -4.0]])) == pytest.approx(5 * scale, rel=1e-15)


def test_what_is_not_finite_is_counted():
    assert finite("w", torch.ones(2, 3)).tolist() == np.ones((2, 3)).tolist()
    with pytest.raises(ArithmeticError, match="2 of 6 entries of the answer"):
        finite("the answer", np.array([[1.0, np.nan, 0.0], [np.inf, 2.0, 3.0]]))


class Valued:
    """A psi of a given value, whose prox moves every entry by the step."""

    def __init__(self, value, metric=None):
        self._value, self._metric = value, metric

    def value(self, w):
        return torch.tensor(self._value, dtype=torch.float64)

    def prox(self, w, step):
        return w + step

    def metric_prox(self, B, D, lam):
        return self._metric


@pytest.mark.parametrize("value", [0.0, -5.0, math.inf])
def test_a_psi_may_be_negative_or_infinite(value):
    assert psi_value(Valued(value), np.ones(2)) == value


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_no_psi_is_nan_or_minus_infinity(value):
    with pytest.raises(ArithmeticError, match=rf"value = {value} at \[3.5\]"):
        psi_value(Valued(value), np.array([3.5]))


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (torch.ones(2), None),
        (MetricProx(torch.ones(2), 3), None),
        (torch.ones(2, requires_grad=True), None),
        (torch.ones(1), "shape"),
        (torch.ones(2, 1), "shape"),
        (torch.tensor([1.0, math.nan]), "1 of 2"),
    ],
)
def test_a_metric_prox_has_the_shape_of_B_and_is_finite(returned, message):
    B = np.array([3.0, 4.0])
    if message is None:
        assert metric_prox(Valued(0.0, returned), B, B, 1.0).tolist() == [1.0, 1.0]
    else:
        with pytest.raises(ArithmeticError, match=message):
            metric_prox(Valued(0.0, returned), B, B, 1.0)


@pytest.mark.parametrize(
    ("B", "Z", "expected"),
    [
        ([6.0, 8.0], [0.0, 0.0], 5.0),
        ([6.0, 8.0], [0.0, 2.0], 5.0),
        ([6.0, 8.0], [3.0, 0.0], 6.0),
        ([0.0, 0.0], [0.0, 0.0], 1.0),
        ([0.0, 0.0], [0.25, 0.0], 1.0),
        ([0.0, 0.0], [3.0, 4.0], 10.0),
    ],
)
def test_the_size_in_a_metric_is_that_of_the_free_solution_or_of_a_point_farther_from_zero(B, Z, expected):
    """D = 4: lengths are twice those of Z, and half those of B."""
    found = size_in_metric(np.array(B), np.array([4.0, 4.0]), np.array(Z))
    assert found == pytest.approx(expected, rel=1e-15)


def test_the_lowest_rival_is_found_and_a_nan_counts_as_lowest():
    points = [np.array([value]) for value in (3.0, -1.0, 2.0)]
    point, value = lowest(lambda x: float(x[0]), points)
    assert (point.tolist(), value) == ([-1.0], -1.0)
    point, value = lowest(lambda x: math.nan if x[0] == 2.0 else float(x[0]), points)
    assert point.tolist() == [2.0]
    assert math.isnan(value)


def test_where_psi_is_infinite_the_prox_with_step_one_is_the_start():
    point = np.array([2.0, -3.0])
    assert feasible(Valued(7.0), point) is point
    assert feasible(Valued(math.inf), point).tolist() == [3.0, -2.0]
    with pytest.raises(ArithmeticError):
        feasible(Valued(math.inf), np.array([np.inf]))


def test_a_check_on_members_applies_where_one_of_them_is_offered():
    def target(example):
        return Target("one", "regularizer", example, None, lambda r: [])

    bare = SimpleNamespace(value=None, prox=None)
    assert needs("convex")(target(L1(1.0))) is None
    assert needs("check_shape", "convex")(target(L1(1.0))) is None
    assert needs("convex")(target(bare)) == "the regularizer does not offer convex"
    assert needs("convex", "violation")(target(bare)) == "the regularizer does not offer convex or violation"


W, Z = np.array([[1.0, -2.0, 4.0], [8.0, 16.0, 0.5]]), np.array([[0.5, 0.0, 3.0], [7.0, 10.0, 0.25]])


def differences(point, base):
    """Where two arrays differ."""
    return [tuple(int(i) for i in index) for index in np.argwhere(point != base)]


@pytest.mark.parametrize("seed", range(5))
def test_rivals_of_a_point_are_zero_the_input_multiples_and_what_lies_towards_and_beyond_the_input(seed):
    offered = [point.tolist() for point in comparison_points(W, Z, seed)]
    step = (W - Z) * 0.1
    for rival in (0 * W, W, Z / 2, Z + Z / 2, -Z, Z + step, Z - step):
        assert rival.tolist() in offered


@pytest.mark.parametrize("base", [W, Z], ids=["w", "z"])
@pytest.mark.parametrize("factor", [0.0, 0.9, 1.1])
@pytest.mark.parametrize("axis", [0, 1])
def test_one_slice_of_input_and_answer_is_removed_or_made_smaller_or_larger(base, factor, axis):
    slices = []
    for seed in range(8):
        points = comparison_points(W, Z, seed)
        for place in range(base.shape[axis]):
            rival = base.copy()
            np.moveaxis(rival, axis, 0)[place] *= factor
            slices += [place] if any(np.array_equal(rival, point) for point in points) else []
    assert len(slices) >= 8
    assert set(slices) == set(range(base.shape[axis]))


@pytest.mark.parametrize("base", [W, Z[:, ::2]], ids=["w", "z"])
def test_one_entry_of_input_and_answer_is_removed(base):
    found = set()
    for seed in range(20):
        points = comparison_points(base, 3 * base, seed) + comparison_points(3 * base, base, seed)
        changes = [(differences(point, base), point) for point in points]
        removed = [places[0] for places, point in changes if len(places) == 1 and point[places[0]] == 0]
        assert removed
        found.update(removed)
    assert len(found) >= base.size - 1


def test_neither_input_nor_answer_is_changed():
    w, z = W.copy(), Z.copy()
    comparison_points(w, z, 0)
    assert np.array_equal(w, W)
    assert np.array_equal(z, Z)


def test_about_zero_random_moves_are_of_the_size_of_one():
    """At 1e-308 nothing is told of a psi."""
    zero = np.zeros((2, 3))
    lengths = [norm(point) for point in comparison_points(zero, zero, 0, 200) if point.any()]
    assert len(lengths) > 190  # a few moves are of no entry
    assert 1e-7 < min(lengths) < 1e-4
    assert 1e2 < max(lengths) < 1e4


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_random_moves_are_as_many_as_asked_for_and_of_all_sizes_from_a_millionth_to_a_thousand(scale):
    """Of the larger of input and answer; most are of all entries, some of fewer than half."""
    w, z = scale * np.linspace(-1, 0.5, 400), scale * np.linspace(-0.25, 0.25, 400)
    few, many = (comparison_points(w, z, 0, count) for count in (0, 300))
    assert len(many) - len(few) == 300
    assert len(comparison_points(w, z, 0)) > len(few)
    moves = [(point - z) / scale for point in many[len(few) :]]
    part = [np.count_nonzero(move) / move.size for move in moves]
    lengths = [norm(move) / np.count_nonzero(move) ** 0.5 for move in moves]
    assert 0.9e-6 <= min(lengths) <= 2e-6
    assert 500 <= max(lengths) <= 1.1e3
    whole = [share == 1.0 for share in part]
    assert 0.5 < np.mean(whole) < 0.9
    assert all(0.2 < share < 0.6 for share in part if share < 1)
    assert np.mean([share for share in part if share < 1]) == pytest.approx(0.4, abs=0.05)
    assert len({round(math.log10(length)) for length in lengths}) == 10
    signs = np.sign(np.concatenate([move[move != 0] for move in moves]))
    assert abs(signs.mean()) < 0.05


def test_with_one_seed_the_rivals_are_the_same():
    first, again, other = (comparison_points(W, Z, seed) for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[-1], other[-1])
