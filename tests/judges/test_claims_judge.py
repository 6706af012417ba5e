"""By how much psi may miss its chords, the sum over its entries and its model, and relative to what."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ramda_verify.checks import BY_ID, measure
from ramda_verify.engine.property import Inconclusive
from ramda_verify.engine.record import NothingClaimed
from solvers import L1
from tests.judges.regularizers import Made, zero


def chord(regularizer, w, other, share=0.5):
    return measure("convex-claim", regularizer=regularizer, w=np.array(w), other=np.array(other), share=share)


def total(w):
    return w.sum().abs()


@pytest.mark.parametrize(
    ("value", "w", "other", "share", "expected"),
    [
        # The chord from 1 to 9 is 3 at a quarter, the parabola 1.5^2 = 2.25.
        (lambda w: w.square().sum(), [1.0], [3.0], 0.25, -0.75 / 10),
        # Below the chord by 1, and the ends are 1 and 2: how they cancel does not matter where the claim holds.
        (total, [2.0, -1.0], [-4.0, 2.0], 0.5, -1 / 3),
        # Above it by 1/4; the ends are 1 and 0 after cancelling, and 9 and 16 without.
        (lambda w: -w.sum().square(), [2.0, -1.0], [-2.0, 2.0], 0.5, 0.25 / 25),
    ],
)
def test_a_chord_is_missed_relative_to_the_ends(value, w, other, share, expected):
    assert chord(Made(value), w, other, share).violation == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("bump", "expected"), [(2e-10, 2e-10 / 3), (4e-10, 4e-10 / 9)])
def test_cancelled_terms_count_from_where_the_plain_ends_would_fail(bump, expected):
    """psi is 1 and 2 at the ends, 3 and 6 in terms, and too large by the bump halfway between."""
    found = chord(Made(lambda w: total(w) + bump * (w[0] == 3.0)), [2.0, -1.0], [4.0, -2.0])
    assert found.violation == pytest.approx(expected, rel=1e-4)
    assert "1.5 on the chord, whose ends average 1.5" in found.note


def at_least_one(w):
    """The square where w >= 1, infinite below."""
    return torch.where((w >= 1).all(), w.square().sum(), torch.inf)


@pytest.mark.parametrize(("w", "other"), [([0.5], [3.0]), ([3.0], [0.5])])
def test_an_end_where_psi_is_infinite_is_replaced_by_its_prox(w, other):
    """The chord is that from 1 to 3."""
    found = chord(Made(at_least_one, lambda w, step: w.clamp_min(1.0)), w, other)
    assert found.violation == pytest.approx((4 - 5) / 10, rel=1e-12)


@pytest.mark.parametrize(("w", "other"), [([0.5], [3.0]), ([3.0], [0.5]), ([0.5], [0.5])])
def test_nothing_is_claimed_of_a_chord_without_ends(w, other):
    with pytest.raises(NothingClaimed, match="nothing lies above it"):
        chord(Made(at_least_one), w, other)


@pytest.mark.parametrize(("w", "other"), [([-1.0], [2.0]), ([2.0], [-1.0])])
def test_a_chord_that_leaves_the_set_fails_by_its_distance(w, other):
    """At -1/4 the projection is -1, and the larger end is 2."""

    def beyond_one(w, step):
        return torch.where(w.abs() >= 1, w, torch.where(w < 0, -1.0, 1.0))

    outside = Made(lambda w: torch.where((w.abs() >= 1).all(), 0.0, torch.inf), beyond_one)
    share = 0.25 if w[0] < 0 else 0.75
    assert chord(outside, w, other, share).violation == pytest.approx(0.75 / 2, rel=1e-12)


def separable(regularizer, w, step=1.0, seed=0):
    return measure("separable-claim", regularizer=regularizer, w=np.array(w), step=step, seed=seed)


@pytest.mark.parametrize(
    ("value", "w", "expected"),
    [
        # 1 + (1 + 2)^2 = 10, its entries 1 + 1^2 + 2^2 = 6.
        (lambda w: 1 + w.sum().square(), [1.0, 2.0], 4 / 16),
        # -(1 + 2)^2 = -9, its entries -5.
        (lambda w: -w.sum().square(), [1.0, 2.0], 4 / 14),
        (lambda w: 1 + w.square().sum(), [1.0, 2.0], 0.0),
        # Outside a box both are infinite; of a set that is none, psi alone is.
        (lambda w: torch.where((w <= 1).all(), 0.0, torch.inf), [5.0, 0.0], 0.0),
        (lambda w: torch.where(w.sum() <= 1, 0.0, torch.inf), [0.8, 0.8], np.inf),
        (lambda w: torch.where(w.prod() == 0, torch.inf, 0.0), [2.0, 2.0], 0.0),
        # Infinite at zero: differences to that say nothing.
        (lambda w: torch.where(w.sum() > 0, w.sum().square(), torch.inf), [1.0, 2.0], 0.0),
    ],
)
def test_psi_is_the_sum_of_its_entries(value, w, expected):
    found = separable(Made(value), w)
    assert found.violation == pytest.approx(expected, rel=1e-12)
    if 0 < expected < 1:
        assert f"psi(w) = {float(value(torch.tensor(w))):.6g}, its entries add to" in found.note


@pytest.mark.parametrize("wrong", [0, 1, 2])
@pytest.mark.parametrize("error", [0.0, 2.0**-6, -(2.0**-6)])
def test_a_step_per_entry_is_a_step_for_each(wrong, error):
    """Asked for all entries at once, the prox is off in one of them."""

    def prox(w, step):
        found = w / (1 + step)
        if isinstance(step, torch.Tensor):
            found[wrong] += error
        return found

    found = separable(Made(zero, prox), [1.0, -4.0, 2.0])
    assert found.violation == pytest.approx(2.0**-6 / 4 if error else 0.0, rel=1e-9)
    assert not error or found.note.startswith(f"entry {wrong} with its step ")


def test_steps_per_entry_lie_up_to_two_powers_of_ten_on_either_side():
    asked = []

    def prox(w, step):
        asked.append(torch.as_tensor(step, dtype=torch.float64).numpy())
        return w.clone()

    separable(Made(zero, prox), np.ones((20, 20)), step=3.0)
    together, *alone = asked
    assert together.shape == (20, 20)
    assert together.ravel().tolist() == [float(step) for step in alone]
    assert 0.01 <= together.min() / 3 < 0.015
    assert 70 < together.max() / 3 <= 100


def modelled(value, model, prox=None):
    """psi with a model of the user's; cvxpy hands a constant over."""
    return Made(value, prox, as_cvxpy=lambda x: SimpleNamespace(value=model(x.value)))


