"""A prox is compared with rivals, with other steps and with other points: each comparison by a fault of its own."""

import math

import numpy as np
import pytest
import torch

from ramda_verify.checks.regularizer.prox import (
    _rivals,
    measure_firmly_nonexpansive,
    measure_limits,
    measure_minimises,
    measure_optimality,
    measure_value_consistency,
)
from tests.judges.cases import close
from tests.judges.regularizers import made
from tests.plug_ins.right.own_numbers import Periodic
from tests.plug_ins.wrong.own_numbers import PeriodicByFloor


def soft(w, step):
    return w.sign() * (w.abs() - step).clamp_min(0)


def absolute(prox=soft, value=lambda w: w.abs().sum(), **members):
    return made(value, prox, **members)


W, Z, STEP = np.array([[1.5, -2.0, 0.25], [4.0, 0.5, -0.75]]), np.array([[0.5, -1.0, 0.0], [3.0, 0.0, 0.0]]), 1.0


def rivals_of(prox, seed=0):
    return _rivals(made(prox=prox), W, STEP, Z, seed)


def is_among(point, points):
    return any(np.array_equal(point, other) for other in points)


#: Inputs and steps of which the prox is taken, and what tells its answer from all others.
ASKED = [
    (0.5 * W, STEP),
    (2 * W, STEP),
    (W, 0.5 * STEP),
    (W, 2 * STEP),
    (1e-3 * W, STEP),
    (1e-6 * W, STEP),
    (1e-9 * W, STEP),
    (1e-12 * W, STEP),
]


@pytest.mark.parametrize("which", range(len(ASKED)))
def test_rivals_are_answers_to_other_inputs_and_steps_and_their_moves(which):
    """An answer of 77 to one of them is a rival, and so is the input moved by as much."""
    point, step = ASKED[which]

    def prox(w, s):
        asked = np.allclose(w, point, rtol=1e-12, atol=0.0) and s == step
        return torch.full_like(w, 77.0) if asked else w

    found = rivals_of(prox)
    assert is_among(np.full_like(W, 77.0), found)
    moves = [other for other in found if np.allclose(other, W + (77.0 - point), rtol=1e-12)]
    assert len(moves) == (2 if point is W else 1)  # of w itself the move leads to the answer


def test_rivals_are_answers_to_six_of_the_points_around():
    """Which a prox that adds 1000 tells from other points; with other seeds they are others."""
    found = []
    for seed in range(20):
        points = _rivals(made(prox=lambda w, s: w + 1000.0), W, STEP, W / 2 + 0.125, seed)
        found.append([k for k, point in enumerate(points[:-31]) if is_among(point + 1000.0, points[-31:])])
    assert {len(places) for places in found} <= {6, 7}  # two of them may be one
    assert 6 in {len(places) for places in found}
    assert len({place for places in found for place in places}) > 25


def test_rivals_are_answers_to_the_input_with_other_signs_and_in_another_order():
    """A prox that adds a ramp, which no sign and no order leaves as it is."""
    ramp = torch.arange(1.0, 7.0, dtype=torch.float64).reshape(2, 3)
    found = rivals_of(lambda w, s: w + ramp)
    added = [(point - W).round(9) for point in found]
    assert is_among(-ramp.numpy(), added)
    assert is_among(np.flip(ramp.numpy()), added)
    mixed = [move for move in added if np.array_equal(np.abs(move), ramp) and len(np.unique(np.sign(move))) == 2]
    assert mixed


def test_an_exact_prox_passes_every_comparison():
    right, w, other = absolute(convex=True), np.array([3.0, -0.5, 1.0]), np.array([0.5, 2.0, -1.0])
    for seed in range(3):
        assert 0.0 <= measure_minimises(right, w, 1.0, seed).violation < 0.1
        assert 0.0 <= measure_optimality(right, w, 1.0, seed).violation < 0.1
    assert measure_limits(right, w, 1.0, 3.0).violation < 0.1
    assert measure_value_consistency(right, w, 1.0, other).violation < 0.1
    assert measure_firmly_nonexpansive(right, w, other, 1.0).violation < 1e-15


