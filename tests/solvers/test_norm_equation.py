"""The group equation at the ends of its range."""

import numpy as np
import pytest
import torch

from ramda_verify.oracles import certificate
from solvers import GroupLasso, Subproblem, solve
from solvers.regularizers import norm_equation

#: The distance of denormal numbers in float32.
SMALLEST_FLOAT32 = 2.0**-149


def relative_residual(B: torch.Tensor, D: torch.Tensor, lam: float, regularizer: GroupLasso) -> float:
    """Of the returned point, recomputed outside the library and divided by ||B||."""
    point = regularizer.metric_prox(B, D, lam).point
    residual = certificate.stationarity(point.numpy(), B.numpy(), D.numpy(), lam, regularizer)
    return residual / float(B.norm())


@pytest.mark.parametrize("exponent", [0, 2, 4, 8, 16, 24])
@pytest.mark.parametrize("lam", [1e-12, 1e-3, 0.5, 0.9, 1 - 1e-9])
def test_every_condition_number(exponent, lam, random):
    B = torch.tensor(random.standard_normal((40, 25)))
    D = torch.tensor(10.0 ** random.uniform(-exponent, 0, (40, 25)))
    D[0], D[1] = 1.0, 10.0**-exponent
    # In units of the weight at which the largest group turns zero.
    critical = float(GroupLasso(1.0, "input").groups.norm(B).max()) / np.sqrt(40)
    assert relative_residual(B, D, lam * critical, GroupLasso(1.0, "input")) <= 1e-13


@pytest.mark.parametrize("size", [1e-30, 1e-15, 1.0, 1e15, 1e30])
@pytest.mark.parametrize("metric", [1e-30, 1e-6, 1.0, 1e6])
def test_float32_extremes(size, metric, random):
    if size / metric > 1e37:
        metric = size * 1e-37
    B = torch.tensor(size * random.uniform(0.5, 1.0, (6, 5)), dtype=torch.float32)
    D = torch.tensor(metric * random.uniform(0.5, 1.0, (6, 5)), dtype=torch.float32)
    lam = 0.3 * size
    found = GroupLasso(1.0, "input").metric_prox(B, D, lam).point
    exact = GroupLasso(1.0, "input").metric_prox(B.double(), D.double(), lam).point
    assert found.dtype == torch.float32
    assert bool(torch.isfinite(found).all())
    # Below float32's smallest normal number there are fewer digits.
    tiny = torch.finfo(torch.float32).tiny
    torch.testing.assert_close(found.double(), exact, rtol=2e-6, atol=tiny)


def test_needs_few_iterations(random):
    B = torch.tensor(random.standard_normal((64, 100)))
    D = torch.tensor(10.0 ** random.uniform(-8, 0, (64, 100)))
    assert GroupLasso(0.05, "input").metric_prox(B, D, 1.0).iterations <= 10


def test_zero_weight_is_division(random):
    B, D = torch.tensor(random.standard_normal((4, 3))), torch.tensor(random.uniform(0.1, 9, (4, 3)))
    torch.testing.assert_close(GroupLasso(0.0).metric_prox(B, D, 1.0).point, B / D, rtol=1e-15, atol=0)
    torch.testing.assert_close(GroupLasso(1.0).metric_prox(B, D, 0.0).point, B / D, rtol=1e-15, atol=0)


def test_zero_groups_and_zero_problem(random):
    B = torch.tensor(random.standard_normal((4, 3)))
    B[:, 1] = 0
    D = torch.tensor(random.uniform(0.1, 9, (4, 3)))
    point = GroupLasso(0.1, "input").metric_prox(B, D, 1.0).point
    assert point[:, 1].eq(0).all()
    assert point[:, 0].ne(0).all()
    for lam in (0.0, 1.0):
        assert GroupLasso(1.0).metric_prox(torch.zeros_like(B), D, lam).point.eq(0).all()


def test_single_group(random):
    B, D = torch.tensor(random.standard_normal((6, 1))), torch.tensor(random.uniform(0.1, 9, (6, 1)))
    assert relative_residual(B, D, 0.2, GroupLasso(1.0, "input")) <= 1e-14
    solution = solve(Subproblem(B, D, 0.2, GroupLasso(1.0, "input")), tolerance=1e-12)
    assert solution.status.converged


