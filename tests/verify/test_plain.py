"""Counterexamples are made plain: what is left of a case is what the failure needs."""

import numpy as np
import pytest

from ramda_verify.engine.plain import plainest
from ramda_verify.engine.record import Measurement


def made_plain(case, fails, seconds=60.0):
    """The plainest case for which ``fails`` holds, and what is measured of it."""

    def failure(candidate):
        tried.append(candidate)
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
