"""The sparse group LASSO: its two parts alone, zeros of both kinds in training, and the compiled steps."""

import logging
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ramda_verify.oracles import float_subproblem
from solvers import (
    L1,
    GroupLasso,
    SparseGroupLasso,
    parameter_groups,
    structure_levels,
    structured_iterate,
)
from solvers.kernels import BACKENDS, StepTask, dispatch, subproblem_by_kernel
from solvers.kernels.native import Native
from solvers.kernels.subproblem import SUBPROBLEM
from solvers.regularizers.members import GroupNorms
from tests.registry import optimizers

NATIVE: Any = BACKENDS["native"]
compiled = pytest.mark.skipif(
    NATIVE.unavailable_reason() is not None, reason=f"the compiled step is optional: {NATIVE.unavailable_reason()}"
)
BUILDS = [pytest.param(Native((build,)), id=build) for build in NATIVE.builds]
#: (shape, grouping, conv_groups): columns, rows, channels, filters, pairs of a grouped and a depthwise convolution.
KINDS = [
    *(((40, 7), grouping, 1) for grouping in ("input", "output")),
    *(((6, 4, 3, 3), grouping, 1) for grouping in ("channel", "filter")),
    *(((6, 4, 3, 3), "channel", 2), ((9, 1, 3, 3), "channel", 9), ((1, 700), "output", 1)),
]


def drawn(shape, dtype=torch.float64):
    B = torch.randn(shape, dtype=torch.float64)
    D = torch.exp(torch.randn(shape, dtype=torch.float64))
    return B.to(dtype), D.to(dtype)


def test_either_part_alone():
    B, D = drawn((5, 4))
    groups, entries = SparseGroupLasso(0.3, 0.0), SparseGroupLasso(0.0, 0.3)
    for ours, other in ((groups, GroupLasso(0.3)), (entries, L1(0.3))):
        right = other.metric_prox(B, D, 1.7)
        right = right if isinstance(right, torch.Tensor) else right.point
        torch.testing.assert_close(ours.metric_prox(B, D, 1.7).point, right, rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(ours.prox(B, 1.7), other.prox(B, 1.7), rtol=1e-14, atol=1e-15)
        torch.testing.assert_close(ours.value(B), other.value(B), rtol=1e-14, atol=0)


def test_by_hand():
    """A column with a zero entry, a column that is lost to its norm, a column that is lost to its entries."""
    psi = SparseGroupLasso(1 / np.sqrt(2), 1.0)
    w = torch.tensor([[4.0, 1.5, 0.5], [1.0, -1.5, -1.0]], dtype=torch.float64)
    assert psi.prox(w, 1.0).tolist() == [[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    assert float(psi.value(w)) == pytest.approx(9.5 + np.sqrt(17) + np.sqrt(4.5) + np.sqrt(1.25))
    assert psi.zero_mask(w, 1.0).tolist() == [[False, True, True], [True, True, True]]
    assert psi.structure(w.round()).tolist() == [[True, True, False], [True, True, True]]
    assert psi.sparsity(psi.prox(w, 1.0)) == (5, 6)


@compiled
@pytest.mark.parametrize("native", BUILDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("scratch", [0, 64])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_compiled_steps_in_every_layout(native, dtype, scratch, kind):
    shape, grouping, conv_groups = kind
    psi = SparseGroupLasso(0.1, 0.6, grouping, conv_groups=conv_groups)
    B, D = drawn(shape, dtype)
    found = torch.empty_like(B)
    task = StepTask(SUBPROBLEM, B, (B, D), psi.group_norms(B), flush=0.0, averages=False)
    counts = Native(native.builds, scratch).prepare([task]).run([[1.3, 1.0]], [None], [found])
    right = torch.tensor(float_subproblem.solve(B.double().numpy(), D.double().numpy(), 1.3, psi))
    unit = 16 * torch.finfo(dtype).eps * float((B / D).abs().max())
    torch.testing.assert_close(found.double(), right, rtol=0, atol=unit)
    assert torch.equal(found == 0, right == 0)
    assert counts == ([0], [int((~psi.norms.structure(right)).sum())])


@compiled
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_a_number_that_is_not_finite_is_not_taken_for_a_zero(bad):
    B, D = drawn((5, 3))
    B[2, 1] = bad
    assert subproblem_by_kernel(B, D, 1.0, SparseGroupLasso(0.1, 10.0)) is None


@compiled
def test_parts_that_are_counted():
    """Groups; entries where groups have one, or no weight: what is counted is at most the number of parts."""
    B, D = torch.full((6, 5), 0.5), torch.ones(6, 5)
    for norms, parts in (
        (GroupNorms(0.1, 6, 5, 1, entry_weight=2.0), 5),
        (GroupNorms(0.0, 3, 5, 2, entry_weight=2.0), 30),
        (GroupNorms(0.1, 1, 30, 1, entry_weight=2.0), 30),
    ):
        found = torch.empty_like(B)
        task = StepTask(SUBPROBLEM, B, (B, D), norms, flush=0.0, averages=False)
        assert NATIVE.prepare([task]).run([[1.0, 1.0]], [None], [found]) == ([0], [parts])
        assert norms.parts == parts
        assert not found.any()


@pytest.mark.parametrize("cls", optimizers())
@pytest.mark.parametrize("kind", ["linear", "convolution"])
def test_zero_groups_and_zero_entries_in_training(cls, kind, caplog):
    """A least-squares problem in which some inputs do not matter and the others matter for some outputs."""
    layer = nn.Linear(12, 8) if kind == "linear" else nn.Conv2d(6, 4, 3)
    inputs = layer.weight.shape[1]
    goal = torch.randn(layer.weight.shape) * (torch.rand(layer.weight.shape) < 0.4)
    goal[:, inputs // 2 :] = 0
    psi = SparseGroupLasso(0.02, 0.02, "input")
    dispatch._said.clear()
    with caplog.at_level(logging.WARNING, "solvers.kernels"):
        optimizer = cls(parameter_groups(layer, **{kind: psi}), lr=0.05)
        for _ in range(200):
            optimizer.zero_grad()
            ((layer.weight - goal).square().sum() + layer.bias.square().sum()).backward()
            optimizer.step()
    w_hat = structured_iterate(optimizer)[layer.weight]
    groups = psi.norms.structure(w_hat)
    assert not groups[inputs // 2 :].any()
    assert groups[: inputs // 2].any()
    inside = w_hat[:, groups]
    assert 0 < int((inside == 0).sum()) < inside.numel()
    level = structure_levels(optimizer)["SparseGroupLasso"]
    assert (level.zeros, level.total) == (int((w_hat == 0).sum()), w_hat.numel())
    if NATIVE.unavailable_reason() is None:
        assert caplog.text == ""  # the compiled steps take it
