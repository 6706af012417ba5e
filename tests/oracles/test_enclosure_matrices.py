"""Matrices of an enclosure by themselves: what is proved of a norm, and factors that a Newton step leads to."""

from typing import Any

import numpy as np
import pytest

from ramda_verify.oracles.atoms import Spectral
from ramda_verify.oracles.atoms.functions import ABS
from ramda_verify.oracles.enclosure import balls, factors, spectral
from ramda_verify.oracles.enclosure.balls import flint
from ramda_verify.oracles.enclosure.factors import refined
from ramda_verify.oracles.enclosure.matrices import matrix, orthonormal, positive_definite, spectral_norm_at_most
from ramda_verify.oracles.enclosure.spectral import SpectralPart

ONE = flint.arb(1)


@pytest.fixture(autouse=True)
def bits_at_first():
    with flint.ctx.workprec(192):
        yield


def exact(*numbers):
    return [flint.arb(number) for number in numbers]


def floats(found):
    return [float(ball) for ball in found]


@pytest.mark.parametrize(
    ("entries", "definite"),
    [
        ([[2.0, 1.0], [1.0, 2.0]], True),
        ([[1.0, 1.0], [1.0, 1.0]], False),
        ([[0.0]], False),
        ([[-1.0]], False),
        ([[1.0, 2.0], [2.0, 1.0]], False),
        ([[1.0, 2.0, 0.0], [2.0, 5.0, 1.0], [0.0, 1.0, 2.0]], True),
        ([[1.0, 2.0, 0.0], [2.0, 5.0, 1.0], [0.0, 1.0, 1.0]], False),
    ],
)
def test_matrices_that_are_positive_definite(entries, definite):
    assert positive_definite(matrix(np.array(entries))) is definite


def test_a_bound_that_is_met_exactly_is_not_exceeded_though_not_proved():
    assert not spectral_norm_at_most(matrix(np.eye(2)), ONE)
    assert spectral_norm_at_most(matrix(np.zeros((2, 3))), ONE)


def test_columns_become_orthonormal_to_the_precision():
    almost = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 2)))[0]
    with flint.ctx.workprec(400):
        found = orthonormal(matrix(almost))
        gram = (found.transpose() * found - matrix(np.eye(2))).entries()
        assert float(balls.length(gram)) <= 2.0**-380
        assert all(entry.is_exact() for entry in found.entries())


def spectral_part(left, core, right, price=0.5):
    shape = (len(left), len(right))
    part = SpectralPart(Spectral(1.0, np.arange(shape[0] * shape[1]), shape, ABS), flint.arb(price), len(core))
    part.left, part.core, part.right = matrix(left), matrix(core), matrix(right)
    return part


def at_the_solution(price=0.5):
    """diag(4, 1) with the metric 1, and the gradient ``-price*I`` of what is not psi: the gradient of all is zero."""
    part = spectral_part(np.eye(2), np.diag([4.0, 1.0]), np.eye(2), price)
    return part, exact(4, 0, 0, 1), exact(-price, 0, 0, -price), exact(1, 1, 1, 1)


def test_factors_at_the_solution_are_kept():
    found: Any = refined(*at_the_solution())
    left, core, right = found
    assert floats(core.entries()) == pytest.approx([4.0, 0.0, 0.0, 1.0], abs=1e-15)
    for factor in (left, right):
        assert floats(factor.entries()) == pytest.approx([1.0, 0.0, 0.0, 1.0], abs=1e-15)


def test_factors_are_sought_for_small_matrices_of_full_core(monkeypatch):
    """(2 + 2)*2 entries."""
    monkeypatch.setattr(factors, "MOST_ENTRIES", 8)
    assert refined(*at_the_solution()) is not None
    monkeypatch.setattr(factors, "MOST_ENTRIES", 7)
    assert refined(*at_the_solution()) is None
    monkeypatch.undo()
    part, *rest = at_the_solution()
    part.core = matrix(np.diag([4.0, 0.0]))
    assert refined(part, *rest) is None


def test_where_the_equation_of_a_step_has_no_numbers_the_factors_stay(monkeypatch):
    part, y, slope, d = at_the_solution()
    slope[1] = flint.arb(0.25)
    moved = refined(part, y, slope, d)[1]
    assert abs(float(moved[0, 1])) > 1e-3

    def fails(*given, **options):
        raise np.linalg.LinAlgError("no convergence")

    monkeypatch.setattr(np.linalg, "pinv", fails)
    assert floats(refined(part, y, slope, d)[1].entries()) == pytest.approx([4.0, 0.0, 0.0, 1.0], abs=1e-15)
    monkeypatch.undo()
    part.price = flint.arb(2) ** 2000
    huge = [entry * flint.arb(2) ** 2000 for entry in slope]
    assert floats(refined(part, y, huge, d)[1].entries()) == pytest.approx([4.0, 0.0, 0.0, 1.0], abs=1e-15)


def test_a_part_of_singular_values_is_refined_once_and_where_there_is_something_to_refine():
    part, *rest = at_the_solution()
    found = part.refined(*rest)
    assert isinstance(found, SpectralPart)
    assert found.refined(*rest) is None
    assert floats(found.nearby(exact(9, 9, 9, 9))) == pytest.approx([4.0, 0.0, 0.0, 1.0], abs=1e-15)
    free, *rest = at_the_solution(0.0)
    assert free.refined(*rest) is None
    nothing = spectral_part(np.zeros((2, 0)), np.zeros((0, 0)), np.zeros((2, 0)))
    assert nothing.refined(*rest) is None


