"""What the reading of a class is compared at, and roots that are taken exactly."""

import re
import statistics
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ramda_verify.proof.agreement import SAMPLES, _sample, disagreement
from ramda_verify.proof.parameters import Parameter
from ramda_verify.proof.question import entry_question, group_question
from ramda_verify.proof.ranges import Bound
from ramda_verify.proof.terms import _exact_root
from tests.proof.test_questions import traced


def sampled(own: float, *bounds: Bound) -> list[float]:
    rng = np.random.default_rng(0)
    return [_sample(Parameter("a", "a", own, bounds, "declared"), rng) for _ in range(200)]


@pytest.mark.parametrize("own", [0.3, 3.0, 1e-3])
def test_a_parameter_is_sampled_on_both_sides_of_its_value(own):
    free = sampled(own)
    assert own / 2 <= min(free) < 0.7 * own < 1.5 * own < max(free) <= 2 * own
    # Bounds that are far away change nothing.
    assert sampled(own, Bound(">", 0.0), Bound("<", 100.0)) == free
    assert sampled(own, Bound(">=", 0.0), Bound("<=", 100.0)) == free


def test_a_parameter_that_is_zero_is_sampled_up_to_one():
    free = sampled(0.0, Bound(">=", 0.0))
    assert 0 <= min(free) < 0.1 < 0.9 < max(free) <= 1


@pytest.mark.parametrize(
    ("relation", "limit"), [(">", 0.9), (">=", 0.9), ("<", 1.1), ("<=", 1.1), (">", 0.999), ("<", 1.001)]
)
def test_no_sample_is_outside_a_bound_or_all_in_one_place(relation, limit):
    found = sampled(1.0, Bound(relation, limit))
    assert all(value > limit if relation[0] == ">" else value < limit for value in found)
    assert statistics.pstdev(found) > 0.1


def test_bounds_that_name_another_parameter_are_left_to_the_whole():
    assert sampled(1.0, Bound(">", "b")) == sampled(1.0)


@pytest.mark.parametrize("degree", [2, 3, 4])
@pytest.mark.parametrize("root", [Fraction(0), Fraction(1), Fraction(7, 3), Fraction(177, 170), Fraction(5000)])
def test_roots_of_powers_are_exact(root, degree):
    assert _exact_root(root**degree, degree) == root


@pytest.mark.parametrize(("root", "exact"), [(31_622_776, True), (15_000_001, True), (31_622_777, False)])
def test_roots_are_tried_as_far_as_a_float_tells_them(root, exact):
    """Numbers below 1e15: a root that is rounded from a larger one may be another integer."""
    for value, expected in ((Fraction(root**2), Fraction(root)), (Fraction(1, root**2), Fraction(1, root))):
        assert _exact_root(value, 2) == (expected if exact else None)


@pytest.mark.parametrize("value", [Fraction(2), Fraction(4, 3), Fraction(8, 9), Fraction(10**14 + 1)])
def test_other_roots_are_none(value):
    assert _exact_root(value, 2) is None


def test_the_root_of_a_negative_number_is_that_of_zero():
    assert _exact_root(Fraction(-4), 2) == 0
    assert _exact_root(Fraction(-1, 4), 2) == 0


def compared(prox, value, *, read_prox=None, read_value=None, count=1, parameters=(), build=None):
    """Where the reading of two functions differs from a class of two others."""
    of_prox, of_value = read_prox or prox, read_value or value
    numbers = traced((count,), of_prox, of_value, parameters)
    question = entry_question(numbers) if count == 1 else group_question(numbers)
    made = build or (lambda chosen: SimpleNamespace(prox=prox, value=value))
    return disagreement(numbers, question, made)


def half(w, step):
    return w / 2


def size(w):
    return w.abs().sum()


def norm(w):
    return w.norm()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_what_is_read_right_differs_nowhere(count):
    assert compared(half, size if count == 1 else norm, count=count) is None


