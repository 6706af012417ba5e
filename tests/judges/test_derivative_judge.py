"""By how much the derivative that comes with a prox may be wrong, and at which places it is looked at."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ramda_verify.checks import measure
from tests.judges.regularizers import Made, zero


def derivative(regularizer, w, seed=0, step=1.0):
    return measure("prox-derivative", regularizer=regularizer, w=np.array(w), step=step, seed=seed)


def with_derivative(prox, apply, gain=0.5, point=None):
    """``apply(w, direction)`` is the derivative at w; ``point`` the prox, unless it is another."""

    def both(w, step):
        found = prox(w, step) if point is None else point(w, step)
        return SimpleNamespace(point=found, gain=gain, derivative=lambda direction: apply(w, direction))

    return Made(zero, prox, prox_with_derivative=both)


def times(factor):
    return lambda w, _: factor * w


@pytest.mark.parametrize("factor", [0.0, 0.3, 1.0])
def test_a_right_derivative_is_right_to_rounding(factor):
    right = with_derivative(times(factor), lambda w, direction: factor * direction)
    assert abs(derivative(right, [3.0, -4.0, 1.0]).violation) <= 1e-9


@pytest.mark.parametrize(
    ("w", "unit"), [([0.0, 0.0], 1.0), ([4.0, 1.0], 4.0), ([-4.0, 1.0], 4.0), ([0.25, 0.0], 0.25), ([1e-3, 0.0], 1e-3)]
)
@pytest.mark.parametrize("error", [0.125, -0.125])
def test_the_point_is_the_prox_up_to_a_share_of_the_largest_entry(w, unit, error):
    """Of 1 where all of w is zero."""
    off = with_derivative(
        times(0.5),
        lambda w, direction: direction / 2,
        point=lambda w, _: w / 2 + torch.tensor([0.0, error * unit], dtype=torch.float64),
    )
    found = derivative(off, w)
    assert found.violation == pytest.approx(0.125, rel=1e-12)
    assert found.note == "point is not prox(w, step)"


@pytest.mark.parametrize("slope", [-0.25, 1.25])
def test_a_derivative_lies_between_0_and_1(slope):
    wrong = with_derivative(times(slope), lambda w, direction: slope * direction)
    found = derivative(wrong, [3.0, -4.0, 1.0, 2.0])
    assert found.violation == pytest.approx(0.25, rel=1e-12)
    assert found.note == f"<H, J H> = {slope:.6g} for H of norm 1"


@pytest.mark.parametrize("gain", [-0.25, 1.25, torch.tensor(1.25)])
def test_a_gain_lies_between_0_and_1(gain):
    found = derivative(with_derivative(times(0.5), lambda w, direction: direction / 2, gain), [3.0, -4.0])
    assert found.violation == 0.25
    assert found.note == f"gain is {gain}"


def test_a_derivative_is_symmetric():
    """Of a quarter turn by 1/8 <G, J H> - <H, J G> is twice 1/8 times the sine of the angle between G and H."""
    turn = torch.tensor([[0.0, 0.125], [-0.125, 0.0]], dtype=torch.float64)
    turned = with_derivative(lambda w, _: turn @ w, lambda w, direction: turn @ direction)
    found = [derivative(turned, [3.0, -4.0], seed) for seed in range(40)]
    assert 0.24 < max(one.violation for one in found) <= 0.25 * (1 + 1e-12)
    assert all("for G and H of norm 1" in one.note for one in found if one.violation > 1e-6)
    mirror = torch.tensor([[0.5, 0.5], [0.5, 0.5]], dtype=torch.float64)
    right = with_derivative(lambda w, _: mirror @ w, lambda w, direction: mirror @ direction)
    assert max(derivative(right, [3.0, -4.0], seed).violation for seed in range(10)) <= 1e-9


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("error", [1e-2, -1e-4])
def test_a_derivative_is_that_of_the_prox(size, error):
    """H has the length 1, and so has the error."""
    wrong = with_derivative(times(0.5), lambda w, direction: (0.5 + error) * direction)
    found = derivative(wrong, [3.0 * size, -4.0 * size, size])
    assert found.violation == pytest.approx(abs(error), rel=1e-6)
    assert found.note == f"J H is {abs(error):.3g} from the difference of prox, at the best point"


@pytest.mark.parametrize("size", [1.0, 1e-4])
def test_a_curved_prox_is_looked_at_over_a_short_way_and_one_of_few_digits_over_a_long_one(size):
    """The difference of a third power over h is off by h^2; that of numbers rounded to 1e-7 by up to 1e-7/(2h)."""
    cubic = with_derivative(
        lambda w, _: w**3 / size**2, lambda w, direction: 3 * (w / size).square() * direction, gain=0.5
    )
    w = [0.5 * size, -0.4 * size, 0.3 * size]
    assert abs(derivative(cubic, w).violation) <= 3e-10
    grid = 1e-7 * size
    rounded = with_derivative(lambda w, _: grid * torch.round(w / 2 / grid), lambda w, direction: direction / 2)
    assert derivative(rounded, w).violation <= 4e-3


@pytest.mark.parametrize("right_at", [1, 2, 3, 4, None])
def test_beside_one_kink_or_another_one_of_a_few_places_will_do(right_at):
    """The derivative is asked for at w first, then beside it."""
    calls = []

    def at_one_place(w, step):
        calls.append(w)
        here = len(calls) - 1
        return SimpleNamespace(
            point=w / 2, gain=0.5, derivative=lambda direction: direction * (0.5 if here == right_at else 0.75)
        )

    found = derivative(Made(zero, times(0.5), prox_with_derivative=at_one_place), [3.0, -4.0])
    assert found.violation == pytest.approx(0.25 if right_at is None else 0.0, abs=1e-9)


@pytest.mark.parametrize("size", [1.0, 1e3, 1e-3])
def test_the_places_lie_about_a_hundredth_beside_w_all_of_them_different(size):
    asked = []

    def recorded(w, step):
        asked.append(w.numpy().copy())
        return SimpleNamespace(point=w / 2, gain=0.5, derivative=lambda direction: direction / 2)

    w = size * np.linspace(-4.0, 3.0, 50)
    derivative(Made(zero, times(0.5), prox_with_derivative=recorded), w)
    here, *beside = asked
    assert np.array_equal(here, w)
    for place in beside:
        assert 0.01 < np.abs(place - w).max() / (4 * size) < 0.05
        assert 0.005 < np.sqrt(np.square(place - w).mean()) / (4 * size) < 0.015
    assert len({place.tobytes() for place in beside}) == len(beside) > 1


@pytest.mark.parametrize("wrong", ["point", "derivative", "prox"])
def test_a_nan_is_a_finding(wrong):
    def spoiled(name, found):
        return found * torch.nan if name == wrong else found

    regularizer = with_derivative(
        lambda w, _: spoiled("prox", w / 2),
        lambda w, direction: spoiled("derivative", direction / 2),
        point=lambda w, _: spoiled("point", w / 2),
    )
    with pytest.raises(ArithmeticError, match=f"entries of {wrong} are not finite"):
        derivative(regularizer, [3.0, -4.0])


def test_a_gain_that_is_nan_is_infinite():
    right = with_derivative(times(0.5), lambda w, direction: direction / 2, torch.nan)
    assert derivative(right, [3.0, -4.0]).violation == np.inf