def test_iteration_limit_is_never_the_reason_to_stop(random, monkeypatch):
    B = torch.tensor(random.standard_normal((16, 50)))
    D = torch.tensor(10.0 ** random.uniform(-24, 0, (16, 50)))
    before = GroupLasso(0.1, "input").metric_prox(B, D, 1.0)
    monkeypatch.setattr(norm_equation, "MAX_ITERATIONS", 200)
    after = GroupLasso(0.1, "input").metric_prox(B, D, 1.0)
    assert before.iterations < 20
    torch.testing.assert_close(before.point, after.point, rtol=1e-14, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_start_far_above_the_root(dtype):
    """The second-order estimate is 1e5 times the root here; Newton's step from there is nothing but rounding."""
    B, D = torch.tensor([[17.0], [5.3e7]], dtype=dtype), torch.tensor([[1.4e7], [3.3e-7]], dtype=dtype)
    for lam in (5.6e5 / 2**0.5, 1e3, 1.0, 3.7e7):
        residual = relative_residual(B, D, lam, GroupLasso(1.0, "input"))
        assert residual <= 8 * torch.finfo(dtype).eps


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("grouping", ["input", "output"])
def test_a_group_that_is_not_finite_has_no_solution(bad, dtype, grouping, random):
    B = torch.tensor(random.standard_normal((4, 3)), dtype=dtype)
    D = torch.tensor(random.uniform(0.1, 9, (4, 3)), dtype=dtype)
    regularizer = GroupLasso(0.1, grouping)
    right = regularizer.metric_prox(B, D, 1.0).point
    its_group = torch.zeros(4, 3, dtype=torch.bool)
    its_group[(slice(None), 1) if grouping == "input" else (2, slice(None))] = True
    for tensor, entry in ((B, bad), (D, abs(bad))):
        wrong = tensor.clone()
        wrong[2, 1] = entry
        found = regularizer.metric_prox(*((wrong, D) if tensor is B else (B, wrong)), 1.0).point
        assert found[its_group].isnan().all()
        assert torch.equal(found[~its_group], right[~its_group])
        batch = torch.vmap(lambda b, d: regularizer.metric_prox(b, d, 1.0).point)
        pair = [torch.stack([x, wrong if x is tensor else x]) for x in (B, D)]
        assert torch.equal(batch(*pair).isnan(), torch.stack([torch.zeros_like(its_group), its_group]))


def test_a_solution_that_overflows_is_none(random):
    B = torch.tensor(random.standard_normal((4, 3)), dtype=torch.float32)
    D = torch.ones(4, 3)
    B[:, 1], D[:, 1] = 1e20, 1e-30
    found = GroupLasso(0.1, "input").metric_prox(B, D, 1.0).point
    assert found.isnan().all(0).tolist() == [False, True, False]


def test_what_float32_cannot_solve_is_solved_in_float64(random):
    """D spreads over 74 decades; the solution fits."""
    B = torch.tensor(random.standard_normal((5, 3)), dtype=torch.float32)
    D = torch.tensor(random.uniform(1, 2, (5, 3)), dtype=torch.float32)
    D[:, 1] *= 1e-37
    D[0, 1] = 1e37
    regularizer = GroupLasso(0.5, "input")
    found, right = (regularizer.metric_prox(B.to(dtype), D.to(dtype), 1.0).point for dtype in (B.dtype, torch.float64))
    assert torch.isfinite(found).all()
    # A group that psi shortens to nearly nothing keeps the rounding of B/D, and B[0, 1]/1e37 has few digits in float32.
    assert ((found.double() - right).abs() <= 2e-6 * (B.double() / D.double()).abs() + SMALLEST_FLOAT32).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_largest_numbers_there_are(dtype):
    largest = torch.finfo(dtype).max
    for b, d in ((largest, 1.0), (largest, largest), (torch.finfo(dtype).tiny, 1.0), (1.0, largest)):
        B, D = torch.full((3, 2), b, dtype=dtype), torch.full((3, 2), d, dtype=dtype)
        found = GroupLasso(1.0, "input").metric_prox(B, D, 0.25 * b).point
        torch.testing.assert_close(found, 0.75 * B / D, rtol=8 * torch.finfo(dtype).eps, atol=torch.finfo(dtype).tiny)


def test_a_root_that_is_not_found_is_none(random, monkeypatch):
    """A group at or below its threshold has none to be found: it is zero."""
    B, D = torch.tensor(random.standard_normal((6, 5))), torch.tensor(10.0 ** random.uniform(-8, 0, (6, 5)))
    B *= torch.tensor([2.0, 2.0, 0.5, 2.0, 2.0]) * GroupLasso(0.3, "input").group_weight(B) / B.norm(dim=0)
    monkeypatch.setattr(norm_equation, "MAX_ITERATIONS", 1)
    found = GroupLasso(0.3, "input").metric_prox(B, D, 1.0).point
    assert found.isnan().all(dim=0).tolist() == [True, True, False, True, True]
    assert not found[:, 2].any()


@pytest.mark.parametrize("threshold", [0.0, torch.tensor(0.0, dtype=torch.float64)], ids=["number", "tensor"])
def test_without_a_price_the_solution_is_the_quotient(threshold):
    """D spreads over 12 decades, where even the least price would change the entries of small D."""
    B, D = torch.randn(40, 6, dtype=torch.float64), 10 ** (-12 * torch.rand(40, 6, dtype=torch.float64))
    B = B * D
    B[0] = 1.0
    D[0] = 1.0
    point = GroupLasso(1.0).metric_prox(B, D, threshold).point
    torch.testing.assert_close(point, B / D, rtol=1e-15, atol=0)
