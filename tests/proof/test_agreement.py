"""What the reading of a class is compared at, and roots that are taken exactly."""

import statistics
from fractions import Fraction

import pytest
import torch

from ramda_verify.proof.agreement import _sample
from ramda_verify.proof.parameters import Parameter
from ramda_verify.proof.ranges import Bound
from ramda_verify.proof.terms import _exact_root


def sampled(own: float, *bounds: Bound) -> list[float]:
    generator = torch.Generator().manual_seed(0)
    return [_sample(Parameter("a", "a", own, bounds, "declared"), generator) for _ in range(200)]


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
