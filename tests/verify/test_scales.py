"""What the checks of scales claim, and where they claim nothing."""

import numpy as np
import pytest
import torch

from ramda_verify.checks import measure
from ramda_verify.checks.subproblem.far_solutions import Tilted
from ramda_verify.checks.subproblem.out_of_range import Guarded
from ramda_verify.checks.subproblem.units import homogeneous, unit_problem
from ramda_verify.engine.record import NothingClaimed
from solvers import L1, GroupLasso, NuclearNorm
from tests.plug_ins.right.nonconvex_entries import L0
from tests.plug_ins.right.sets import Box
from tests.registry import weighted
from tests.solvers.plug_ins import ConvexL1, PlainL1, Simplex, SimplexInAMetric

B, D, START = (
    np.array([[3.0, 1.0], [-2.0, 4.0]]),
    np.array([[1.0, 0.1], [0.5, 0.2]]),
    np.array([[1.0, -1.0], [0.5, 2.0]]),
)
SCALES = {"regularizer": None, "B": B, "D": D, "lam": 0.7, "start": START, "referred": False}


@pytest.mark.parametrize("regularizer", [*weighted(0.5, "convex"), PlainL1(), ConvexL1()])
def test_a_norm_is_homogeneous(regularizer):
    assert homogeneous(regularizer, torch.tensor(B))


@pytest.mark.parametrize("regularizer", [L0(), Box(), Simplex()])
def test_a_count_and_a_constraint_are_not(regularizer):
    assert not homogeneous(regularizer, torch.tensor(B))


@pytest.mark.parametrize("which", [0, 3])
@pytest.mark.parametrize("kind", ["all", "B and lam", "D"])
def test_matrix_of_the_issue_at_every_scale(kind, which):
    case = {**SCALES, "regularizer": NuclearNorm(1.0), "kind": kind, "which": which, "narrow": False}
    assert measure("scale-equivariance", **case).violation <= 0


def test_nothing_is_claimed_where_a_step_of_the_prox_is_out_of_range():
    """lam/D is above the largest float32 at 2**110 though the solution, for a small weight of psi, is below it."""
    case = {**SCALES, "regularizer": L1(1e-4), "D": D * np.array([[1e-6, 1.0], [1.0, 1.0]]), "lam": 300.0}
    assert measure("scale-equivariance", **case, kind="B and lam", which=3, narrow=True).violation <= 0


def test_a_group_at_its_threshold_may_take_other_iterations_where_lam_is_denormal():
    """At 2**-996 lam is rounded by half its last digit, and the group, of norm lam*weight to the last digit, is no
    longer seen to be zero at once: 33 iterations, 1 at s = 1.
    """
    case = {
        "regularizer": GroupLasso(reg_weight=637.8043838892178, grouping="output", conv_groups=2),
        "B": np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 300000.0]]),
        "D": np.array([[1.0, 1.0, 0.1], [1.0, 1.0, 1.0]]),
        "lam": 0.0009052152725402207,
        "start": np.ones((2, 3)),
    }
    scale = {"kind": "all", "narrow": False, "referred": True}
    assert measure("scale-equivariance", **case, **scale, which=0).violation <= 0


@pytest.mark.parametrize("check", ["metric-prox-claim", "metric-prox-search", "direct-solution-far-from-B"])
def test_a_metric_prox_may_return_any_pair(check):
    """The solver takes a plain tuple for a MetricProx; so do the checks."""

    class InPairs(L1):
        def metric_prox(self, B, D, lam):
            return super().metric_prox(B, D, lam), 3

    more = {"direction": START, "distance": 1e3} if check == "direct-solution-far-from-B" else {"seed": 0}
    assert measure(check, regularizer=InPairs(0.5), B=B, D=D, lam=0.7, **more).violation <= 0.1


def test_nothing_is_claimed_where_B_is_zero():
    with pytest.raises(NothingClaimed):
        unit_problem(np.zeros(2), np.ones(2), 1.0, torch.float64)


@pytest.mark.parametrize("distance", [1e3, 1e12])
@pytest.mark.parametrize("regularizer", [*weighted(0.5, "metric_prox"), SimplexInAMetric()])
def test_exact_direct_solution_far_from_B_passes(regularizer, distance):
    case = {"regularizer": regularizer, "B": B, "D": D, "lam": 0.7, "direction": START, "distance": distance}
    assert measure("direct-solution-far-from-B", **case).violation <= 0


def test_tilted_psi_has_the_solution_of_a_shifted_B():
    slope, b, d = (torch.tensor(array) for array in (START, B, D))
    expected = L1(0.5).prox((b - 0.7 * slope) / d, 0.7 / d)
    torch.testing.assert_close(Tilted(L1(0.5), slope).prox(b / d, 0.7 / d), expected)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_guard_raises_at_what_is_not_finite(bad):
    guarded = Guarded(L1(0.5))
    assert guarded.convex
    assert float(guarded.value(torch.ones(2))) == 1.0
    with pytest.raises(ArithmeticError):
        guarded.prox(torch.tensor([1.0, bad]), 1.0)
    with pytest.raises(ArithmeticError):
        guarded.prox(torch.ones(2), bad)


class _Raises(PlainL1):
    """Raises above 1e100."""

    def prox(self, w, step):
        if float(w.abs().max()) > 1e100:
            raise IndexError("too large")
        return super().prox(w, step)


def test_what_a_users_class_raises_at_the_top_is_its_own_affair_and_what_ours_raises_is_not(monkeypatch):
    case = {**SCALES, "shortfall": 0.0, "light": False, "narrow": False}
    assert measure("numbers-out-of-range", **{**case, "regularizer": _Raises()}).violation == 0
    monkeypatch.setattr(L1, "prox", lambda self, w, step: _Raises().prox(w, self.reg_weight * step))
    with pytest.raises(IndexError):
        measure("numbers-out-of-range", **{**case, "regularizer": L1(1.0)})
