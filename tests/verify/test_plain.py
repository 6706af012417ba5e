"""Counterexamples are made plain: what is left of a case is what the failure needs."""

import math

import numpy as np
import pytest

from ramda_verify.engine import plain
from ramda_verify.engine.plain import plainest
from ramda_verify.engine.record import Measurement

#: More cases than any of these tests needs: one that tries so many goes on for ever.
MOST = 1500


def made_plain(case, fails, seconds=60.0):
    """The plainest case for which ``fails`` holds, and what is measured of it."""

    def failure(candidate):
        tried.append(candidate)
        assert len(tried) < MOST
        return Measurement(float(len(tried)), "") if fails(candidate) else None

    tried: list = []
    return plainest(case, Measurement(0.0, ""), failure, seconds=seconds)


def matrix(shape=(6, 5), **entries):
    found = np.random.default_rng(0).uniform(-0.9, 0.9, shape)
    for place, value in entries.items():
        found.flat[int(place.removeprefix("at"))] = value
    return found


@pytest.mark.parametrize("place", [0, 7, 13, 29])
@pytest.mark.parametrize(("value", "left"), [(3.7134, 4.0), (3.4499, 3.4), (-41.77, -40.0), (1e300, 1e300)])
def test_one_entry_is_left_of_a_matrix(place, value, left):
    """The plainest number of one or two digits that is still beyond the bound."""
    case = {"w": matrix(**{f"at{place}": value})}
    bound = 3.3 if value > 0 else 39.0
    found, _ = made_plain(case, lambda c: c["w"].size and np.abs(c["w"]).max() > bound)
    assert found["w"].tolist() == [[left]]
    assert case["w"].shape == (6, 5)  # the case itself is left alone


def test_rows_that_are_needed_stay():
    found, _ = made_plain({"w": matrix((9, 4))}, lambda c: c["w"].shape[0] >= 3)
    assert found["w"].tolist() == [[0.0]] * 3


def test_arrays_of_one_shape_lose_the_same_places():
    w = matrix(at11=5.0)
    case = {"w": w, "D": np.abs(w), "lam": 3.25, "other": matrix((2,))}

    def fails(c):
        return c["w"].shape == c["D"].shape and bool((c["w"] * c["D"] > 4).any())

    found, _ = made_plain(case, fails)
    assert found["w"].shape == found["D"].shape == (1, 1)
    assert found["w"][0, 0] * found["D"][0, 0] > 4
    assert (found["D"] > 0).all()
    assert found["lam"] == 1.0
    assert found["other"].tolist() == [0.0]


def test_a_metric_stays_positive():
    found, _ = made_plain({"D": np.abs(matrix()) + 0.01}, lambda c: bool((c["D"] >= 0).all()))
    assert found["D"].tolist() == [[1.0]]


@pytest.mark.parametrize(
    ("step", "fails", "left"),
    [
        (0.73, lambda s: True, 1.0),
        (3.14159, lambda s: s > 1.5, 2.0),
        (3.14159, lambda s: s > 2.5, 3.0),
        (0.3333, lambda s: s < 0.8, 0.5),
        (0.3333, lambda s: s < 0.32, 0.3),
        (1.0, lambda s: True, 1.0),
    ],
)
def test_numbers_become_plain(step, fails, left):
    """And stay positive, as a step and a weight are."""
    assert made_plain({"step": step}, lambda c: fails(c["step"]))[0] == {"step": left}


def test_seeds_become_zero_and_other_integers_stay():
    case = {"seed": 7, "count": 7, "flag": True, "name": "text"}
    assert made_plain(case, lambda c: True)[0] == {**case, "seed": 0}
    assert made_plain(case, lambda c: c["seed"] == 7)[0] == case


def test_a_large_tensor_is_made_plain_in_blocks():
    found, _ = made_plain({"w": matrix((20, 10))}, lambda c: c["w"].size >= 200)
    assert np.count_nonzero(found["w"]) == 0


def test_what_is_measured_is_that_of_the_case_that_is_left():
    found, measured = made_plain({"step": 3.3}, lambda c: True)
    assert found == {"step": 1.0}
    assert measured.violation > 0
    case = {"step": 3.3}
    assert made_plain(case, lambda c: False) == (case, Measurement(0.0, ""))
    assert made_plain(case, lambda c: True, seconds=-1.0) == (case, Measurement(0.0, ""))


@pytest.mark.parametrize(
    ("value", "fails", "left"),
    [
        (-3.7134, lambda x: x != 0, 1.0),
        (-3.7134, lambda x: x not in (0, 1), 2.0),
        (-3.7134, lambda x: x not in (0, 1, 2), -1.0),
        (-3.7134, lambda x: x < 0, -1.0),
        (-3.7134, lambda x: x != round(x), 0.5),
        (3.7134, lambda x: 0 < x < 1 or x > 3.7, 0.5),
        (3.7134, lambda x: x > 2, 4.0),
        (3.4499, lambda x: 3.1 < x < 3.9, 3.4),
        (3.7134, lambda x: x > 3.7 and x != 4, 3.7134),
        (99.0, lambda x: x > 50, 99.0),  # 100 has more digits
        (-1.0, lambda x: x not in (0, 1, 2), -1.0),
        (0.5, lambda x: x not in (0, 1, 2), -1.0),
        (0.3, lambda x: x not in (0, 1, 2, -1, 0.5), 0.3),
        (math.inf, lambda x: x > 0.7, 1.0),
        (math.inf, lambda x: x > 1e300, math.inf),
        (math.nan, lambda x: not x < 3, math.nan),
    ],
)
def test_an_entry_becomes_the_plainest_number_that_fails(value, fails, left):
    """0, 1, 2, -1, 1/2, one digit, two digits, in this order."""
    found, _ = made_plain({"w": np.array([value])}, lambda c: fails(c["w"][0]))
    assert repr(found["w"].tolist()) == repr([left])


