"""A constraint as its set is: which psi is one, who is a member, and what a value with a tolerance is believed."""

import copy
import math

import pytest
import torch

from ramda_verify.cases.exact_set import ExactSet, edge, is_constrained, with_exact_set

EPS = 2.0**-52
ROUNDING = 256 * EPS


class Psi:
    """A regularizer of two functions: ``value`` of a tensor, and ``prox`` of a tensor and a step, by default w."""

    def __init__(self, value, prox=lambda w, step: w.clone(), **members):
        self._value, self._prox = value, prox
        vars(self).update(members)

    def value(self, w):
        return torch.as_tensor(self._value(w), dtype=torch.float64)

    def prox(self, w, step):
        return self._prox(w, step)


def infinite(where):
    """Infinite where the condition holds, else zero."""
    return lambda w: math.inf if where(w) else 0.0


def vector(*entries):
    return torch.tensor(entries, dtype=torch.float64)


def at_most_one(w, step):
    return w.clamp(max=1.0)


def nonnegative(w, step):
    return w.clamp(min=0.0)


def test_a_member_may_lie_outside_by_256_roundings_of_its_length():
    assert edge(2.0, 9) == ROUNDING * 2 * 3


@pytest.mark.parametrize(
    "only_at",
    [
        lambda w: float(w.abs().max()) == 0,
        lambda w: 0 < float(w.abs().max()) < 0.1,
        lambda w: w.tolist() == [-1, 0, 1, 2],
        lambda w: float(w.abs().max()) > 100,
        lambda w: w.tolist() == [2, 1, 0, -1],
        lambda w: w.tolist() == [-1, 0, 1, -2],
        lambda w: w.tolist() == [1, 0, -1, 2],
    ],
    ids=["zero", "small", "rising", "large", "falling", "mixed signs", "the other signs"],
)
def test_psi_is_a_constraint_where_one_point_alone_is_outside(only_at):
    psi = Psi(infinite(only_at))
    assert is_constrained(psi, (4,))
    assert isinstance(with_exact_set(psi, (4,)), ExactSet)


@pytest.mark.parametrize("value", [lambda w: w.abs().sum(), lambda w: -math.inf, lambda w: math.nan, lambda w: 1 / 0])
def test_a_psi_without_a_set_stays_as_it_is(value):
    psi = Psi(value)
    assert not is_constrained(psi, (3,))
    assert with_exact_set(psi, (3,)) is psi


def test_psi_is_asked_about_tensors_of_the_shape():
    assert is_constrained(Psi(infinite(lambda w: w.shape == (2, 3))), (2, 3))


@pytest.mark.parametrize("rank", [1, 2, 5])
@pytest.mark.parametrize("shape", [(7, 6), (6, 9), (6, 3, 3)])
def test_matrices_of_low_rank_are_a_set(rank, shape):
    assert is_constrained(Psi(infinite(lambda w: torch.linalg.matrix_rank(w.flatten(1)) > rank)), shape)


def test_a_psi_that_measures_the_distance_to_its_set_is_a_constraint():
    assert is_constrained(Psi(lambda w: 0.0, violation=lambda w: w.abs().max()), (3,))


def test_a_set_made_exact_stays_a_set_and_keeps_its_other_members():
    psi = Psi(lambda w: 0.0, convex=True, __of_the_object__=3)
    exact = ExactSet(psi)
    assert is_constrained(exact, (2,))
    assert ExactSet(exact).inner is psi
    assert exact.convex
    assert not hasattr(exact, "__of_the_object__")
    assert copy.deepcopy(exact).inner.convex


def test_the_prox_is_projected_once_more():
    """The answer of a large w is off by a rounding of w; the step acts once."""
    psi = Psi(lambda w: 0.0, lambda w, step: (w / (1 + step)).clamp(max=1.0) + 1e-15 * w.abs())
    found = ExactSet(psi).prox(vector(1e9, 0.5), 1.0)
    assert abs(float(found[0]) - 1) < 1e-14
    assert float(found[1]) == pytest.approx(0.25, rel=1e-12)


