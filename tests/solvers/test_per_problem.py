"""Numbers and decisions of one problem and of a batch, and that both solvers decide alike."""

import math
from typing import NamedTuple

import pytest
import torch

from solvers import L1, Simplex, Subproblem, solve, solve_batch
from solvers.subproblem import per_problem
from solvers.subproblem.batch_problem import SubproblemBatch
from solvers.subproblem.criterion import certainly_descends, residual_norm, rounding_floor
from solvers.subproblem.pace import FIRST_LOOK, Pace, Stagnation
from solvers.subproblem.per_problem import PerProblem, put, rows_of, where
from tests.registry import weighted

LASSO = L1(0.3)
NUMBERS = [0.0, 1e-320, 0.5, 1.0, 3.0, math.inf, math.nan]


class Pair(NamedTuple):
    point: torch.Tensor
    member: torch.Tensor | None


@pytest.mark.parametrize("name", ["larger", "smaller"])
def test_numbers_and_tensors_are_compared_alike(name):
    compare = getattr(per_problem, name)
    for a in NUMBERS:
        many = compare(torch.full((len(NUMBERS),), a, dtype=torch.float64), torch.tensor(NUMBERS, dtype=torch.float64))
        alone = [compare(a, b) for b in NUMBERS]
        torch.testing.assert_close(many, torch.tensor(alone, dtype=torch.float64), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("shape", [(), (4,), (2, 3), (2, 1, 2)])
def test_where_runs_along_the_batch(shape):
    yes, no = torch.ones(3, *shape), torch.zeros(3, *shape)
    found = where(torch.tensor([True, False, True]), yes, no)
    assert found.shape == yes.shape
    assert [bool(row.all()) for row in found] == [True, False, True]
    assert where(True, yes, None) is yes
    assert where(False, yes, None) is None


def test_what_is_put_back_is_what_was_taken_out():
    whole = Pair(torch.arange(12.0).reshape(4, 3), None)
    chosen = torch.tensor([False, True, True, False])
    part = rows_of(whole, chosen)
    assert part.point.tolist() == whole.point[1:3].tolist()
    assert part.member is None
    back = put(whole, chosen, part._replace(point=-part.point))
    assert back.point.tolist() == [whole.point[0].tolist(), *(-whole.point[1:3]).tolist(), whole.point[3].tolist()]
    assert whole.point.min() == 0  # what was there before is left alone
    assert rows_of(whole, True) is whole


def test_keep_reaches_all_that_is_remembered():
    class Outer(PerProblem):
        def __init__(self):
            self.inner, self.tensor, self.pair, self.number = (
                Stagnation(batch(), 2),
                torch.arange(3),
                (torch.arange(3),),
                7,
            )

    outer = Outer()
    outer.keep(torch.tensor([True, False, True]))
    assert outer.tensor.tolist() == outer.pair[0].tolist() == [0, 2]
    assert outer.number == 7
    assert outer.inner.seen(torch.ones(2), torch.ones(2, dtype=torch.bool)).shape == (2,)


def batch(count=3, dtype=torch.float64, regularizer=LASSO):
    generator = torch.Generator().manual_seed(0)
    B = torch.randn(count, 2, 3, generator=generator, dtype=torch.float64).to(dtype)
    D = (10 ** torch.randn(count, 2, 3, generator=generator, dtype=torch.float64)).to(dtype)
    return SubproblemBatch(B, D, torch.rand(count, generator=generator, dtype=torch.float64), regularizer)


def problems(many):
    return [Subproblem(b, d, float(lam), many.regularizer) for b, d, lam in zip(many.B, many.D, many.lam, strict=True)]


@pytest.mark.parametrize("regularizer", weighted(0.3, "convex"), ids=repr)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("size", [1.0, 1e-30, 1e30])
def test_sums_and_levels_of_a_batch_are_those_of_its_problems(regularizer, dtype, size):
    many = batch(5, dtype, regularizer)
    Z = many.B.flip(0) * size
    alone = list(zip(problems(many), Z, strict=True))
    for of in (lambda p, z: p.norm(z), lambda p, z: p.largest(z), lambda p, z: p.bounds(z)[0], rounding_floor):
        found = of(many, Z)
        torch.testing.assert_close(
            found, torch.tensor([of(p, z) for p, z in alone], dtype=torch.float64), rtol=1e-6, atol=0
        )
    assert many.finite(Z / many.full(1.0).reshape(-1, 1, 1)).tolist() == [True] * 5
    residuals = residual_norm(many, many.gradient(Z))
    assert residuals.tolist() == pytest.approx([residual_norm(p, p.gradient(z)) for p, z in alone], rel=1e-6)
    descends = certainly_descends(many, many.B / many.D, torch.zeros_like(Z), Z)
    assert descends.tolist() == [certainly_descends(p, p.B / p.D, torch.zeros_like(z), z) for p, z in alone]


def test_pace_of_a_batch_is_that_of_its_problems():
    budgets, rates = [300, 1000, 4000, 4000], [0.99, 0.99, 0.99, 0.999]
    many = batch(4)
    paces = [Pace(one, budget) for one, budget in zip(problems(many), budgets, strict=True)]
    together = Pace(many, torch.tensor(budgets))
    seen = set()
    for count in range(1, 2 * FIRST_LOOK + 1):
        residuals = [rate**count for rate in rates]
        alone = [p.hopeless(count, r, 1e-6) for p, r in zip(paces, residuals, strict=True)]
        assert together.hopeless(count, torch.tensor(residuals, dtype=torch.float64), 1e-6).tolist() == alone
        seen |= set(alone)
    assert seen == {True, False}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("method", ["accelerated", "proximal_gradient"])
def test_rounding_off_a_set_is_no_ascent_in_a_batch_either(dtype, method):
    """A point of the simplex in a narrow dtype is not in the set in float64, where Q is compared: the certificate has
    to show (7b), in ``solve_batch`` as in ``solve``.
    """
    many = batch(4, dtype, Simplex())
    W = torch.full_like(many.B, 1 / 6)
    options = {"tolerance": 0.0, "method": method, "max_iterations": 30}
    alone = [solve(p, w, **options) for p, w in zip(problems(many), W, strict=True)]
    found = solve_batch(many.B, many.D, many.lam, Simplex(), W, **options)
    assert any(solution.descent for solution in alone)
    for i, expected in enumerate(alone):
        assert found[i].status is expected.status
        assert found[i].descent is expected.descent
        assert torch.equal(found.point[i], expected.point)
