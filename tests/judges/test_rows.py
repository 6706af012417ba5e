"""Sizes, norms, sums and comparison points: one number or one point for each problem of a batch."""

import math

import numpy as np
import pytest
import torch

from ramda_verify.checks.helpers import comparison_points
from ramda_verify.checks.subproblem.rows import column, comparison_points_of_rows, norms, sizes, sums

TINY = float(np.finfo(np.float64).tiny)
#: Three problems of six entries, of sizes 1, 1000 and 0.001.
W = torch.tensor([[3.0, -4.0, 0.5], [1.0, 2.0, -2.5]], dtype=torch.float64)
Z = torch.tensor([[1.5, -0.25, 6.0], [-7.0, 0.125, 2.0]], dtype=torch.float64)
FACTORS = torch.tensor([1.0, 1024.0, 2.0**-10], dtype=torch.float64).reshape(3, 1, 1)


def test_the_size_is_the_largest_magnitude_of_any_of_the_tensors():
    first = torch.tensor([[[1.0, -2.0], [0.0, 0.5]], [[0.1, 0.2], [0.3, -0.4]]])
    second = torch.tensor([[[1.5, 0.0], [0.0, 0.0]], [[0.0, 0.0], [5.0, 0.0]]])
    assert sizes(first.double(), second.double()).tolist() == [2.0, 5.0]
    assert sizes(second.double()).tolist() == [1.5, 5.0]


def test_the_size_of_zeros_is_the_smallest_normal_number_and_of_a_NaN_a_NaN():
    points = torch.tensor([[0.0, -0.0], [math.nan, 1.0], [1.0, -math.inf]], dtype=torch.float64)
    found = sizes(points, torch.zeros_like(points))
    assert found[0] == TINY
    assert math.isnan(found[1])
    assert found[2] == math.inf


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1.0, 1e200, 1e307])
def test_norms_do_not_leave_the_range(scale):
    points = scale * torch.tensor([[[3.0, 0.0], [0.0, -4.0]], [[1.0, 1.0], [1.0, 1.0]]], dtype=torch.float64)
    assert norms(points) == pytest.approx([5.0 * scale, 2.0 * scale], rel=1e-14, abs=0.0)


def test_norms_of_zeros_are_zero():
    assert norms(torch.zeros(3, 2, dtype=torch.float64)).tolist() == [0.0, 0.0, 0.0]


def test_sums_and_columns_go_along_the_problems():
    points = torch.arange(12.0, dtype=torch.float64).reshape(3, 2, 2)
    assert sums(points).tolist() == [6.0, 22.0, 38.0]
    numbers = column(np.array([1.0, 10.0, 100.0]), points)
    assert (numbers * points)[2].tolist() == [[800.0, 900.0], [1000.0, 1100.0]]
    assert numbers.shape == (3, 1, 1)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("shape", [(6,), (2, 3), (3, 1, 2)])
def test_the_points_of_one_problem_are_those_of_the_plain_function(seed, shape):
    w, z = W.reshape(shape), Z.reshape(shape)
    found = comparison_points_of_rows(w[None], z[None], seed)
    expected = comparison_points(w.numpy(), z.numpy(), seed)
    assert len(found) == len(expected)
    for point, plain in zip(found, expected, strict=True):
        np.testing.assert_allclose(point[0].numpy(), plain, rtol=1e-14, atol=0.0)


def test_each_problem_gets_the_moves_of_its_own_size():
    w, z = FACTORS * W, FACTORS * Z
    points = comparison_points_of_rows(w, z, 3, count=5)
    moves = ((points - z) / FACTORS).numpy()
    others, random = moves[:-5], moves[-5:]
    # All but the random moves are the same, up to the factor.
    assert np.array_equal(others[:, 0], others[:, 1])
    assert np.array_equal(others[:, 0], others[:, 2])
    # The random ones are of one length, times a number drawn for each entry, or no number at all.
    lengths = np.abs(random).max(axis=(2, 3))
    assert (lengths.max(axis=1) / lengths.min(axis=1)).max() < 200


def test_an_entry_a_row_and_a_column_are_zeroed_or_changed_by_a_tenth_in_every_problem():
    w, z = FACTORS * W, FACTORS * Z
    points = comparison_points_of_rows(w, z, 0, count=0) / FACTORS
    assert len(points) == 7 + 2 * (2 * 3 + 1)
    for base, block in ((W, points[7:14]), (Z, points[14:])):
        for factors, changed in ((block[0:3], 3), (block[3:6], 2)):
            for factor, problems in zip((0.0, 0.9, 1.1), factors, strict=True):
                share = problems / base
                assert ((share - factor).abs() < 1e-15).sum(dim=(1, 2)).tolist() == [changed] * 3
                assert (share == 1).sum(dim=(1, 2)).tolist() == [6 - changed] * 3
        assert (block[6] == 0).sum(dim=(1, 2)).tolist() == [1, 1, 1]


def test_about_a_problem_that_is_zero_random_moves_are_of_the_size_of_one():
    both = torch.stack([torch.zeros_like(W), 1e-9 * W])
    points = comparison_points_of_rows(both, both, 0, count=200)
    zero, small = points[-200:].flatten(2).norm(dim=2).unbind(dim=1)
    assert 1e-4 < float(zero.median()) < 1e1
    assert 1e-13 < float(small.median()) < 1e-7
