"""The simplex: exact projections in every dtype and metric, the tolerance of value, the normal cone."""

import math

import pytest
import torch

from solvers import Simplex

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


def test_by_hand():
    psi, w = Simplex(2.0), torch.tensor([[3.0, 2.5], [-1.0, 0.0]], dtype=torch.float64)
    assert psi.prox(w, 0.1).tolist() == [[1.25, 0.75], [0.0, 0.0]]
    B, D = torch.tensor([4.0, 3.0, -9.0], dtype=torch.float64), torch.tensor([1.0, 2.0, 1e-9], dtype=torch.float64)
    assert psi.metric_prox(B, D, 7.0).tolist() == pytest.approx([2 - 1 / 3, 1 / 3, 0.0], rel=1e-15, abs=0)
    assert psi.structure(psi.prox(w, 1.0)).tolist() == [[True, True], [False, False]]
    assert psi.sparsity(psi.prox(w, 1.0)) == (2, 4)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e4])
@pytest.mark.parametrize("count", [1, 2, 100, 20_001])
def test_the_projection_belongs_to_the_set(dtype, size, count):
    """Whatever cancels in w - nu: value is 0 at it, and it is its own projection up to rounding."""
    psi = Simplex(0.3)
    w = (size * torch.randn(count, dtype=torch.float64)).to(dtype)
    z = psi.prox(w, 1.0)
    assert z.dtype == dtype
    assert float(psi.value(z)) == 0.0
    assert bool((z >= 0).all())
    # Below the smallest normal number entries round by what they are multiples of: 20,001 of them do in float16.
    finest = torch.finfo(dtype).eps * torch.finfo(dtype).tiny
    allowed = 2 * torch.finfo(dtype).eps * 0.3 + count * finest / 2
    assert float(z.double().sum()) == pytest.approx(0.3, rel=0, abs=allowed)
    assert float(psi.violation(z)) <= torch.finfo(dtype).eps * 0.3


def test_a_metric_that_spreads_over_sixty_decades():
    """A part of the radius that the difference to the largest B would lose in rounding."""
    B, D = torch.tensor([1.0, 0.5], dtype=torch.float64), torch.tensor([1.0, 1e-20], dtype=torch.float64)
    assert Simplex(1.0).metric_prox(B, D, 1.0).tolist() == [0.5, 0.5]
    D = 10.0 ** torch.linspace(-30, 30, 61, dtype=torch.float64)
    z = Simplex(1.0).metric_prox(torch.randn(61, dtype=torch.float64) * D, D, 1.0)
    assert float(z.sum()) == pytest.approx(1.0, rel=1e-14)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_tolerance_of_value(dtype):
    """16 epsilons of the dtype times the radius, to both sides."""
    eps, psi = torch.finfo(dtype).eps, Simplex(1.0)
    for distance, value in ((12 * eps, 0.0), (20 * eps, math.inf)):
        for sign in (1, -1):
            assert float(psi.value(torch.tensor([1.0 + sign * distance], dtype=torch.float64).to(dtype))) == value
    assert float(psi.value(torch.zeros(3, dtype=dtype))) == math.inf


def test_the_distance():
    psi = Simplex(1.0)
    assert float(psi.violation(torch.tensor([0.5, 0.5]))) == 0.0
    assert float(psi.violation(torch.tensor([4.0, 0.0]))) == 3.0
    assert float(psi.violation(torch.tensor([0.0, 0.0]))) == pytest.approx(math.sqrt(0.5))


def test_the_normal_cone():
    psi, point = Simplex(1.0), torch.tensor([0.5, 0.5, 0.0, 0.0], dtype=torch.float64)
    slopes = torch.tensor([[-2.0, -2.0, -1.0, 5.0], [-1.0, -2.0, 0.0, -4.5]], dtype=torch.float64)
    assert psi.subgradient_residual(point, slopes[0], 1.0).tolist() == [0.0, 0.0, 0.0, 0.0]
    # mu = 2.5 is the mean of 1, 2 and 4.5: beyond the support, only what exceeds it matters.
    assert psi.subgradient_residual(point, slopes[1], 1.0).tolist() == [1.5, 0.5, 0.0, -2.0]
    assert psi.subgradient_residual(torch.zeros(2), torch.ones(2), 1.0).tolist() == [math.inf, math.inf]


def test_what_is_not_finite_is_not_hidden():
    assert bool(Simplex().prox(torch.tensor([1.0, math.nan]), 1.0).isnan().any())
