"""Groups one by one: those without a solution keep their values and leave their neighbours alone, those that the dtype
of the sums cannot solve are solved in double, and what is counted is what happened.
"""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ramda_verify.oracles import float_subproblem
from ramda_verify.oracles.atoms import Norm
from solvers.kernels import BACKENDS, Counts, StepTask
from solvers.kernels.native import Native
from solvers.kernels.subproblem import SUBPROBLEM
from solvers.regularizers.members import GroupNorms

NATIVE: Any = BACKENDS["native"]
pytestmark = pytest.mark.skipif(
    NATIVE.unavailable_reason() is not None, reason=f"the compiled step is optional: {NATIVE.unavailable_reason()}"
)
BUILDS = [pytest.param(Native((build,)), id=build) for build in NATIVE.builds]
#: (outer, groups, inner): columns, rows, a few neighbours, long runs in pieces, packed short rows, one group.
LAYOUTS = [(40, 24, 1), (1, 24, 40), (10, 12, 4), (3, 7, 50), (9, 3, 2), (6, 1, 5), (1, 5, 300)]
MARK = 7.0


def drawn(*shape: int, dtype: torch.dtype = torch.float32, spread: float = 1.0) -> tuple[Tensor, Tensor]:
    """B and D of (outer, groups, inner)."""
    B, D = torch.randn(shape, dtype=torch.float64), torch.exp(spread * torch.randn(shape, dtype=torch.float64))
    return B.to(dtype), D.to(dtype)


def solved(native: Native, B: Tensor, D: Tensor, price: float, point: Tensor | None = None) -> tuple[Tensor, Counts]:
    """Ŵ of groups along the middle axis, and the counts; a point that is kept shows as MARK."""
    point = torch.full_like(B, MARK) if point is None else point
    found = torch.full_like(B, torch.nan)
    task = StepTask(SUBPROBLEM, point, (B, D), GroupNorms(1.0, *B.shape), flush=0.0)
    counts = native.prepare([task]).run(torch.tensor([[price, 1.0]], dtype=torch.float64), [None], [found])
    assert torch.equal(found, point)
    return found, counts


def exact(B: Tensor, D: Tensor, price: float) -> Tensor:
    """The oracle's solution, group by group."""
    Z = torch.empty(B.shape, dtype=torch.float64)
    for g in range(B.shape[1]):
        b, d = B[:, g].double().reshape(-1, 1).numpy(), D[:, g].double().reshape(-1, 1).numpy()
        alone = [Norm(1.0, np.arange(len(b)))]
        Z[:, g] = torch.tensor(float_subproblem.solve(b, d, price, alone)).view(Z[:, g].shape)
    return Z