@pytest.mark.parametrize("value", [math.nan, -math.inf])
@pytest.mark.parametrize("first", [0.5, 1 + 1e-9, 5.0])
def test_a_value_that_no_psi_has_is_returned(value, first):
    assert str(float(ExactSet(Psi(lambda w: value, at_most_one)).value(vector(first, 0.0)))) == str(value)


@pytest.mark.parametrize(
    ("distance", "value"),
    [
        (0.0, 7.0),
        (0.97 * ROUNDING * 3, 7.0),
        (1.03 * ROUNDING * 3, math.inf),
        (0.97e-5 * 3, math.inf),
        (1.03e-5 * 3, 7.0),
    ],
)
def test_a_value_is_believed_inside_and_far_outside(distance, value):
    """Nine entries up to one: what is allowed is a share of the length of as many ones, 3."""
    exact = ExactSet(Psi(lambda w: 7.0, at_most_one))
    others = [1.0] * 4 + [0.0] * 3
    assert float(exact.value(vector(1 + distance, 1.0, *others))) == value
    assert float(exact.value(vector(1 + distance / 2**0.5, 1 + distance / 2**0.5, *others))) == value


def test_a_value_that_lets_everything_into_a_cone_is_believed_far_outside():
    assert float(ExactSet(Psi(lambda w: 7.0, nonnegative)).value(vector(0.1, -0.05))) == 7.0


def test_the_distance_is_the_violation_where_psi_offers_one():
    outside = vector(1.0 + 1e-7, 0.0)
    for violation, value in ((0.0, 7.0), (1e-7, math.inf), (1.0, 7.0)):
        psi = Psi(lambda w: 7.0, at_most_one, violation=lambda w, v=violation: torch.tensor(v))
        assert float(ExactSet(psi).value(outside)) == value


@pytest.mark.parametrize("size", [0.2, 1e-3, 1e-14, 1e-310])
def test_a_tolerance_that_is_a_number_does_not_let_small_points_into_a_cone(size):
    """Far outside the cone relative to its size; the value, with a tolerance that the multiple exceeds, lets it in."""
    tolerance = 0.03 if size == 0.2 else 0.4 * size
    value, violation = infinite(lambda w: float(w.min()) < -tolerance), lambda w: w.clamp(max=0.0).abs().max()
    exact = ExactSet(Psi(value, nonnegative, violation=violation))
    assert float(exact.value(vector(size, -0.1 * size))) == math.inf
    assert float(exact.value(vector(size, 0.1 * size))) == 0


@pytest.mark.parametrize("size", [1e-13, 1e-200, 3e-306])
def test_a_point_whose_squares_vanish_is_not_in_a_cone(size):
    """The distance, of which no member tells, is that of single entries."""
    exact = ExactSet(Psi(infinite(lambda w: float(w.min()) < -1e-12), nonnegative))
    assert float(exact.value(vector(-size, -0.2 * size))) == math.inf
    assert float(exact.value(vector(size, 0.2 * size))) == 0


@pytest.mark.parametrize("size", [1.0, 1.5])
def test_of_points_of_size_one_and_more_the_value_is_believed(size):
    exact = ExactSet(Psi(infinite(lambda w: float(w.min()) < 0 and float(w.max()) < 1), nonnegative))
    assert float(exact.value(vector(size, -0.2 * size))) == 0
    assert float(exact.value(vector(0.99, -0.2))) == math.inf


@pytest.mark.parametrize(("off", "value"), [(0.97, math.inf), (1.03, 0.0)])
def test_a_multiple_decides_only_where_its_projection_is_that_multiple(off, value):
    """Of (2^-20, -2^-21) it is (1/4, -1/8), projected to (1/4, 0) and rounded by as much as both together may be."""
    error = off * ROUNDING * (0.25 + 0.25) * 2**0.5

    def prox(w, step):
        return nonnegative(w, step) - (vector(0.0, error) if float(w.abs().max()) == 0.25 else 0.0)

    exact = ExactSet(Psi(infinite(lambda w: float(w.min()) < -0.1), prox))
    assert float(exact.value(vector(2.0**-20, -(2.0**-21)))) == value


