"""Jumps and kinks of a prox along a ray: where they are found, and which answers beside them are compared."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from ramda_verify.checks.regularizer.objective import Psi
from ramda_verify.checks.regularizer.prox_rays import Answer, Ray, _compare, _direction, measure_rays
from ramda_verify.engine.record import NothingClaimed
from ramda_verify.engine.worst import Worst
from tests.judges.cases import close
from tests.judges.regularizers import made

#: Ends of one of the intervals into which the ray is cut: four a decade.
LOW, HIGH = 10.0**0.25, 10.0**0.5


def ray_of(function):
    """A ray whose answers are a function of the position."""
    return Ray(lambda t: (np.array([t]), 2.0 * t), lambda w, step: np.atleast_1d(function(float(w[0]))))


def test_an_answer_is_remembered_with_its_input_and_step():
    asked = []

    def tripled(t):
        asked.append(t)
        return 3.0 * t

    ray = ray_of(tripled)
    first, again = ray.at(0.5), ray.at(0.5)
    assert first is again
    assert (first.position, first.w.tolist(), first.step, first.z.tolist()) == (0.5, [0.5], 1.0, [1.5])
    ray.at(0.25)
    assert asked == [0.5, 0.25]


@pytest.mark.parametrize(("low", "high"), [(1.0, 3.0), (0.5, 0.625)])
def test_a_bend_is_how_far_the_middle_is_from_the_mean_of_the_ends_per_unit(low, high):
    assert ray_of(lambda t: t**2).bend(low, high) == close((high - low) / 4)
    assert ray_of(lambda t: 5 - 3 * t).bend(low, high) == 0.0
    assert ray_of(lambda t: np.array([3.0, 4.0]) * (t >= high)).bend(low, high) == close(2.5 / (high - low))


@pytest.mark.parametrize("jump", [2.0, 0.3e-5 * 4, 0.9e5, 1.0, 7.0])
def test_a_jump_is_found_to_the_last_digits(jump):
    found = ray_of(lambda t: -t if t > jump else 0.0).breaks()
    assert found == [close(jump, rel=2e-14)]
    assert found[0] > jump


def test_a_kink_is_found_to_the_last_digits():
    for kink in (2.0, 2.5e-4, 0.04):
        assert ray_of(partial(lambda kink, t: max(t - kink, 0.0), kink)).breaks()[0] == close(kink, rel=1e-12)


def test_four_jumps_are_found():
    jumps = [3e-5, 0.002, 2.0, 300.0]
    found = ray_of(lambda t: sum(jump for jump in jumps if t > jump)).breaks()
    assert sorted(found) == [close(jump, rel=1e-12) for jump in jumps]


def test_the_strongest_bends_are_looked_at_first():
    """Ten kinks, of which the four at 2, 20, 200 and 2000 are a thousand times as sharp."""
    weak, sharp = [3e-5, 3e-4, 0.003, 0.03, 0.3, 2e4], [2.0, 20.0, 200.0, 2000.0]

    def kinks(t):
        return sum(max(t - kink, 0.0) for kink in weak) + 1000 * sum(max(t - kink, 0.0) for kink in sharp)

    found = ray_of(kinks).breaks()
    assert {round(position, 6) for position in found} >= set(sharp)


@pytest.mark.parametrize("function", [lambda t: 2 * t, lambda t: 0.0, lambda t: t**2, lambda t: t / (1 + t)])
def test_a_smooth_prox_has_no_breaks(function):
    assert ray_of(function).breaks() == []


@pytest.mark.parametrize(("share", "found"), [(0.199, 0), (0.201, 1)])
def test_a_kink_is_one_that_keeps_a_fifth_of_the_bend_when_an_interval_has_become_small(share, found):
    """A kink at a third of the interval is as sharp in every half, and a parabola bends half as much in it: after seven
    halvings a 128th. Both begin and end on ends of intervals, where no other one sees them.
    """
    curved = 1.0
    kinked = curved * (share - 1 / 128) / (1 - share)

    def function(t):
        along = min(max((t - LOW) / (HIGH - LOW), 0.0), 1.0)
        return 6 * kinked * max(along - 1 / 3, 0.0) + 4 * curved * along**2

    assert len(ray_of(function).breaks()) == found


def hard(w, threshold):
    """The prox of a count of nonzeros, which jumps at a threshold."""
    return torch.where(w.abs() > threshold, w, 0.0)


def count_with(prox):
    return made(lambda w: (w != 0).sum(), prox)


OFFSETS = [1e-12, 1e-9, 1e-6, 1e-4, 1e-3, 1e-2]


def test_a_jump_in_the_right_place_passes():
    right = count_with(lambda w, step: hard(w, (2 * step) ** 0.5))
    for seed in range(6):
        assert measure_rays(right, np.array([[3.0, -2.0], [0.25, 0.0]]), 0.5, seed).violation < 0.1


@pytest.mark.parametrize("late", [1.00001, 0.99999])
@pytest.mark.parametrize("along", ["the input", "the step"])
def test_a_jump_in_a_wrong_place_fails(late, along):
    """Late at the one step, or at the one input, that the ray leaves as it is, up to roundings."""
    w, step = np.array([2.0]), 0.5

    def prox(x, s):
        moved = abs(s / step - 1) < 1e-9 if along == "the input" else abs(x[0] / w[0] - 1) < 1e-9
        return hard(x, (2 * s) ** 0.5 * (late if moved else 1.0))

    found = measure_rays(count_with(prox), w, step, 0)
    assert found.violation > 100
    assert "is lower" in found.note


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("offset", OFFSETS)
def test_an_error_at_one_distance_of_a_jump_is_seen(offset, sign):
    """On either side of a jump at 1 of the input; a hundredth of its distance is free for where the jump was found."""

    def prox(x, s):
        size = float(x[0])
        wrong = abs(s - 0.5) < 1e-9 and abs(sign * (size - 1) / offset - 1) < 0.01
        return 0.7 * x if wrong else hard(x, (2 * s) ** 0.5)

    assert measure_rays(count_with(prox), np.array([1.0]), 0.5, 0).violation > 100


@pytest.mark.parametrize("position", [1e-5, 10.0**-0.25, 10.0**4.75, 1e5])
def test_an_error_at_a_coarse_position_is_seen(position):
    def prox(x, s):
        wrong = abs(s - 0.5) < 1e-9 and abs(float(x[0]) / position - 1) < 1e-6
        return 0.7 * x if wrong else hard(x, (2 * s) ** 0.5)

    assert measure_rays(count_with(prox), np.array([1.0]), 0.5, 0).violation > 100


def test_answers_next_to_a_jump_are_compared():
    """A prox that is wrong between 1 and the next dozens of numbers, which only the last halvings enter."""

    def prox(x, s):
        size = float(x[0])
        return 0.7 * x if abs(s - 0.5) < 1e-9 and 1 < size < 1 + 2e-14 else hard(x, (2 * s) ** 0.5)

    assert measure_rays(count_with(prox), np.array([1.0]), 0.5, 0).violation > 100


def test_a_ray_needs_a_direction():
    with pytest.raises(NothingClaimed):
        measure_rays(made(), np.zeros((2, 2)), 1.0, 0)


def test_what_is_not_finite_on_a_ray_is_a_finding():
    with pytest.raises(ArithmeticError, match="prox"):
        measure_rays(made(prox=lambda w, step: w * math.nan), np.ones(2), 1.0, 0)


def test_directions_are_the_input_its_entries_and_its_slices_at_the_size_of_one():
    w = np.array([[4.0, 0.0, -2.0], [0.0, 0.0, 1.0]])
    expected = {str((w / 4).tolist())}
    for place in ([0, 0], [0, 2], [1, 2]):
        single = np.zeros_like(w)
        single[tuple(place)] = np.sign(w[tuple(place)])
        expected.add(str(single.tolist()))
    for axis, index in ((0, 0), (0, 1), (1, 0), (1, 2)):
        piece = np.zeros_like(w)
        at = (slice(None),) * axis + (index,)
        piece[at] = w[at] / np.abs(w[at]).max()
        expected.add(str(piece.tolist()))
    found = {str((_direction(w, seed) + 0.0).tolist()) for seed in range(80)}
    assert found == expected


def test_every_answer_is_compared_with_all_others_and_the_worst_is_named():
    """Of |x| at step 1: the prox of 3 is 2, and of 4 it is 3; one that says 2.5 loses to 3."""
    answers = [Answer(w, np.array([w]), 1.0, np.array([z])) for w, z in ((3.0, 2.0), (4.0, 2.5), (5.0, 3.0))]
    psi = Psi(made(lambda w: w.abs().sum(), lambda w, s: w.sign() * (w.abs() - s).clamp_min(0), convex=True), (1,))
    for given, seen in ((answers, True), (answers[:1], False), (answers[1:], True), (answers[::2], False)):
        worst = Worst()
        _compare(given, psi, worst)
        assert worst.seen == len(given)
        assert (worst.violation > 1e6) == seen
        if seen:
            assert all(words in worst.note for words in ("[4.0]", "[2.5]", "[3.0] is lower"))