@pytest.mark.parametrize(
    ("differs", "count"),
    [
        (lambda w, step: step < 0.3, 1),
        (lambda w, step: step > 3, 1),
        (lambda w, step: w.sum() < 0, 1),
        (lambda w, step: w.sum() > 0, 1),
        (lambda w, step: w.norm() < 3, 1),
        (lambda w, step: w.norm() > 4, 1),
        (lambda w, step: w.norm() < 3, 2),
        (lambda w, step: w.norm() > 4, 2),
        (lambda w, step: torch.tensor([False, False, True]), 3),
    ],
    ids=["small steps", "large steps", "negative", "positive", "small", "large", "short", "long", "the last entry"],
)
def test_a_prox_that_is_read_wrong_in_a_part_of_its_inputs_is_seen(differs, count):
    words = compared(
        lambda w, step: torch.where(torch.as_tensor(differs(w, step)), w / 3, w / 2), size if count == 1 else norm,
        read_prox=half, read_value=None, count=count,
    )  # fmt: skip
    assert words is not None
    assert words.startswith("prox is read as ")


def test_a_value_that_is_read_wrong_is_told_with_both_numbers():
    words = compared(half, lambda w: 3 * w.abs().sum(), read_value=size)
    found = re.fullmatch(r"psi is read as (\S+) where the class gives (\S+), at w = (\S+), step = (\S+)", words)
    read, given, w, step = map(float, found.groups())
    assert read == pytest.approx(abs(w), rel=1e-5)
    assert given == pytest.approx(3 * read, rel=1e-8)
    assert step > 0


A = Parameter("a", "a", 1.0, (), "found")


def test_the_class_is_made_with_what_is_sampled():
    def made(chosen):
        return SimpleNamespace(prox=lambda w, step: w * chosen["a"], value=size)

    reading = {"read_prox": lambda w, step, a: w * a, "read_value": lambda w, a: w.abs().sum(), "parameters": [A]}
    assert compared(half, size, **reading, build=made) is None
    words = compared(half, size, **reading)
    assert re.search(r", step = \S+, a = \S+$", words)


def test_a_class_that_refuses_what_is_in_its_range_says_so():
    def refuses(chosen):
        raise ValueError("not this one")

    words = compared(
        half, size, read_prox=lambda w, step, a: w / 2, read_value=lambda w, a: w.abs().sum(), parameters=[A],
        build=refuses,
    )  # fmt: skip
    assert re.match(r"the class refuses \{'a': \S+\}", words)
    assert words.endswith(": not this one")


def test_samples_out_of_range_are_passed_over():
    """The first one and others: of two parameters that are drawn alike, one is the larger in half of them."""
    larger = Parameter("a", "a", 1.0, (Bound(">", "b"),), "declared")
    other = Parameter("b", "b", 1.0, (), "declared")
    made = []

    def build(chosen):
        made.append(chosen)
        return SimpleNamespace(prox=half, value=size)

    for first, second in ((larger, other), (other, larger)):
        made.clear()
        reading = {"read_prox": lambda w, step, *more: w / 2, "read_value": lambda w, *more: w.abs().sum()}
        assert compared(half, size, **reading, parameters=[first, second], build=build) is None
        assert all(chosen["a"] > chosen["b"] for chosen in made)
        assert 1 < len(made) < SAMPLES


def raises_where_large(w, step):
    if w.sum() > 1:
        raise ValueError("too large")
    return w / 2


def test_a_way_that_raises_is_one_where_the_class_raises():
    assert compared(raises_where_large, size) is None
    words = compared(half, size, read_prox=raises_where_large)
    assert re.match(r"with tensors for numbers it raises ValueError: too large, test_agreement\.py line \d+$", words)
    # What is read as a number is not excused by a way that raises.
    words = compared(lambda w, step: raises_where_large(w, step) * 2, size, read_prox=raises_where_large)
    assert words.startswith("prox is read as")


def test_what_is_read_as_no_number_and_is_one_is_told():
    words = compared(half, size, read_prox=lambda w, step: w * torch.nan)
    assert words.startswith("prox is read as nan")


def test_a_class_may_change_what_it_is_given():
    assert compared(lambda w, step: w.div_(2), size, read_prox=half) is None
    assert compared(half, lambda w: w.abs_().sum(), read_value=size) is None
