"""Groups in blocks, as grouped convolutions have them, and groups of a few entries, which the compiled step turns into
lanes: every group is solved, counted and kept as it is where it stands alone.
"""

from typing import Any

import pytest
import torch
from torch import Tensor

from ramda_verify.oracles.group_residuals import relative_residuals
from solvers import RAMDA, GroupLasso
from solvers.kernels import BACKENDS, Counts, StepTask
from solvers.kernels.native import Native
from solvers.kernels.subproblem import SUBPROBLEM
from solvers.regularizers.members import GroupNorms

NATIVE: Any = BACKENDS["native"]
pytestmark = pytest.mark.skipif(
    NATIVE.unavailable_reason() is not None, reason=f"the compiled step is optional: {NATIVE.unavailable_reason()}"
)
#: (blocks, outer, groups, inner): depthwise, small blocks, many blocks that fill no vector, blocks of columns, of long
#: runs, of more entries than a thread takes at a time, tiles that end within a block, one group a block.
SHAPES = [
    *((1, 1, 24, 9), (5, 3, 4, 9), (200, 2, 3, 1), (7, 12, 6, 1), (3, 2, 5, 50)),
    *((2, 300, 80, 1), (60, 20, 3, 9), (1, 4, 700, 3), (2, 4, 700, 3), (6, 3, 1, 5)),
]
MARK = 7.0


def drawn(shape: tuple[int, ...], dtype: torch.dtype) -> tuple[Tensor, Tensor, float]:
    """B, D and a price for which about half of the groups are zero."""
    B, D = torch.randn(shape, dtype=torch.float64), torch.exp(torch.randn(shape, dtype=torch.float64))
    price = float(B.square().sum((1, 3)).sqrt().median()) * 0.999
    return B.to(dtype), D.to(dtype), price


def solved(native: Native, B: Tensor, D: Tensor, price: float) -> tuple[Tensor, Counts]:
    """Ŵ and the counts; a point that is kept shows as MARK."""
    blocks, outer, groups, inner = B.shape
    point, found = torch.full_like(B, MARK), torch.full_like(B, torch.nan)
    task = StepTask(SUBPROBLEM, point, (B, D), GroupNorms(1.0, outer, groups, inner, blocks), flush=0.0)
    counts = native.prepare([task]).run([[price, 1.0]], [None], [found])
    assert torch.equal(found, point)
    return found, counts


@pytest.mark.parametrize("scratch", [0, 64, 1000])
@pytest.mark.parametrize("build", NATIVE.builds)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_group_is_solved(build, dtype, shape, scratch):
    B, D, price = drawn(shape, dtype)
    found, counts = solved(Native((build,), scratch), B, D, price)
    blocks, _, groups, _ = shape
    members = torch.arange(B.numel()).view(shape).permute(0, 2, 1, 3).reshape(blocks * groups, -1).numpy()
    Z, b, d = (tensor.double().numpy() for tensor in (found, B, D))
    residuals = relative_residuals(Z, b, d, [price] * len(members), list(members))
    assert residuals.max() < 32 * torch.finfo(dtype).eps
    zero = (B.double().square().sum((1, 3)).sqrt() <= price).sum()
    assert list(counts.kept) == [0]
    assert list(counts.zero) == [int(zero)]


@pytest.mark.parametrize("build", NATIVE.builds)
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_lost_group_leaves_the_others_alone(build, bad, shape):
    B, D, price = drawn(shape, torch.float32)
    right, _ = solved(Native((build,)), B, D, price)
    B[-1, -1, 0, -1] = bad
    found, counts = solved(Native((build,)), B, D, price)
    assert list(counts.kept) == [1]
    lost = torch.zeros(shape, dtype=torch.bool)
    lost[-1, :, 0] = True
    assert found[lost].eq(MARK).all()
    assert torch.equal(found[~lost], right[~lost])


@pytest.mark.parametrize("shape", [(1, 2, 40, 9), (30, 3, 8, 1)], ids=str)
def test_what_float32_cannot_solve_is_solved_in_double(shape):
    """D of one group spreads over 70 decades: no unit takes all of it into float32, but the solution fits."""
    B, D, _ = drawn(shape, torch.float32)
    D[-1, :, 2] *= 1e-36
    D[-1, 0, 2, 0] = 1e34
    found, counts = solved(NATIVE, B, D, 0.3)
    assert list(counts.kept) == [0]
    alone, _ = solved(NATIVE, B[-1:, :, 2:3].clone(), D[-1:, :, 2:3].clone(), 0.3)
    torch.testing.assert_close(found[-1:, :, 2:3], alone, rtol=1e-5, atol=0)


@pytest.mark.parametrize(("shape", "conv_groups"), [((600, 16, 3, 3), 200), ((512, 40, 3), 16), ((4096, 1, 3), 4096)])
def test_threads_do_not_change_a_bit(shape, conv_groups):
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            torch.manual_seed(0)
            param = torch.nn.Parameter(torch.randn(shape))
            made = RAMDA([param], regularizer=GroupLasso(0.01, "channel", conv_groups=conv_groups), backend="native")
            for _ in range(2):
                param.grad = torch.randn(shape)
                made.step()
            results.append(param.detach())
    finally:
        torch.set_num_threads(before)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])