def test_an_answer_a_rounding_beside_an_integer_is_right_where_integers_are_large():
    """1e12 and its next number differ by 1.2e-4, which psi = 1/2 dist^2 to the integers tells at a step of 1e9."""
    assert measure_limits(Periodic(), np.array([1e12]), 1.0, 1.0).violation < 1
    assert measure_limits(PeriodicByFloor(), np.array([0.75]), 1.0, 1.0).violation > 1


@pytest.mark.parametrize(
    ("measure", "words"), [(measure_minimises, "is lower"), (measure_optimality, "no subgradient")]
)
def test_a_wrong_answer_is_beaten_and_the_sentence_names_it(measure, words):
    """Half of w in place of w - 1."""
    found = measure(absolute(lambda w, s: w / 2, convex=True), np.array([3.0, 5.0]), 1.0, 0)
    assert found.violation > 1e6
    assert words in found.note
    assert "[1.5, 2.5]" in found.note


def test_an_answer_that_is_a_minimiser_of_a_nonconvex_psi_is_no_subgradient():
    """Zero is the prox of 1 for a count that costs 1: the objective is lower there, and psi is lower than any line."""
    count = made(lambda w: float((w != 0).sum()), lambda w, s: torch.where(w.abs() > (2 * s) ** 0.5, w, 0.0))
    assert measure_minimises(count, np.array([1.2]), 1.0, 0).violation < 0.1
    assert measure_optimality(count, np.array([1.2]), 1.0, 0).violation > 1e6


@pytest.mark.parametrize("measure", [measure_minimises, measure_optimality])
def test_an_answer_outside_the_set_fails(measure):
    positive = made(lambda w: 0.0 if (w >= 0).all() else math.inf, lambda w, s: w.clamp_min(0) - 0.5 * (s == 1.0))
    found = measure(positive, np.array([1.0, -1.0]), 1.0, 0)
    assert found.violation == math.inf
    assert (
        measure(
            made(lambda w: 0.0 if (w >= 0).all() else math.inf, lambda w, s: w.clamp_min(0)), np.ones(2), 1.0, 0
        ).violation
        < 0.1
    )


@pytest.mark.parametrize("w", [[3.0, 1.0], [-0.5, 2.0]])
@pytest.mark.parametrize("other", [[0.0, 0.0], [1.0, -7.0]])
@pytest.mark.parametrize("factor", [1.0, 1.5, -1.0])
def test_a_prox_that_stretches_is_expansive_by_its_excess(w, other, factor):
    """P = factor: ||Pw - Pv||^2 - <Pw - Pv, w - v> is factor^2 - factor of ||w - v||^2."""
    w, other = np.array(w), np.array(other)
    distance = float(((w - other) ** 2).sum())
    scale = distance + max(np.abs(w).max(), np.abs(other).max()) * distance**0.5
    found = measure_firmly_nonexpansive(made(prox=lambda x, s: factor * x), w, other, 1.0)
    assert found.violation == close((factor**2 - factor) * distance / scale) if factor != 1 else found.violation == 0
    assert f"{abs(factor) * distance**0.5:.6g}" in found.note


@pytest.mark.parametrize("step", [1e-9, 1.0, 4.0, 1e9])
def test_an_error_at_one_of_the_steps_is_seen(step):
    """At a billionth of the step, at the step, at the given multiple of it and at a billion times it."""
    prox = made(prox=lambda w, s: -w if abs(s / step - 1) < 1e-6 else soft(w, s)).prox
    found = measure_limits(absolute(prox), np.array([3.0, -5.0]), 1.0, 4.0)
    assert found.violation > 1e3
    assert "is lower" in found.note


@pytest.mark.parametrize(
    ("factor", "step", "answer", "rival"), [(4.0, 4.0, 0.5, "[7.0] is lower"), (1.25, 1.0, 7.9375, "[6.75] is lower")]
)
def test_an_answer_is_compared_with_those_at_other_steps(factor, step, answer, rival):
    """Of 8, where neither 8 nor zero is lower than the wrong answer."""

    def prox(w, s):
        return torch.full_like(w, answer) if abs(s / step - 1) < 1e-6 else soft(w, s)

    found = measure_limits(absolute(prox), np.array([8.0]), 1.0, factor)
    assert found.violation > 1e3
    assert rival in found.note