def test_ranks_that_a_matrix_may_have():
    def ranks(*values):
        part = SpectralPart(Spectral(1.0, np.arange(9), (3, 3), ABS), ONE)
        choices: Any = part.choices(exact(*np.diag(values).ravel()), 2.0**-52)
        return [choice.rank for choice in choices]

    assert ranks(0.0, 0.0, 0.0) == [0]
    assert ranks(1.0, 1.0, 0.5) == [3]
    assert ranks(1.0, 1e-5, 0.0) == [2, 1]
    assert ranks(1.0, 1e-5, 3.5 * 2.0**-52) == [3, 2, 1]
    assert ranks(1.0, 1e-5, 2.5 * 2.0**-52) == [2, 1]


def test_a_matrix_without_a_decomposition_is_taken_for_zero():
    """Any vectors will do, as what is proved does not rest on them."""
    left, sigma, right = spectral._decomposed(np.full((2, 3), np.nan))
    assert sigma.tolist() == [0.0, 0.0]
    np.testing.assert_allclose(left @ left.T, np.eye(2), atol=1e-15)
    np.testing.assert_allclose(right @ right.T, np.eye(2), atol=1e-15)


@pytest.mark.parametrize(("power", "unit"), [(0, 0), (400, 0), (-400, 0), (600, 600), (-600, -600), (5000, 5000)])
def test_numbers_beyond_the_range_are_read_in_a_unit(power, unit):
    factor = flint.arb(2) ** power
    found, scale = spectral._floats([factor * 0.75, factor * -0.5], (1, 2))
    assert scale == flint.arb(2) ** unit
    assert found.tolist() == [[0.75 * 2.0 ** (power - unit), -0.5 * 2.0 ** (power - unit)]]


def test_numbers_that_are_all_zero_or_none_need_no_unit():
    found, scale = spectral._floats([flint.arb(0)] * 2, (1, 2))
    assert (found.tolist(), float(scale)) == ([[0.0, 0.0]], 1.0)
    assert spectral._floats([], (0, 2))[0].shape == (0, 2)


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (2, 2)])
def test_a_decomposition_has_as_many_vectors_as_singular_values(shape):
    values = np.zeros(shape)
    values[0, 1], values[1, 0] = 3.0, -2.0
    left, sigma, right = spectral._decomposed(values)
    assert (left.shape, sigma.tolist(), right.shape) == ((shape[0], 2), [3.0, 2.0], (2, shape[1]))
    assert (left * sigma) @ right == pytest.approx(values)


def nothing(price=0.5):
    return spectral_part(np.zeros((2, 0)), np.zeros((0, 0)), np.zeros((2, 0)), price)


@pytest.mark.parametrize(
    ("wanted", "nearest"),
    [
        ((0.25, -0.125), (0.25, -0.125)),
        ((0.75, 0.25), (0.5, 0.25)),
        ((-0.75, 0.625), (-0.5, 0.5)),
        ((50.0, 0.25), (0.5, 0.25)),
        ((2.0**45, 0.0), (0.5, 0.0)),
    ],
)
def test_at_zero_every_matrix_up_to_the_price_is_a_subgradient(wanted, nearest):
    found = nothing().member(exact(0, 0, 0, 0), exact(wanted[0], 0, 0, wanted[1]))
    assert floats(found.u) == pytest.approx([nearest[0], 0.0, 0.0, nearest[1]], rel=1e-8, abs=1e-12)
    assert (float(found.slack), found.nearest) == (0.0, False)


def test_beside_a_matrix_of_low_rank_what_crosses_it_is_the_price():
    """At diag(3, 0) the first entry is the price, the second row and column are otherwise free up to it."""
    part = spectral_part(np.eye(2)[:, :1], np.array([[3.0]]), np.eye(2)[:, :1])
    for wanted, nearest in ((0.25, 0.25), (-0.75, -0.5), (9.0, 0.5)):
        found = part.member(exact(3, 0, 0, 0), exact(7, 7, 7, wanted))
        assert floats(found.u) == pytest.approx([0.5, 0.0, 0.0, nearest], rel=1e-9, abs=1e-12)
        assert 0 <= float(found.slack.upper()) <= 1e-12
        assert not found.nearest
    assert float(part.value(exact(3, 0, 0, 0))) == pytest.approx(1.5)


def test_without_a_price_there_is_one_subgradient():
    found = nothing(0.0).member(exact(0, 0, 0, 0), exact(1, 2, 3, 4))
    assert (floats(found.u), float(found.slack), found.nearest) == ([0.0] * 4, 0.0, True)


def test_where_no_bound_can_be_proved_nothing_is_known():
    """Of factors that are twice as long as they should be."""
    part = spectral_part(2 * np.eye(2)[:, :1], np.array([[3.0]]), np.eye(2)[:, :1])
    found = part.member(exact(6, 0, 0, 0), exact(7, 7, 7, 0))
    assert balls.above(found.slack) == np.inf
    assert not found.nearest
