"""What is allowed for rounding: what psi with own numbers and a user's inexact prox may cost, and nothing of ours."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch

from ramda_verify.cases.companions import LARGEST_ENTRY, within_reach
from ramda_verify.cases.exact_set import ExactSet, edge, is_constrained
from ramda_verify.checks import measure
from ramda_verify.checks.regularizer.objective import ProxProblem, Psi
from ramda_verify.checks.subproblem import choice, solutions
from ramda_verify.checks.subproblem.batches import Problems
from ramda_verify.checks.subproblem.solutions import model
from ramda_verify.engine.record import NothingClaimed
from solvers import L1, MCP, GroupLasso
from solvers.regularizers.simplex import Simplex
from tests.plug_ins.right.convex_entries import Ridge, SoftThreshold
from tests.plug_ins.right.nonconvex_entries import HalfPower
from tests.plug_ins.right.own_numbers import LogSum, Monotone, Semidefinite, SortedSimplex
from tests.plug_ins.right.sets import Hyperplane, L1Ball
from tests.plug_ins.right.spectral import LogDeterminant, RootsOfSingularValues
from tests.plug_ins.wrong.own_numbers import SemidefiniteByMagnitude


class CountsAboveOne:
    """A value alone: as many as exceed one."""

    def value(self, w):
        return (w > 1).sum().to(w.dtype)

    def prox(self, w, step):
        return w.clone()


@pytest.mark.parametrize("B", [1e6, -1.0, 0.0])
@pytest.mark.parametrize("D", [1e-12, 1e-3, 1.0])
def test_no_entry_is_larger_than_a_prox_is_asked_for(B, D):
    kept = within_reach(np.array([B, 0.5]), np.array([D, 1.0]))
    assert np.abs(kept / D).max() <= LARGEST_ENTRY * (1 + 1e-15)
    if abs(B) / D <= LARGEST_ENTRY:
        assert kept.tolist() == [B, 0.5]


@pytest.mark.parametrize("regularizer", [L1(0.3), GroupLasso(2.0), SoftThreshold()])
@pytest.mark.parametrize("shape", [(1, 1), (3, 4), (20, 40)])
def test_a_norm_has_no_number_of_its_own(regularizer, shape):
    assert Psi(regularizer, shape).own_size == 0
    assert Psi(regularizer, shape).value_at_own_size == 0


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_size_of_a_threshold_is_found_within_a_power_of_ten_or_two(scale):
    class Scaled(LogSum):
        def value(self, w):
            return super().value(w / scale)

    assert 0.03 * scale <= Psi(Scaled(), (3,)).own_size <= scale


def test_the_anchor_is_a_number_of_its_own():
    assert Psi(SortedSimplex(), (4,)).own_size >= Psi(SortedSimplex(), (4,)).anchor == pytest.approx(0.5)


@pytest.mark.parametrize("regularizer", [Monotone(), Semidefinite(), SortedSimplex()])
def test_a_set_is_recognized_that_some_directions_do_not_leave(regularizer):
    assert is_constrained(regularizer, (3, 3))
    assert not is_constrained(LogSum(), (3, 3))


@pytest.mark.parametrize("size", [1.0, 1e5, 1e9, 1e12])
def test_large_members_of_a_cone_are_members(size):
    """The tolerance of the value, 1e-9, is below a rounding of them; a matrix with a negative eigenvalue is none."""
    root = torch.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, -1.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
    exact = ExactSet(Semidefinite())
    assert float(exact.value(size * root @ root.T)) == 0
    assert float(exact.value(size * (root @ root.T - 1e-3 * torch.eye(3)))) == torch.inf
    # A prox that lands outside is not believed.
    outside = size * SemidefiniteByMagnitude().prox(root + root.T, 1.0) - size * torch.eye(3)
    assert float(exact.value(outside)) == torch.inf


def problems(regularizer, lam=2.0):
    rng = np.random.default_rng(0)
    return Problems.alone(regularizer, rng.standard_normal((3, 4)), rng.uniform(0.5, 2, (3, 4)), lam)


def test_nothing_is_allowed_for_a_prox_of_ours():
    point = torch.ones(1, 3, 4, dtype=torch.float64)
    assert problems(L1(0.5)).rounding.prox_error(point) == 0
    assert 0 < problems(SoftThreshold()).rounding.prox_error(point) < 1e-7


def test_the_step_rounds_as_it_is_long():
    point = torch.ones(1, 3, 4, dtype=torch.float64)
    short, long = (problems(SoftThreshold(), lam).rounding.prox_error(point)[0] for lam in (1.0, 1e12))
    assert long > 100 * short


def test_Q_rounds_relative_to_what_a_point_was_computed_from():
    rounding, point = problems(L1(0.5)).rounding, torch.ones(1, 3, 4, dtype=torch.float64)
    near, far = rounding.of_Q(point, point)[0], rounding.of_Q(point, 1e6 * point)[0]
    assert 0 < near < 1e-11
    assert 1e4 * near < far < 1e7 * near


@pytest.mark.parametrize("size", [1.0, 1e6, 1e9])
def test_a_barrier_is_finite_where_rounding_has_pushed_a_prox_through_its_wall(size):
    turn = torch.linalg.qr(torch.arange(9.0, dtype=torch.float64).reshape(3, 3) + torch.eye(3))[0]
    w = size * turn @ torch.diag(torch.tensor([1.0, -1.0, -0.5], dtype=torch.float64)) @ turn.mT
    exact = ExactSet(LogDeterminant())
    assert float(exact.value(exact.prox(w, 1.0))) < torch.inf
    assert float(exact.value(w)) == torch.inf


def test_an_entry_a_rounding_from_zero_has_no_kink():
    w = np.array([[-50.0, -0.0001]])
    found = measure("structure-claim", regularizer=L1(1.0), w=w, step=9.999999990000001e-05, seed=0)
    assert found.violation == 0


@pytest.mark.parametrize("step", [1e-6, 1.0, 2e6, 1e12])
def test_a_slope_at_zero_is_looked_at_where_there_are_digits(step):
    found = measure("residual-claim", regularizer=MCP(56.23413251903491, 3.0), w=np.zeros(1), step=step, seed=0)
    assert found.violation <= 1


def test_a_slope_at_zero_is_looked_at_at_the_scale_of_psi_beside_a_huge_entry():
    """At 1e-12 of the entry psi is all but constant already; one that claims twice the slope is still seen."""
    w = np.array([[-500000000000.0], [1.0]])
    assert measure("residual-claim", regularizer=MCP(1.0, 3.0), w=w, step=1.0, seed=0).violation <= 1

    class TwiceTheSlope(MCP):
        def subgradient_residual(self, point, gradient, lam):
            return super().subgradient_residual(point, gradient, 2 * lam)

    assert measure("residual-claim", regularizer=TwiceTheSlope(1.0, 3.0), w=2 * w, step=1.0, seed=0).violation > 1


def test_a_certificate_holds_for_members_of_a_simplex_that_rounding_put_beside_it():
    """An entry of 3.7e-17 beside four of 0.2: a tenth more of it is still in the set, and against the certificate."""
    B, D, start = np.zeros((1, 5, 2)), np.ones((1, 5, 2)), np.zeros((1, 5, 2))
    B[0, :, 1], D[0, 4, 0] = 2.0, 0.1
    start[0, 2:] = [[0.0, -1.0], [-1.0, -1.0], [2.0, -1.0]]
    numbers = {"B": B, "D": D, "lam": np.array([2.0]), "start": start, "iterations": 1, "seed": 0}
    assert measure("certificate-membership", regularizer=Simplex(1.0), **numbers).violation <= 0


@pytest.mark.parametrize("b", [1e-7, -1e-3, 0.0, 5.0])
@pytest.mark.parametrize(("error", "seen"), [(0.0, False), (3e-4, True)])
def test_the_gap_to_cvxpy_is_relative_to_the_solution_where_a_constraint_makes_it_large(b, error, seen, monkeypatch):
    """Of one entry, which is 1 up to a rounding, however small B is."""
    solved = solutions.solved

    def off_by_error(*given, **options):
        solution = solved(*given, **options)
        return replace(solution, point=solution.point + error)

    monkeypatch.setattr(solutions, "solved", off_by_error)
    case = {"B": np.array([b]), "D": np.array([0.9017919587589566]), "lam": 1.0}
    assert (measure("subproblem-oracle", regularizer=Simplex(radius=1.0), **case).violation > 1e-8) == seen


@pytest.mark.parametrize(("b", "claimed"), [(1e-45, False), (1e-30, False), (1e-11, True), (0.0, True), (1e13, False)])
def test_what_float32_does_not_hold_is_not_asked_in_it(b, claimed):
    case = {"B": np.array([b]), "D": np.array([1.0]), "lam": 1.0}
    with nullcontext() if claimed else pytest.raises(NothingClaimed, match="float32"):
        assert measure("members-in-float32", regularizer=Ridge(), **case).violation <= 8


@pytest.mark.parametrize(
    ("regularizer", "point", "least", "most"),
    [
        (RootsOfSingularValues(), [[0.1, 0.3], [0.2, 0.6]], 1e-9, 1e-7),  # a singular value is zero up to rounding
        (RootsOfSingularValues(), [[1.0, 0.0], [0.0, 0.0]], 0.0, 1e-14),  # or zero
        (HalfPower(), [[1.0, 0.0], [0.0, -2.0]], 0.0, 1e-14),
        (L1(0.3), [[1.0, 0.0], [0.0, -2.0]], 0.0, 1e-14),
        (CountsAboveOne(), [[1.0, 2.0], [0.5, 1.0]], 0.0, 0.0),  # entries on a jump
    ],
)
def test_only_a_psi_that_is_steep_without_end_is_moved_by_rounding(regularizer, point, least, most):
    assert least <= Psi(regularizer, (2, 2)).spread(np.array(point)) <= most


@pytest.mark.parametrize(("outside", "beaten"), [(0.9, False), (4.0, True)])
def test_a_rival_may_lie_outside_the_set_by_as_much_as_a_member(outside, beaten):
    z = np.eye(1, 900)[0]
    psi = Psi(L1Ball(), z.shape)
    problem = ProxProblem(psi, 1.000001 * z, 1.0, z)
    assert psi.at(z * (1 + 0.9 * edge(1.0, z.size))) == 0
    assert (problem.excess(z * (1 + outside * edge(1.0, z.size)), 0.0) > 1) == beaten


@pytest.mark.parametrize(("condition", "fast"), [(1.0, True), (1e6, False)])
def test_a_method_that_is_fast_by_chance_is_no_measure_for_auto(condition, fast):
    rng = np.random.default_rng(0)
    B, D = rng.standard_normal((3, 100)), condition ** -rng.uniform(0, 1, (3, 100))
    problem = model(Hyperplane(), B, D, 1.0)
    assert choice.is_always_fast(problem, "splitting", 1e-6 * float(problem.B.norm())) == fast