@pytest.mark.parametrize("name", ["D", "lam"])
def test_a_positive_array_takes_no_other_numbers(name):
    array = np.full(70, 0.73)
    found, _ = made_plain({name: array}, lambda c: c[name].size == 70)
    assert found[name].tolist() == [1.0] * 70
    found, _ = made_plain({name: array[:3]}, lambda c: c[name].size == 3 and c[name][1] != 1)
    assert found[name].tolist() == [1.0, 2.0, 1.0]
    found, _ = made_plain({name: array[:3]}, lambda c: c[name].size == 3 and c[name][1] not in (1, 2))
    assert found[name].tolist() == [1.0, 0.5, 1.0]


@pytest.mark.parametrize("length", range(1, 14))
@pytest.mark.parametrize("needed", range(1, 14, 3))
def test_as_many_places_are_left_as_are_needed(length, needed):
    case = {"w": np.arange(1.0, length + 1.0)}
    found, _ = made_plain(case, lambda c: c["w"].size >= min(needed, length))
    assert found["w"].tolist() == [0.0] * min(needed, length)


@pytest.mark.parametrize("length", [3, 4, 16])
def test_places_in_the_middle_go_where_both_ends_are_needed(length):
    w = np.full(length, 5.0)
    w[0], w[-1] = 7.0, 6.0
    found, _ = made_plain({"w": w}, lambda c: {6.0, 7.0} <= {*c["w"].tolist()})
    assert found["w"].tolist() == [7.0, 6.0]


@pytest.mark.parametrize("kept", [(0, 4), (2, 3), (5, 8)])
def test_a_stretch_in_the_middle_is_what_is_left(kept):
    first, last = kept
    w = np.arange(9.0) + 10
    found, _ = made_plain({"w": w}, lambda c: {*range(10 + first, 10 + last)} <= {*c["w"].tolist()})
    assert found["w"].tolist() == list(range(10 + first, 10 + last))


def test_an_axis_is_cut_in_all_arrays_that_share_it_and_those_before_it():
    """Rows of w, of its row sums and of its row names; columns in what has as many rows and columns."""
    case = {"sums": np.ones(6), "w": np.ones((6, 5)), "same": np.ones((6, 5, 2)), "other": np.ones((5, 5))}

    def fails(c):
        agrees = c["sums"].shape == c["w"].shape[:1] == c["same"].shape[:1] and c["w"].shape == c["same"].shape[:2]
        return agrees and c["w"].shape[0] >= 2 and c["w"].shape[1] >= 3

    found, _ = made_plain(case, fails)
    shapes = {name: array.shape for name, array in found.items()}
    assert shapes == {"sums": (2,), "w": (2, 3), "same": (2, 3, 1), "other": (5, 5)}
    assert all(array.base is None for array in found.values())


def test_entries_of_a_small_array_are_tried_one_by_one_and_of_a_larger_one_in_pairs():
    for length, left in ((64, {10}), (65, {10, 11}), (100, {10, 11})):
        w = np.random.default_rng(length).uniform(3.4, 3.49, length)
        found, _ = made_plain({"w": w}, lambda c, size=length: c["w"].size == size and c["w"][10] > 3.3)
        assert set(np.flatnonzero(found["w"]).tolist()) <= left
        assert found["w"][10] in (3.4, 3.5) if length == 64 else found["w"][10] == w[10]


def test_a_large_array_of_which_every_entry_is_needed_is_rounded_to_one_digit():
    w = np.random.default_rng(0).uniform(0.21, 0.89, 100)
    found, _ = made_plain({"w": w}, lambda c: c["w"].size == 100 and ((c["w"] > 0.15) & (c["w"] < 0.95)).all())
    assert found["w"].tolist() == [float(f"{value:.1g}") for value in w]
    found, _ = made_plain({"w": w}, lambda c: c["w"].size == 100 and (c["w"] > 0.15).all())
    assert found["w"].tolist() == [1.0] * 100


def test_arrays_without_entries_or_axes_stay():
    case = {"w": np.zeros((0, 3)), "x": np.array(2.5)}
    found, _ = made_plain(case, lambda c: c["w"].size == 0 and c["x"].ndim == 0)
    assert found["w"].size == 0
    assert found["x"] == 0.0
    assert made_plain({"step": 2.5}, lambda c: False)[0] == {"step": 2.5}


def test_the_measurement_belongs_to_the_last_case_that_failed():
    def failure(case):
        return Measurement(case["step"], f"step {case['step']}") if case["step"] > 1.5 else None

    assert plainest({"step": 3.3}, Measurement(0.0), failure) == ({"step": 2.0}, Measurement(2.0, "step 2.0"))


def test_it_takes_no_longer_than_it_may(monkeypatch):
    """By a clock that each try turns by a second: three seconds are four tries, the last of which begins in time."""
    now, tried = [100.0], []
    monkeypatch.setattr(plain.time, "monotonic", lambda: now[0])

    def failure(case):
        now[0] += 1.0
        tried.append(case["w"].copy())
        return Measurement(1.0) if len(tried) == 2 else None

    found, measured = plainest({"w": matrix()}, Measurement(0.0), failure)
    assert len(tried) == 4
    assert found["w"].tolist() == tried[1].tolist()
    assert measured == Measurement(1.0)
