"""A prox of matrices rounds small entries as coarsely as the largest one: what it does to a residual is no fault."""

from dataclasses import dataclass

import numpy as np
import pytest

from ramda_verify.checks import measure
from solvers import NuclearNorm


def matrix(singular_values, turned, seed=0):
    """A matrix with these singular values; turned, its singular vectors have no zeros."""
    random, count = np.random.default_rng(seed), len(singular_values)
    left, right = (np.linalg.qr(random.standard_normal((count, count)))[0] if turned else np.eye(count) for _ in "12")
    return left @ np.diag(singular_values) @ right


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("left", [1e-6, 1e-4, 1e-2, 1.0, 100.0])
def test_a_singular_value_barely_left_beside_a_huge_one(left, turned, seed):
    w = matrix([6e7, 3000.0 + left, 3000.0 + 2 * left, 7.0], turned, seed)
    w[-1, -1] *= 1e-3
    assert measure("residual-claim", regularizer=NuclearNorm(1.0), w=w, step=3000.0, seed=seed).violation <= 1


@pytest.mark.parametrize("seed", [18258, *range(20)])
def test_the_case_that_accused_the_nuclear_norm(seed):
    """Of its prox one singular value is left at 5e-14 of the largest."""
    w = np.array(
        [
            [[1000.0, 999.99], [0.0, -25.452598324080306]],
            [[-1000.0, -3000.0], [-956.2827810554185, 0.0]],
            [[-3000.0, 0.0], [285894.37593133905, 1000.0]],
            [[66088488.6247612, -2825.2662733135417], [0.25939547286955245, 1.9444596598320016e-250]],
        ]
    )
    found = measure("residual-claim", regularizer=NuclearNorm(1.0), w=w, step=3162.332964201877, seed=seed)
    assert found.violation <= 1


@dataclass(frozen=True)
class LongResidual(NuclearNorm):
    """A nuclear norm whose residual is a thousandth of the price too long in one entry."""

    def subgradient_residual(self, Z, G, lam):
        found = super().subgradient_residual(Z, G, lam).clone()
        found.view(-1)[0] += 1e-3 * lam * self.reg_weight
        return found


@pytest.mark.parametrize("seed", range(5))
def test_a_residual_that_is_too_long_is_seen_there_too(seed):
    w = matrix([6e7, 4000.0, 3500.0, 7.0], True, seed)
    found = measure("residual-claim", regularizer=LongResidual(1.0), w=w, step=3000.0, seed=seed)
    assert found.violation > 1
