"""Problems brought to size 1, and what counts as a homogeneous psi."""

import math

import numpy as np
import pytest
import torch
from hypothesis import find
from hypothesis import strategies as st

from ramda_verify.checks.subproblem.units import (
    ValueAndProx,
    homogeneous,
    methods_of,
    of_unit_size,
    unit_problem,
    with_drawn,
)
from ramda_verify.engine.record import NothingClaimed
from solvers import L1, MCP, NuclearNorm, Subproblem
from tests.plug_ins.right.convex_entries import ByClamp, Nothing

ONES = torch.ones(2, 2, dtype=torch.float64)


class OffAboveSomeSize(L1):
    """The value is larger by a share of itself where an entry is above 1500."""

    off = 0.0

    def value(self, w):
        return super().value(w) * (1 + (self.off if float(w.abs().max()) > 1500 else 0.0))


class OffAtStepTwo(L1):
    """The first entry of the prox is larger by ``off`` where the step is 2."""

    off = 0.0

    def prox(self, w, step):
        found = super().prox(w, step)
        found[0, 0] += self.off if step == 2 else 0.0
        return found


class LinearOnlyBetween(L1):
    """|w| from 998.5 to 1998.5, its square elsewhere."""

    def value(self, w):
        size = w.abs()
        return torch.where((size > 998.5) & (size < 1998.5), size, size * size).sum()


def wrong(cls, off):
    regularizer = cls(1.0)
    object.__setattr__(regularizer, "off", off)
    return regularizer


@pytest.mark.parametrize(("share", "agrees"), [(0.0, True), (0.9e-12, True), (-0.9e-12, True), (1.1e-12, False)])
def test_psi_of_twice_the_point_may_be_off_by_1e_12_of_itself(share, agrees):
    assert homogeneous(wrong(OffAboveSomeSize, share), ONES) == agrees


@pytest.mark.parametrize(("share", "agrees"), [(0.9e-12, True), (-0.9e-12, True), (1.1e-12, False), (-1.1e-12, False)])
def test_the_prox_of_twice_the_point_may_be_off_by_1e_12_of_its_largest_entry(share, agrees):
    """The largest entry is 4000, far from the one that is off; psi itself must be as close, relative to its sum."""
    point = torch.tensor([[1.0, 4.0], [-4.0, 0.5]], dtype=torch.float64)
    regularizer = wrong(OffAtStepTwo, share * 4000)
    assert homogeneous(regularizer, point) == agrees


def test_psi_is_looked_at_a_thousand_times_out():
    assert homogeneous(LinearOnlyBetween(1.0), ONES)


@pytest.mark.parametrize("regularizer", [Nothing(), L1(1e9)])
def test_a_psi_that_is_zero_where_the_prox_ends_shows_no_scale(regularizer):
    assert not homogeneous(regularizer, ONES)


def test_a_psi_that_is_NaN_is_not_homogeneous():
    class Lost(L1):
        def value(self, w):
            return super().value(w) * math.nan

    assert not homogeneous(Lost(1.0), ONES)


def test_value_prox_and_convexity_are_all_that_is_left():
    kept = ValueAndProx(L1(0.5))
    assert kept.convex
    assert float(kept.value(ONES)) == 2.0
    assert kept.prox(ONES, 1.0).tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert not hasattr(kept, "subgradient_residual")
    assert not ValueAndProx(MCP(1.0)).convex


def methods_for(regularizer):
    return methods_of(Subproblem(ONES, ONES, 1.0, regularizer))


def test_every_method_is_tried_and_the_splitting_where_psi_is_convex():
    for convex in (ByClamp(), NuclearNorm(1.0)):
        methods = methods_for(convex)
        assert sorted(methods) == ["accelerated", "auto", "proximal_gradient", "splitting"]
        assert methods[0] == "auto"
    assert "splitting" not in methods_for(MCP(1.0))


def test_an_array_of_unit_size_has_no_dust():
    array = np.array([[-4.0, 2.0], [4e-10, 0.99 * 4e-10]])
    assert of_unit_size(array).tolist() == [[-1.0, 0.5], [1e-10, 0.0]]
    assert of_unit_size(np.array([1e-300])).tolist() == [1.0]
    with pytest.raises(NothingClaimed, match="zero"):
        of_unit_size(np.zeros(3))


@pytest.mark.parametrize(("lam", "weight"), [(6.0, 1.5), (400.0, 100.0), (404.0, 100.0), (396.0, 99.0), (0.0, 0.0)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_unit_problem_has_the_solution_of_its_own_scale(lam, weight, dtype):
    B, D = np.array([[2.0, -4.0], [0.0, 1.0]]), np.array([[8.0, 2.0], [1.0, 4.0]])
    b, d, found = unit_problem(B, D, lam, dtype)
    assert b.dtype is d.dtype is dtype
    assert b.tolist() == [[0.5, -1.0], [0.0, 0.25]]
    assert d.tolist() == [[1.0, 0.25], [0.125, 0.5]]
    assert found == weight


def test_of_a_negligible_B_the_weight_is_capped():
    assert unit_problem(np.array([1e-310, 0.0]), np.ones(2), 1e-300, torch.float64)[2] == 100.0


def test_further_entries_are_drawn_by_what_a_case_holds():
    cases = with_drawn(
        st.fixed_dictionaries({"n": st.integers(3, 5)}), lambda case: {"more": st.integers(case["n"], case["n"] + 1)}
    )
    assert find(cases, lambda case: case["more"] > case["n"]) == {"n": 3, "more": 4}
    assert find(cases, lambda case: case["n"] == 5) == {"n": 5, "more": 5}
