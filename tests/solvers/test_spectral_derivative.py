"""The derivative of the soft threshold of singular values against quotients of differences and its own properties."""

import pytest
import torch

from solvers import NuclearNorm
from solvers.regularizers.spectral_derivative import spectral_prox
from tests.seed import TEST_SEED

SHAPES = [(1, 1), (1, 7), (7, 1), (4, 4), (5, 9), (9, 5), (20, 6), (40, 60), (3, 2, 2, 2), (24, 3, 3, 3)]


def matrix(shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def thresholds(w):
    """Below all singular values, between them (few and most kept), and above all."""
    sigma = torch.linalg.svdvals(w.reshape(w.shape[0], -1))
    return [float(sigma[-1]) / 2, float(sigma.quantile(0.4)) * 1.001, float(sigma[0]) * 0.9, float(sigma[0]) * 2]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_differences(shape):
    w, H = matrix(shape), matrix(shape, 1)
    H = H / H.norm()
    for threshold in thresholds(w):
        found = spectral_prox(w, threshold)
        plain = NuclearNorm(1.0)
        torch.testing.assert_close(found.point, plain.prox(w, threshold), rtol=0, atol=1e-12)
        h = 1e-6
        quotient = (plain.prox(w + h * H, threshold) - plain.prox(w - h * H, threshold)) / (2 * h)
        torch.testing.assert_close(found.derivative(H), quotient, rtol=0, atol=1e-7)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_symmetric_and_between_zero_and_one(shape):
    w, G, H = (matrix(shape, seed) for seed in range(3))
    for threshold in thresholds(w):
        found = spectral_prox(w, threshold)
        crossed = torch.sum(G * found.derivative(H)), torch.sum(H * found.derivative(G))
        assert float(crossed[0]) == pytest.approx(float(crossed[1]), abs=1e-10)
        image = found.derivative(H)
        assert -1e-12 <= float(torch.sum(H * image)) <= float(torch.sum(H * H)) * (1 + 1e-12)
        assert float(torch.sum(image * image)) <= float(torch.sum(H * image)) * (1 + 1e-10) + 1e-12
        assert 0 <= found.gain <= 1


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_float32_is_that_of_float64_at_every_scale(shape, scale):
    w, H = matrix(shape).float(), matrix(shape, 1).float()
    for threshold in thresholds(w.double()):
        narrow, wide = spectral_prox(w * scale, threshold * scale), spectral_prox(w.double(), threshold)
        assert narrow.point.dtype == torch.float32
        torch.testing.assert_close(narrow.point.double() / scale, wide.point, rtol=0, atol=1e-5)
        torch.testing.assert_close(narrow.derivative(H).double(), wide.derivative(H.double()), rtol=0, atol=1e-4)


def test_values_at_the_threshold_and_equal_ones():
    identity = torch.eye(3, dtype=torch.float64)
    H = matrix((3, 3))
    assert torch.equal(spectral_prox(identity, 1.0).derivative(H), torch.zeros(3, 3, dtype=torch.float64))
    kept = spectral_prox(identity, 0.5)
    symmetric, skew = (H + H.T) / 2, (H - H.T) / 2
    # All singular values are equal: a symmetric change passes whole, a skew one turns the point.
    torch.testing.assert_close(kept.derivative(H), symmetric + 0.5 * skew)


def test_strided_and_transposed_memory():
    w, H = matrix((6, 8)), matrix((6, 8), 1)
    expected = spectral_prox(w, 1.0)
    for view in (lambda t: t.T.contiguous().T, lambda t: torch.stack([t, t], -1)[..., 0]):
        found = spectral_prox(view(w), 1.0)
        torch.testing.assert_close(found.point, expected.point)
        torch.testing.assert_close(found.derivative(view(H)), expected.derivative(H))


@pytest.mark.parametrize(("dtype", "rounding"), [(torch.float64, 1e-9), (torch.float32, 1e-4)], ids=str)
@pytest.mark.parametrize("scale", [1e-30, 1e-8, 1.0, 1e30], ids=str)
@pytest.mark.parametrize("share", [0.0, 1e-17, 1e-16, 1e-12, 1e-9, 1e-7, 1e-4, 1.0], ids=str)
def test_singular_values_and_thresholds_of_the_size_of_rounding(dtype, rounding, scale, share):
    for seed, (rows, columns, rank) in enumerate([(2, 2, 1), (2, 2, 0), (1, 4, 1), (4, 5, 1), (6, 3, 2), (6, 6, 5)]):
        w = (matrix((rows, rank), TEST_SEED + seed) @ matrix((rank, columns), TEST_SEED + seed + 50) * scale).to(dtype)
        found = spectral_prox(w, share * scale)
        G, H = (matrix((rows, columns), TEST_SEED + other).to(dtype) for other in (100, 200))
        G, H = G / G.norm(), H / H.norm()
        images = found.derivative(G), found.derivative(H)
        assert abs(float(torch.sum(H * images[0]) - torch.sum(G * images[1]))) <= rounding
        assert -rounding <= float(torch.sum(H * images[1])) <= 1 + rounding
