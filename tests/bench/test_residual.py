"""The judge of a step agrees with the oracle and rejects a wrong step."""

import math

import numpy as np
import pytest
import torch

from experiments.bench.cases.quality import iteration_row, judged_residuals, residual_row
from experiments.bench.plan import Plan
from experiments.bench.residual import nuclear_residual, relative_residual, step_residuals, structured_by_step
from experiments.bench.shapes import Entry, ParameterList, mlp
from experiments.bench.workload import group_axis, grouped, make_workload, warmed_up, zero_group_share
from ramda_verify.oracles.certificate import stationarity
from solvers import L1, GroupLasso, NuclearNorm, SparseGroupLasso, Subproblem, Zero, solve

CPU = torch.device("cpu")
MIXED = ParameterList(
    "one of each kind",
    (
        Entry("linear", (30, 40), "input"),
        Entry("rows", (40, 30), "output"),
        Entry("convolution", (8, 12, 3, 3), "channel"),
        Entry("filters", (12, 8, 3, 3), "filter"),
        Entry("bias", (30,)),
    ),
)


@pytest.fixture
def optimizer():
    return warmed_up(make_workload(MIXED, CPU))


@pytest.mark.parametrize(
    ("grouping", "layout", "axis"),
    [("input", "out_in", 1), ("output", "out_in", 0), ("input", "in_out", 0), ("filter", "in_out", 1)],
)
@pytest.mark.parametrize("wrong", [0.0, 1e-3, 1.0])
def test_group_residual_is_that_of_the_oracle(grouping, layout, axis, wrong):
    psi = GroupLasso(0.7, grouping, layout)
    assert group_axis(psi) == axis
    B, D = 3 * torch.randn(20, 12, dtype=torch.float64), 0.1 + torch.rand(20, 12, dtype=torch.float64)
    B.select(axis, 0).mul_(1e-2)
    Z = solve(Subproblem(B, D, 0.9, psi), tolerance=0.0).point + wrong * torch.randn(20, 12, dtype=torch.float64)
    Z.select(axis, 1).zero_()
    price = 0.9 * 0.7 * math.sqrt(B.numel() / B.shape[axis])
    expected = stationarity(Z.numpy(), B.numpy(), D.numpy(), 0.9, psi) / np.linalg.norm(B.numpy())
    assert relative_residual(Z, B, D, price, axis) == pytest.approx(expected, rel=1e-9, abs=1e-14)


@pytest.mark.parametrize(
    ("psi", "named"),
    [(GroupLasso(0.7, "channel", conv_groups=2), "conv_groups"), (SparseGroupLasso(0.7, 0.1), "entry_weight")],
)
def test_groups_without_a_formula_of_the_benchmark_are_refused(psi, named):
    with pytest.raises(ValueError, match=named):
        grouped(psi)


@pytest.mark.parametrize("psi", [None, Zero(), L1(0.7), NuclearNorm(0.7)], ids=repr)
def test_others_have_no_groups(psi):
    assert not grouped(psi)


@pytest.mark.parametrize("wrong", [0.0, 1e-2])
def test_nuclear_residual_is_at_most_that_of_the_oracle(wrong):
    B, D = torch.randn(14, 9, dtype=torch.float64), 0.5 + torch.rand(14, 9, dtype=torch.float64)
    psi = NuclearNorm(1.0)
    Z = solve(Subproblem(B, D, 1.2, psi), tolerance=1e-9).point + wrong * torch.randn(14, 9, dtype=torch.float64)
    expected = stationarity(Z.numpy(), B.numpy(), D.numpy(), 1.2, psi)
    found = nuclear_residual(Z, B, D, 1.2)
    assert found <= 1.001 * expected + 1e-9
    assert (found > 1e-3) == (wrong > 0)


def test_a_right_step_holds(optimizer):
    row = residual_row("mixed", optimizer, Plan())
    assert row.holds is True
    assert row.detail["subproblems"] == 2 * len(MIXED.entries)


def test_inner_iterations_are_counted(optimizer):
    row = iteration_row("mixed", make_workload(MIXED, CPU), optimizer, Plan())
    assert 1 < row.low <= row.ratio <= row.high <= 20
    assert row.detail["subproblems"] == 4


def test_half_of_the_groups_are_zero(optimizer):
    assert 0.3 < zero_group_share(optimizer) < 0.7


@pytest.mark.parametrize("name", [entry.name for entry in MIXED.entries])
def test_a_wrong_step_does_not_hold(optimizer, name):
    index = [entry.name for entry in MIXED.entries].index(name)
    structured = structured_by_step(optimizer)
    (wrong,) = (param for param in structured if param.shape == MIXED.entries[index].shape)
    structured[wrong] = structured[wrong] * (1 + 1e-3)
    assert judged_residuals("mixed", step_residuals(optimizer, structured), Plan()).holds is False


def test_a_step_that_the_solver_got_wrong_does_not_hold(optimizer, monkeypatch):
    original = type(optimizer).mix
    monkeypatch.setattr(
        type(optimizer), "mix", lambda self, point, found, group: 1.001 * original(self, point, found, group)
    )
    for group in optimizer.param_groups:
        # Whoever changes a formula has to leave the kernels behind.
        group.setdefault("momentum", 0.1)
    if hasattr(optimizer, "backend"):
        optimizer.backend = "plain"
    assert judged_residuals("mixed", step_residuals(optimizer, structured_by_step(optimizer)), Plan()).holds is False


def test_a_wrong_state_does_not_hold(optimizer):
    structured = structured_by_step(optimizer)
    param = next(iter(structured))
    optimizer.state[param]["grad_sum"].mul_(1 + 1e-3)
    assert judged_residuals("mixed", step_residuals(optimizer, structured), Plan()).holds is False


def test_a_residual_that_is_no_number_does_not_hold():
    row = judged_residuals("mixed", [1e-8, math.nan, 1e-7], Plan())
    assert row.holds is False


def test_slices_change_nothing(optimizer, monkeypatch):
    structured = optimizer.structured_iterate()
    whole = step_residuals(optimizer, structured)
    monkeypatch.setattr("experiments.bench.residual.SLICE_ENTRIES", 100)
    assert step_residuals(optimizer, structured) == pytest.approx(whole, rel=1e-9)


def test_momentum_is_given_back():
    optimizer = warmed_up(make_workload(mlp((20, 10, 5)), CPU), momentum=0.25)
    structured_by_step(optimizer)
    assert {group["momentum"] for group in optimizer.param_groups} == {0.25}