def against_model(regularizer, w, step=1.0):
    return measure("cvxpy-value", regularizer=regularizer, w=np.array(w), step=step)


@pytest.mark.parametrize(
    ("value", "model", "expected"), [(3.0, 1.0, 0.5), (1.0, 3.0, 0.5), (-1.0, 1.0, 1.0), (-2.0, -6.0, 0.5), (2, 2, 0)]
)
def test_a_model_is_missed_relative_to_both_values(value, model, expected):
    found = against_model(modelled(lambda w: value * w.sum(), lambda x: model * x.sum()), [1.0])
    assert found.violation == pytest.approx(expected)
    assert found.note == f"value {value}, model {model}".replace(".0", "")


def test_where_both_have_a_value_no_prox_is_asked_for():
    def prox(w, step):
        raise AssertionError

    assert against_model(modelled(lambda w: w.sum(), lambda x: x.sum(), prox), [2.0]).violation == 0


def up_to_one(w):
    return torch.where((w <= 1).all(), 3.0, torch.inf)


def test_where_both_are_infinite_they_are_compared_at_the_prox():
    """At 5 - 4: with a shorter step neither has a value."""
    apart = modelled(up_to_one, lambda x: 1.0 if x[0] <= 1 else np.inf, lambda w, step: w - step)
    assert against_model(apart, [5.0], step=4.0).violation == 0.5
    with pytest.raises(Inconclusive):
        against_model(apart, [5.0], step=3.5)


@pytest.mark.parametrize("infinite", ["value", "model"])
@pytest.mark.parametrize("size", [1.0, 100.0])
@pytest.mark.parametrize(("w", "expected"), [(1 + 0.9e-5, 0.0), (1 + 1.1e-5, np.inf), (1.0, np.inf), (0.5, np.inf)])
def test_an_edge_may_be_drawn_a_little_wider_by_one_of_the_two(infinite, size, w, expected):
    """By 1e-5 of the point outside the set x <= size, and not at all on it or inside."""
    value, model = (np.inf, 2.0) if infinite == "value" else (2.0, np.inf)
    box = modelled(lambda x: torch.as_tensor(value), lambda x: model, lambda x, step: x.clamp_max(size))
    found = against_model(box, [size * w])
    assert found.violation == expected
    assert found.note == f"value {value:.9g}, model {model:.9g}"


@pytest.mark.parametrize("model", [np.nan, None, -np.inf])
def test_a_model_without_a_value_says_nothing(model):
    with pytest.raises(Inconclusive, match="no value"):
        against_model(modelled(zero, lambda x: model), [1.0])


@pytest.mark.parametrize(("regularizer", "asked"), [(L1(1.0), True), (Made(zero), False), (modelled(zero, 0), True)])
def test_a_model_is_asked_for_where_there_is_one(regularizer, asked):
    reason = BY_ID["cvxpy-value"].applies(SimpleNamespace(probe=lambda ask: ask(regularizer)))
    assert reason is None if asked else reason == "the regularizer does not offer as_cvxpy"


@pytest.mark.parametrize("name", ["convex", "separable"])
def test_what_is_not_said_is_not_checked(name):
    silent, saying = Made(zero, **{name: False}), Made(zero, **{name: True})
    applies = BY_ID[f"{name}-claim"].applies
    assert applies(SimpleNamespace(probe=lambda ask: ask(saying))) is None
    assert name in applies(SimpleNamespace(probe=lambda ask: ask(silent)))
