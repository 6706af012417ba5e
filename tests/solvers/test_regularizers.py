"""Constructors and proxes: what they refuse, and identities between regularizers."""

import dataclasses
import math
import re
from typing import Any

import numpy as np
import pytest
import torch

import solvers
from ramda_verify.engine.targets import known_regularizers
from solvers import L1, GroupLasso, MetricProx, NuclearNorm, Regularizer, Zero
from solvers.regularizers import OPTIONAL_MEMBERS
from solvers.regularizers.base import offers, require_regularizer
from tests.registry import REGULARIZERS, bad_arguments, good_regularizers, weighted

BAD_PROX = [
    pytest.param([1.0], 1.0, TypeError, "w must be a torch.Tensor, got list", id="list"),
    pytest.param(np.ones((2, 2)), 1.0, TypeError, "w must be a torch.Tensor, got ndarray", id="array"),
    pytest.param(torch.ones(2, 2, dtype=torch.int64), 1.0, TypeError, "w must be a dense real floating", id="integer"),
    pytest.param(torch.ones(2, 2, dtype=torch.complex64), 1.0, TypeError, "w must be a dense real", id="complex"),
    pytest.param(torch.ones(2, 2).to_sparse(), 1.0, TypeError, "w must be a dense real", id="sparse"),
    pytest.param(torch.ones(0, 2), 1.0, ValueError, "w must have at least one entry", id="empty"),
    pytest.param(torch.ones(2, 2), 0.0, ValueError, "step must be finite and > 0, got 0.0", id="step-zero"),
    pytest.param(torch.ones(2, 2), -1, ValueError, "step must be finite and > 0, got -1", id="step-negative"),
    pytest.param(torch.ones(2, 2), math.nan, ValueError, "step must be finite and > 0, got nan", id="step-nan"),
    pytest.param(torch.ones(2, 2), math.inf, ValueError, "step must be finite and > 0, got inf", id="step-infinite"),
    pytest.param(torch.ones(2, 2), "1", TypeError, "step must be a number > 0, got '1'", id="step-text"),
]


@pytest.mark.parametrize(("cls", "arguments", "error", "message"), list(bad_arguments()))
def test_bad_arguments(cls, arguments, error, message):
    with pytest.raises(error, match=message):
        cls(**arguments)


@pytest.mark.parametrize("regularizer", [*(row.plain for row in REGULARIZERS), Zero()], ids=repr)
@pytest.mark.parametrize(("w", "step", "error", "message"), BAD_PROX)
def test_bad_prox_input(regularizer, w, step, error, message):
    with pytest.raises(error, match=message):
        regularizer.prox(w, step)


@pytest.mark.parametrize(
    ("regularizer", "shape"), [(row.plain, shape) for row in REGULARIZERS for shape in row.bad_shapes], ids=str
)
def test_shapes_where_psi_is_not_defined(regularizer, shape):
    with pytest.raises(ValueError, match=re.escape(str(shape))):
        regularizer.check_shape(shape)


def test_a_class_is_no_regularizer():
    with pytest.raises(TypeError, match="got the class L1; call it first"):
        require_regularizer("regularizer", L1)


def test_every_missing_method_is_named():
    class OnlyValue:
        def value(self, w):
            return w.sum()

    with pytest.raises(TypeError, match=r"lacks prox$"):
        require_regularizer("psi", OnlyValue())
    with pytest.raises(TypeError, match=r"psi must have the methods .* lacks value, prox$"):
        require_regularizer("psi", object())


@pytest.mark.parametrize("regularizer", list(good_regularizers()))
def test_frozen_and_equal_by_value(regularizer: Any):
    twin = dataclasses.replace(regularizer)
    assert isinstance(regularizer, Regularizer)
    assert regularizer == twin
    assert hash(regularizer) == hash(twin)
    assert eval(repr(regularizer), vars(solvers)) == regularizer
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(regularizer, dataclasses.fields(regularizer)[0].name, 1.0)


def test_every_registered_regularizer_has_a_row():
    assert {*known_regularizers().values()} == {row.cls for row in REGULARIZERS}


def test_offers_reads_flags_and_members():
    class Flags:
        convex = False
        separable = True

    assert not offers(Flags(), "convex")
    assert offers(Flags(), "separable")
    assert not offers(Flags(), "zero_mask")
    absent = ("shapes", "as_cvxpy", "for_layout", "prox_with_derivative", "violation", "dtypes")
    assert all(offers(L1(1.0), member) for member in OPTIONAL_MEMBERS if member not in absent)
    with pytest.raises(KeyError):
        offers(Flags(), "no such member")


def test_an_overridden_prox_voids_what_restates_it():
    class Halved(NuclearNorm):
        def prox(self, w, step):
            return super().prox(w, step) / 2

    class HalvedTwice(Halved):
        def prox_with_derivative(self, w, step):
            return super().prox_with_derivative(w, step)

    class Elsewhere(NuclearNorm):
        def value(self, w):
            return super().value(w)

    assert offers(NuclearNorm(1.0), "prox_with_derivative")
    assert not offers(Halved(1.0), "prox_with_derivative")
    assert offers(HalvedTwice(1.0), "prox_with_derivative")
    assert offers(Elsewhere(1.0), "prox_with_derivative")
    patched = Elsewhere(1.0)
    object.__setattr__(patched, "prox", lambda w, step: w)
    assert not offers(patched, "prox_with_derivative")