@pytest.mark.parametrize("native", BUILDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("shape", LAYOUTS, ids=str)
def test_every_layout(native, dtype, shape):
    B, D = drawn(*shape, dtype=dtype)
    price = float(B.square().sum((0, 2)).sqrt().median()) * (0.5 if shape[1] == 1 else 0.999)
    found, counts = solved(native, B, D, price)
    right = exact(B, D, price)
    # What rounding moves is B, by a few eps of the group's norm; a group just above its threshold is far smaller.
    moved = (D.double() * (found.double() - right)).norm(dim=(0, 2)) / B.double().norm(dim=(0, 2))
    assert float(moved.max()) <= 32 * torch.finfo(dtype).eps
    zero = (right == 0).all(0).all(-1)
    assert torch.equal((found == 0).all(0).all(-1), zero)
    assert list(counts.kept) == [0]
    assert list(counts.zero) == [int(zero.sum())]


@pytest.mark.parametrize("native", BUILDS)
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("where", ["B", "D"])
@pytest.mark.parametrize("shape", [shape for shape in LAYOUTS if shape[1] > 2], ids=str)
def test_a_lost_group_leaves_its_neighbours_alone(native, bad, where, shape):
    B, D = drawn(*shape)
    price = 0.5
    right, _ = solved(native, B, D, price)
    (B if where == "B" else D)[-1, 1, -1] = bad
    found, counts = solved(native, B, D, price)
    assert list(counts.kept) == [1]
    assert found[:, 1].eq(MARK).all()
    others = torch.arange(shape[1]) != 1
    assert torch.equal(found[:, others], right[:, others])


@pytest.mark.parametrize("native", BUILDS)
def test_a_group_that_is_lost_is_not_taken_for_zero(native):
    """However small all else is: NaN in an entry of B = 0, and in D where B is zero."""
    B, D = torch.zeros(6, 5, 1), torch.ones(6, 5, 1)
    B[2, 1], D[3, 2], D[4, 3] = torch.nan, torch.nan, torch.inf
    found, counts = solved(native, B, D, 1.0)
    assert found[0, :, 0].tolist() == [0.0, MARK, MARK, MARK, 0.0]
    assert (list(counts.kept), list(counts.zero)) == ([3], [2])


@pytest.mark.parametrize("native", BUILDS)
@pytest.mark.parametrize("shape", [(8, 6, 1), (1, 6, 40)], ids=str)
def test_what_float32_cannot_solve_is_solved_in_double(native, shape):
    """D spreads over 70 decades: no unit takes all of it into float32, but the solution fits."""
    B, D = drawn(*shape)
    D[:, 2] *= 1e-36
    D[0, 2, 0] = 1e34
    D[:, 4] *= 1e30
    B[:, 4] *= 1e-30
    price = 0.3
    found, counts = solved(native, B, D, price)
    assert list(counts.kept) == [0]
    right = exact(B, D, price)
    for g in range(shape[1]):
        torch.testing.assert_close(
            found[:, g].double(), right[:, g], rtol=1e-5, atol=1e-6 * float(right[:, g].abs().max()) + 1e-37
        )


@pytest.mark.parametrize("native", BUILDS)
def test_a_solution_that_does_not_fit_is_none(native):
    B, D = drawn(8, 6, 1)
    D[:, 2], B[:, 2] = 1e-30, 1e20
    found, counts = solved(native, B, D, 1.0)
    assert list(counts.kept) == [1]
    assert found[:, 2].eq(MARK).all()
    assert torch.isfinite(found).all()


@pytest.mark.parametrize("scratch", [1, 100, 1000, 10**6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("shape", [(300, 5, 1), (1, 5, 3000), (700, 2, 3), (5000, 1, 1)], ids=str)
def test_groups_that_do_not_fit_into_the_scratch(scratch, dtype, shape):
    """B and D are formed anew in every pass; not a bit changes. Some groups need units, some a solution in double."""
    B, D = drawn(*shape, dtype=dtype)
    B[:, 0] *= 1e-12
    D[:, 0] *= 1e-12
    D[0, -1, 0] = 1e-37
    right, _ = solved(Native(), B, D, 0.01)
    found, counts = solved(Native(scratch_entries=scratch), B, D, 0.01)
    assert torch.equal(found, right)
    assert list(counts.kept) == [0]


def test_a_group_longer_than_any_scratch():
    B, D = drawn(1, 2, 600_001, spread=3.0)
    found, counts = solved(NATIVE, B, D, 300.0)
    assert list(counts.kept) == [0]
    b, d, z = B.double(), D.double(), found.double()
    norm = z.square().sum((0, 2), keepdim=True).sqrt()
    residual = (d * z - b + 300.0 * z / norm).square().sum((0, 2)).sqrt()
    assert (residual <= 5e-6 * b.square().sum((0, 2)).sqrt()).all()


@pytest.mark.parametrize("momentum", [1.0, 0.1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_what_is_kept_is_kept_bit_for_bit(momentum, dtype):
    """An average with itself would not be: (1 - c)*w + c*w is rounded."""
    point = torch.randn(50, 4, 1).to(dtype)
    before = point.clone()
    B, D = drawn(50, 4, 1)
    B[3, 2] = torch.inf
    task = StepTask(SUBPROBLEM, point, (B, D), GroupNorms(1.0, 50, 4, 1), flush=0.0)
    entries = StepTask(SUBPROBLEM, point.clone(), (B, D), GroupNorms(1.0, 1, 200, 1), flush=0.0)
    scalars = torch.tensor([[0.1, momentum]] * 2, dtype=torch.float64)
    counts = NATIVE.prepare([task, entries]).run(scalars, [None] * 2, [None] * 2)
    assert list(counts.kept) == [1, 1]
    assert torch.equal(point[:, 2], before[:, 2])
    assert not torch.equal(point[:, 1], before[:, 1])
    assert entries.point[3, 2] == before[3, 2]


def test_counts_of_many_tasks():
    """In the order of the tasks, whatever their dtypes; entries where groups have one; none where psi is zero."""
    shapes = [(4, 3, 1), (1, 12, 1), (4, 3, 1), (1, 12, 1)]
    dtypes = [torch.float32, torch.float64, torch.float64, torch.float32]
    weights = [1.0, 1.0, 0.0, 1.0]
    tasks = []
    for shape, dtype, weight in zip(shapes, dtypes, weights, strict=True):
        B = torch.zeros(shape, dtype=dtype)
        B[0, 0, 0] = 5.0
        D = torch.ones_like(B)
        D[0, 1, 0] = torch.nan
        tasks.append(StepTask(SUBPROBLEM, torch.ones_like(B), (B, D), GroupNorms(weight, *shape), flush=0.0))
    prepared = NATIVE.prepare(tasks)
    for scalars in (torch.ones(4, 2, dtype=torch.float64), [[1.0, 1.0]] * 4):
        counts = prepared.run(scalars, [None] * 4, [None] * 4)
        assert list(counts.kept) == [1, 1, 1, 1]
        assert list(counts.zero) == [1, 10, 0, 10]


def test_denormal_numbers_stay_what_they_are():
    """The solver of groups lets them vanish while it sums, and only then, and only there."""
    B, D = drawn(64, 33, 1)
    B[:, 5] *= 1e-22
    solved(NATIVE, B, D, 1e-30)
    assert float(torch.tensor(1e-40) * torch.tensor(0.5)) > 0
    found, _ = solved(NATIVE, torch.full((4, 2, 1), 1e-40), torch.ones(4, 2, 1), 1e-41)
    torch.testing.assert_close(found, torch.full((4, 2, 1), 9.5e-41), rtol=1e-4, atol=0)