@pytest.mark.parametrize("roundings", [0, -1, 1, -8, 8, -63, 63])
def test_a_projection_counts_as_inside_where_a_point_beside_it_does(roundings):
    """psi is finite at one multiple of the projection alone, and has its value there."""
    exact = ExactSet(Psi(lambda w: 3.0 if (w == 1 + roundings * EPS).all() else math.inf))
    assert float(exact.value(vector(1.0, 1.0))) == 3.0
    assert float(exact.value(vector(1 + 200 * EPS, 1 + 200 * EPS))) == math.inf


@pytest.mark.parametrize("roundings", [-64, 64, 200])
def test_a_projection_beside_which_nothing_is_inside(roundings):
    exact = ExactSet(Psi(infinite(lambda w: not (w == 1 + roundings * EPS).all())))
    assert float(exact.value(vector(1.0, 1.0))) == math.inf


def logarithm(w):
    return -torch.log(w).sum() if bool((w > 0).all()) else math.inf


def logarithmic(w, step):
    return (w + (w * w + 4 * step).sqrt()) / 2


def test_a_barrier_is_taken_as_far_from_its_wall_as_rounding_may_move():
    """-log moves 0 to the root of the step, which is 256 roundings of the size of the point."""
    exact = ExactSet(Psi(logarithm, logarithmic))
    found = float(exact.value(vector(3.0, -1e-17)))
    assert found == pytest.approx(-math.log(3) - math.log(3 * ROUNDING), rel=1e-9)


@pytest.mark.parametrize("size", [0.0, 1e-200])
def test_no_prox_is_asked_for_without_a_step(size):
    def prox(w, step):
        if not step > 0:
            raise ValueError("a step is positive")
        return w.clone()

    assert float(ExactSet(Psi(lambda w: math.inf, prox)).value(vector(size))) == math.inf


def sums_to_zero(w, step):
    return w - w.sum() / w.numel()


#: The sum of its projection is rounding, 1e-7.
LARGE = 1e9 * vector(-8.0, 7.0, 0.0, 1.0, 0.0) / 7


def test_a_large_member_of_a_cone_is_a_member_where_its_multiple_of_size_one_is():
    """The tolerance, 1e-9, is below a rounding of an entry of 1e9."""
    exact = ExactSet(Psi(infinite(lambda w: abs(float(w.sum())) > 1e-9), sums_to_zero))
    assert 1e-9 < abs(float(sums_to_zero(LARGE, 1.0).sum())) < 1e-6
    assert float(exact.value(LARGE)) == 0
    assert float(exact.value(LARGE + 1.0)) == math.inf


def test_a_multiple_tells_nothing_of_a_psi_that_is_more_than_a_cone():
    def value(w):
        return math.inf if abs(float(w.sum())) > 1e-9 else w.abs().sum()

    assert float(ExactSet(Psi(value, sums_to_zero)).value(LARGE)) == math.inf


@pytest.mark.parametrize(("size", "value"), [(0.05, math.inf), (1.0, math.inf), (1.5, 0.0), (6.0, 0.0)])
def test_a_multiple_decides_of_points_above_size_one_alone(size, value):
    """A value that is infinite at that size alone: of a small member it says what it says."""
    exact = ExactSet(Psi(infinite(lambda w: abs(float(w.abs().max()) - size) < 1e-3)))
    assert float(exact.value(vector(size, 0.0))) == value


def test_a_multiple_says_nothing_of_a_set_that_is_no_cone():
    """Entries up to 2, by a value that takes none above 1.5."""
    exact = ExactSet(Psi(infinite(lambda w: float(w.max()) > 1.5), lambda w, step: w.clamp(min=1.0, max=2.0)))
    assert float(exact.value(vector(2.0, 2.0))) == math.inf


@pytest.mark.parametrize(
    ("prox", "value"), [(nonnegative, 0.0), (at_most_one, 0.0), (lambda w, step: w + 0.5, math.inf)]
)
def test_zero_is_a_member_where_its_projection_is_zero(prox, value):
    """Which leaves no length that a distance could be a share of."""
    outside = Psi(infinite(lambda w: not torch.equal(w, prox(w, 1.0))), prox)
    assert float(ExactSet(outside).value(torch.zeros(3, dtype=torch.float64))) == value