def test_groups_of_size_one_are_l1(random):
    B, D = torch.tensor(random.standard_normal((1, 50))), torch.tensor(10.0 ** random.uniform(-3, 3, (1, 50)))
    group, entry = GroupLasso(0.3, "input"), L1(0.3)
    torch.testing.assert_close(group.value(B), entry.value(B), rtol=1e-14, atol=0)
    torch.testing.assert_close(group.prox(B, 1.7), entry.prox(B, 1.7), rtol=1e-14, atol=1e-15)
    torch.testing.assert_close(group.metric_prox(B, D, 1.7).point, entry.metric_prox(B, D, 1.7), rtol=1e-13, atol=1e-15)


def test_one_row_or_column_has_its_norm_as_nuclear_norm(random):
    w = torch.tensor(random.standard_normal((7, 1)))
    vector = w.norm()
    torch.testing.assert_close(NuclearNorm(2.0).value(w), 2 * vector)
    torch.testing.assert_close(NuclearNorm(2.0).prox(w, 0.1), w * (1 - 0.2 / vector))
    torch.testing.assert_close(GroupLasso(2.0 / math.sqrt(7), "input").prox(w, 0.1), w * (1 - 0.2 / vector))


def test_blockwise_max_is_the_largest_entry_of_each_group(random):
    D = torch.tensor(random.uniform(1, 9, (3, 4, 2)))
    by_column = GroupLasso(1.0, "channel").blockwise_max(D)
    assert by_column.flatten().tolist() == [float(D[:, j].max()) for j in range(4)]
    assert torch.equal(L1(1.0).blockwise_max(D), D)


def test_values_by_hand():
    w = torch.tensor([[3.0, 0.0], [4.0, 0.0]], dtype=torch.float64)
    assert float(L1(2.0).value(w)) == 14.0
    assert float(GroupLasso(2.0, "input").value(w)) == pytest.approx(2 * math.sqrt(2) * 5)
    assert float(GroupLasso(2.0, "output").value(w)) == pytest.approx(2 * math.sqrt(2) * 7)
    assert float(NuclearNorm(2.0).value(w)) == pytest.approx(10)
    assert float(Zero().value(w)) == 0.0


def test_structure_and_sparsity_by_hand():
    w = torch.tensor([[3.0, 0.0, 1.0], [4.0, 0.0, 0.0]])
    assert GroupLasso(1.0, "input").structure(w).tolist() == [True, False, True]
    assert GroupLasso(1.0, "input").sparsity(w) == (2, 6)
    assert GroupLasso(1.0, "output").sparsity(w) == (0, 6)
    assert L1(1.0).sparsity(w) == (3, 6)
    assert NuclearNorm(1.0).sparsity(w) == (0, 2)
    assert NuclearNorm(1.0).sparsity(torch.ones(3, 4)) == (2, 3)
    assert int(NuclearNorm(1.0).structure(torch.zeros(3, 4))) == 0
    assert Zero().sparsity(w) == (0, 0)


def test_groups_of_negative_entries_are_not_zero():
    w = torch.tensor([[-3.0, 0.0, -1.0], [-4.0, 0.0, -2.0]])
    assert GroupLasso(1.0, "input").structure(w).tolist() == [True, False, True]
    assert GroupLasso(1.0, "input").sparsity(w) == (2, 6)
    assert L1(1.0).structure(w).tolist() == [[True, False, True]] * 2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("regularizer", weighted(1e-3), ids=repr)
def test_value_of_sixteen_bits_is_summed_in_float32(regularizer, dtype):
    """A sum of 6000 numbers in bfloat16 would stop to grow at 256 times the size of one."""
    w = torch.randn(60, 100).to(dtype)
    found = regularizer.value(w)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), regularizer.value(w.double()), rtol=1e-5, atol=0)


@pytest.mark.parametrize("shape", [(300, 2), (2, 300)])
@pytest.mark.parametrize(("dtype", "factor", "rank"), [(torch.float32, 0.5, 1), (torch.float32, 2.0, 2)])
def test_rank_of_a_long_matrix_near_its_rounding(shape, dtype, factor, rank):
    """Counted are singular values above max(m, n)*eps times the largest."""
    smaller = factor * max(shape) * torch.finfo(dtype).eps
    w = torch.zeros(shape, dtype=dtype)
    w[0, 0], w[1, 1] = 1.0, smaller
    assert int(NuclearNorm(1.0).structure(w)) == rank


def test_metric_prox_record_is_a_pair():
    point, iterations = GroupLasso(1.0).metric_prox(torch.ones(2, 2), torch.ones(2, 2), 0.1)
    assert isinstance(MetricProx(point, iterations), tuple)
    assert iterations >= 1


@pytest.mark.parametrize("found", [torch.ones(2), (torch.ones(2), 1), MetricProx(torch.ones(2), 1)])
def test_a_metric_prox_may_return_a_point_or_a_pair(found):
    point, iterations = MetricProx.of(found)
    assert (point.tolist(), iterations) == ([1.0, 1.0], 1)


@pytest.mark.parametrize("found", [None, 3.0, [torch.ones(2), 1], (torch.ones(2),), (1, torch.ones(2)), ()])
def test_what_else_a_metric_prox_returns_is_refused(found):
    with pytest.raises(TypeError, match=r"metric_prox must return a tensor or a pair \(point, iterations\), got "):
        MetricProx.of(found)