def test_the_steps_are_a_billionth_and_a_billion_times_that_of_the_case_that_and_its_multiple():
    steps = []

    def prox(w, s):
        steps.extend([s] if w.any() else [])
        return soft(w, s)

    measure_limits(absolute(prox), np.array([3.0]), 0.5, 4.0)
    assert steps == [close(s) for s in (0.5e-9, 0.5, 2.0, 0.5e9)]


@pytest.mark.parametrize("rival", ["the input", "zero"])
def test_the_limits_are_compared_with(rival):
    """A prox that is the same wrong point at all steps loses to the input or to zero alone."""
    w = np.array([3.0])
    answer = 0.0 if rival == "the input" else 30.0
    value = (lambda x: 0.0) if rival == "the input" else (lambda x: (x == 3).sum() * 1e30)
    found = measure_limits(made(value, lambda x, s: torch.full_like(x, answer)), w, 1.0, 4.0)
    assert found.violation > 1
    assert ("[3.0] is lower" if rival == "the input" else "[0.0] is lower") in found.note


def test_a_step_at_which_psi_is_infinite_is_a_finding():
    def prox(w, s):
        return w.clamp_min(0) - (1.0 if abs(s - 4) < 1e-9 else 0.0)

    positive = made(lambda w: 0.0 if (w >= 0).all() else math.inf, prox)
    found = measure_limits(positive, np.array([1.0, 0.5]), 1.0, 4.0)
    assert found.violation == math.inf
    assert "step 4" in found.note


@pytest.mark.parametrize("value", [lambda w: 3.0, lambda w: w.abs().sum().reshape(1), lambda w: w.abs()])
def test_a_value_is_a_tensor_without_axes(value):
    regularizer = absolute()
    regularizer.value = value
    found = measure_value_consistency(regularizer, np.array([3.0]), 1.0, np.array([1.0]))
    assert found.violation == math.inf
    assert "0-d tensor" in found.note


def test_a_value_that_is_nan_at_the_input_alone_is_a_finding():
    with pytest.raises(ArithmeticError, match="nan"):
        measure_value_consistency(
            absolute(value=lambda w: math.nan if w[0] == 3 else w.abs().sum()), np.array([3.0]), 1.0, np.array([1.0])
        )


@pytest.mark.parametrize("wrong", [3.0, 2.0])
def test_a_prox_outside_the_set_at_the_input_or_at_the_other_point_is_a_finding(wrong):
    """The answer at the input 3 or at 3 - 1 is none of the set."""
    positive = made(
        lambda w: 0.0 if (w >= 0).all() else math.inf, lambda w, s: w - 10.0 * float(w[0] == wrong) * (s == 1)
    )
    found = measure_value_consistency(positive, np.array([3.0]), 1.0, np.array([-1.0]))
    assert found.violation == math.inf
    assert "infinite" in found.note


@pytest.mark.parametrize("wrong", [3.0, 7.0])
@pytest.mark.parametrize("convex", [False, True])
def test_an_answer_is_beaten_by_that_of_the_other_point(wrong, convex):
    """The prox of 3 is 2, and of 3 + 4 it is 6: where the one is replaced by 100, the other is lower for it."""

    def prox(w, s):
        return torch.full_like(w, 100.0) if abs(float(w[0]) - wrong) < 1e-9 else soft(w, s)

    found = measure_value_consistency(absolute(prox, convex=convex), np.array([3.0]), 1.0, np.array([4.0]))
    assert found.violation > 1e6
    assert "[100.0]" in found.note
    assert ("the envelope is not convex" in found.note) == convex


def test_the_envelope_of_a_convex_psi_is_asked_to_be_convex_and_of_no_other():
    """A count of nonzeros: zero is the prox of 1.2, and w that of 2.2; (1.2 - 0)/1 is no subgradient."""
    for convex in (False, True):
        count = made(
            lambda w: float((w != 0).sum()), lambda w, s: torch.where(w.abs() > (2 * s) ** 0.5, w, 0.0), convex=convex
        )
        found = measure_value_consistency(count, np.array([1.2]), 1.0, np.array([1.0]))
        assert (found.violation > 1) == convex


@pytest.mark.parametrize("measure", [measure_minimises, measure_optimality])
def test_a_prox_that_is_not_finite_is_a_finding(measure):
    with pytest.raises(ArithmeticError, match="prox"):
        measure(absolute(lambda w, s: w * math.nan), np.array([3.0]), 1.0, 0)
