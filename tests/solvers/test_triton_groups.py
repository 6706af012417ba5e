"""Groups that are hard on the kernels: long, shared by programs, out of range, not finite; nothing written astray."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from solvers.kernels.gpu import Triton
from solvers.kernels.gpu import plan as plans
from solvers.kernels.gpu.backend import _moving
from solvers.regularizers.members import GroupNorms
from tests.solvers.triton_cases import (
    DEVICE,
    INTERPRETED,
    Trial,
    make_tiles_small,
    ramda_trial,
    residual,
    run,
    side_by_side,
)

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiles_small(monkeypatch)


LONG = {
    "columns": GroupNorms(0.5, 37, 6, 1),
    "runs": GroupNorms(0.5, 1, 6, 50),
    "channels": GroupNorms(0.5, 30, 3, 3),
    "broken runs": GroupNorms(0.5, 5, 5, 12),
    "one group": GroupNorms(0.5, 7, 1, 10),
    "blocks of columns": GroupNorms(0.5, 21, 6, 1, blocks=2),
    "blocks of channels": GroupNorms(0.5, 19, 3, 3, blocks=2),
    "blocks of broken runs": GroupNorms(0.5, 5, 3, 12, blocks=2),
}


#: Residuals that are rounding, relative to B.
ACCURACY = {torch.float64: 1e-13, torch.float32: 1e-6}


def shape_of(norms: GroupNorms) -> tuple[int, int, int, int]:
    """Of the array in which a group is one index of the first axis and one of the third."""
    return norms.blocks, norms.outer, norms.groups, norms.inner


def trial_of(norms: GroupNorms, dtype: torch.dtype = torch.float64, spread: float = 1.0) -> Trial:
    D, W0, V = torch.randn(3, math.prod(shape_of(norms)), dtype=torch.float64)
    D = 0.1 + torch.exp(spread * D)
    start, total, metric = (tensor.to(dtype).to(DEVICE) for tensor in (W0, V, D))
    return ramda_trial(start, total, metric, norms)


def test_residual_knows_a_wrong_solution():
    trial = trial_of(LONG["columns"])
    run(trial)
    trial.structured *= 1.001
    assert residual(trial).max() > 1e-5


@pytest.mark.parametrize("name", LONG)
def test_groups_too_long_for_a_tile(name: str, small_tiles: None):
    trial = trial_of(LONG[name])
    if INTERPRETED:
        assert plans.cut(trial.norms, most_parts=1).tile.looped
    assert run(trial) == [0]
    assert residual(trial).max() < 1e-13
    assert torch.equal(trial.point, trial.structured)


#: In float32 the sums that programs post are of two widths.
SHARED = [
    *((name, 64, torch.float32) for name in LONG),
    *((name, 2, torch.float32) for name in ("columns", "broken runs")),
    *((name, 64, torch.float64) for name in ("runs", "broken runs", "columns")),
]


@pytest.mark.parametrize(("name", "most_parts", "dtype"), SHARED, ids=str)
def test_groups_shared_by_programs(
    name: str, most_parts: int, dtype: torch.dtype, small_tiles: None, monkeypatch: pytest.MonkeyPatch
):
    # A price of about a third of the norms, or an error of the roots would not show in what they give.
    norms = LONG[name]._replace(weight=(LONG[name].outer * LONG[name].inner) ** 0.5)
    # One that is not shared is in between.
    tasks = [trial_of(its, dtype) for its in (norms, LONG[name]._replace(outer=1, inner=3), norms)]
    in_turn = [trial_of(norms, dtype) for _ in tasks]
    for trial, other in zip(tasks, in_turn, strict=True):
        other.norms, other.point = trial.norms, trial.point.clone()
        other.state = tuple(tensor.clone() for tensor in trial.state)
        other.structured = torch.zeros_like(trial.point)
    run(*in_turn)
    monkeypatch.setattr(Triton, "_most_parts", lambda self, device: most_parts)
    assert plans.cut(tasks[0].norms, most_parts).parts > 1
    with side_by_side():
        assert run(*tasks) == [0, 0, 0]
    for trial, other in zip(tasks, in_turn, strict=True):
        assert residual(trial).max() < ACCURACY[dtype]
        torch.testing.assert_close(trial.structured, other.structured, rtol=10 * ACCURACY[dtype], atol=0)


@pytest.mark.parametrize("most_parts", [1, 64])
@pytest.mark.parametrize("name", ["columns", "runs"])
def test_metrics_whose_spread_is_out_of_range_keep_their_point(
    name: str, most_parts: int, small_tiles: None, monkeypatch: pytest.MonkeyPatch
):
    norms = LONG[name]
    trial = trial_of(norms, torch.float32)
    trial.point += 7.0
    # D is 1e-30 and 4.6e12 in one group, and in the others as ever.
    trial.scalars = (*trial.scalars[:3], 1e-30, *trial.scalars[4:])
    metric = trial.state[2].view(shape_of(norms))[-1]
    metric[0, 2, 0], metric[-1, 2, -1] = 0.0, 1e38
    monkeypatch.setattr(Triton, "_most_parts", lambda self, device: most_parts)
    assert (plans.cut(norms, most_parts).parts > 1) == (most_parts > 1)
    with side_by_side():
        assert run(trial) == [1]
    kept = (trial.point == 7.0).view(shape_of(norms))
    assert kept[:, :, 2].all()
    assert not kept[:, :, [0, 1, 3, 4, 5]].any()


@pytest.mark.parametrize("most_parts", [1, 64])
def test_large_metrics_of_no_spread_are_in_range(most_parts: int, small_tiles: None, monkeypatch: pytest.MonkeyPatch):
    norms = LONG["columns"]._replace(weight=1e130)
    trial = trial_of(norms)
    # max d * max 1/d is 1, although sum b^2*d^2 * max d is out of range.
    trial.state[1].mul_(1e130)
    trial.state[2].fill_(1e60)
    monkeypatch.setattr(Triton, "_most_parts", lambda self, device: most_parts)
    with side_by_side():
        assert run(trial) == [0]
    assert residual(trial).max() < 1e-13


@pytest.mark.parametrize("norms", [GroupNorms(300.0, 1, 2, 60_003), GroupNorms(300.0, 5_001, 3, 1)], ids=str)
def test_float32_residual_of_very_long_groups(norms: GroupNorms):
    # Sums of so many squares, one after the other in float32, would be wrong in the fourth digit.
    trial = trial_of(norms, torch.float32, spread=2.0)
    assert run(trial) == [0]
    assert residual(trial).max() < 1e-6


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_scales_from_1e30_to_1e_minus_30(dtype: torch.dtype):
    scales = [1e30, 1e12, 1.0, 1e-12, 1e-30]
    for outer, inner in ((40, 1), (1, 40), (10, 4)):
        trial = trial_of(GroupNorms(0.5, outer, 5, inner), torch.float64)
        scale = torch.tensor(scales, dtype=torch.float64, device=DEVICE)[None, :, None]
        W0, V = ((tensor.reshape(outer, 5, inner) * scale).flatten().to(dtype) for tensor in trial.state[:2])
        # The price of a norm is the same for all: the large groups do not notice it, the small ones are zero.
        wide = ramda_trial(W0, V, trial.state[2].to(dtype) ** (1 / 3) + 1e-3, trial.norms)
        kept = run(wide)
        assert kept == [0]
        assert residual(wide).max() < (1e-12 if dtype == torch.float64 else 2e-6)
        zero = (wide.structured.reshape(outer, 5, inner) == 0).all(0).all(-1)
        assert zero.tolist() == [False, False, False, True, True]


@pytest.mark.parametrize("power", [-30, 30])
def test_scales_of_the_whole_problem(power: int):
    for outer, inner in ((40, 1), (1, 40), (10, 4)):
        trial = trial_of(GroupNorms(0.5 * 10.0**power, outer, 5, inner))
        W0, V, U = trial.state
        scaled = ramda_trial(W0.float(), (V * 10.0**power).float(), (U ** (1 / 3) + 1e-3).float(), trial.norms)
        # With D as it was and V beyond all measure B is -V: a group of size 1e30, or of 1e-30 and then B is D*W0.
        assert run(scaled) == [0]
        assert residual(scaled).max() < 2e-6


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("name", LONG)
def test_groups_that_are_not_finite_keep_their_point(name: str, bad: float):
    norms = LONG[name]
    trial = trial_of(norms)
    trial.point += 7.0
    before, kept_group = trial.point.clone(), norms.groups - 1
    shaped = trial.state[1].view(shape_of(norms))
    shaped[-1, -1, kept_group, -1] = bad
    assert run(trial) == [1]
    where = torch.zeros(shape_of(norms), dtype=torch.bool, device=DEVICE)
    where[-1, :, kept_group] = True
    where = where.flatten()
    assert torch.equal(trial.point[where], before[where])
    assert torch.isfinite(trial.structured).all()
    if norms.groups > 1:
        assert residual(trial)[:-1].max() < 1e-13


def test_entries_that_are_not_finite_keep_their_point():
    for norms in (GroupNorms(0.5, 1, 60, 1), GroupNorms(0.0, 6, 5, 2)):
        trial = trial_of(norms)
        trial.point += 7.0
        trial.state[1][3], trial.state[0][4], trial.state[2][5] = torch.nan, torch.inf, torch.nan
        assert run(trial) == [3]
        assert (trial.point[3:6] == 7.0).all()
        assert torch.isfinite(trial.point).all()
        assert (trial.point[6:] != 7.0).all()


@pytest.mark.parametrize("name", [*LONG, "short columns", "entries", "blocks of entries"])
def test_zero_groups_are_counted(name: str, small_tiles: None):
    extra = {
        "short columns": GroupNorms(0.5, 3, 7, 1),
        "entries": GroupNorms(0.5, 1, 33, 1),
        "blocks of entries": GroupNorms(0.5, 1, 11, 1, blocks=3),
    }
    norms = {**LONG, **extra}[name]
    trial = trial_of(norms)
    B = (trial.state[2] ** (1 / 3) + 1e-3) * trial.state[0] - trial.state[1]
    lengths = B.view(shape_of(norms)).square().sum((1, 3)).sqrt()
    half = 0.999 * float(lengths.median()) / norms.weight
    for lam, zero in ((half, int((lengths <= half * norms.weight).sum())), (0.0, 0), (1e9, norms.all_groups)):
        counts = Triton().prepare([trial.task]).run([[lam, 1.0, 0.1, 1e-3, 0.0]], [None], [trial.structured])
        assert (counts.kept.tolist(), counts.zero.tolist()) == ([0], [zero])
        groups = trial.structured.view(shape_of(norms))
        assert int((groups == 0).all(1).all(-1).sum()) == zero


def test_weight_that_is_zero_only_on_the_device():
    for outer, inner in ((40, 1), (1, 40), (10, 4)):
        trial = trial_of(GroupNorms(0.5, outer, 5, inner))
        W0, V, U = trial.state
        scalars = torch.tensor([[0.0, 1.0, 0.1, 1e-3, 0.0]], dtype=torch.float64, device=DEVICE)
        assert Triton().prepare([trial.task]).run(scalars, [None], [trial.structured]).kept.tolist() == [0]
        D = U ** (1 / 3) + 1e-3
        torch.testing.assert_close(trial.structured, (D * W0 - V) / D, rtol=1e-12, atol=0)


def test_addresses_in_a_graph_are_those_that_are_uploaded():
    tasks, beside = [trial_of(norms).task for norms in (LONG["columns"], LONG["runs"])], [None, None]
    plan = Triton().plan(tasks, (), beside, beside, capturing=False)
    for capturing in (False, True):
        assert _moving(plan, (7, 0, 2**40, 16), DEVICE, capturing=capturing).tolist() == [7, 0, 2**40, 16]


def guarded(size: int, fill: float, dtype: torch.dtype, offset: int) -> tuple[Tensor, Tensor]:
    """A tensor in the middle of a larger one."""
    around = torch.full((size + 200,), fill, dtype=dtype, device=DEVICE)
    return around, around.as_strided((size,), (1,), 96 + offset)


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("name", [*LONG, "entries", "no groups", "no groups in blocks", "aligned", "aligned blocks"])
def test_nothing_is_written_astray(name: str, offset: int):
    extra = {
        "entries": GroupNorms(0.5, 1, 33, 1),
        "no groups": GroupNorms(0.0, 3, 5, 7),
        "no groups in blocks": GroupNorms(0.0, 3, 5, 7, blocks=2),
        "aligned": GroupNorms(0.5, 70, 32, 1),
        "aligned blocks": GroupNorms(0.5, 7, 32, 1, blocks=3),
    }
    norms = {**LONG, **extra}[name]
    size = math.prod(shape_of(norms))
    arounds, tensors = zip(*(guarded(size, fill, torch.float32, offset) for fill in (1.0, 2, 3, 4, 5, 6)), strict=True)
    for tensor in tensors:
        tensor.copy_(torch.rand(size))
    point, gradient, structured, *state = tensors
    trial = Trial(point, tuple(state), norms, structured, gradient, (1.0, 0.5, 0.1, 1e-3, 0.0))
    before = [around.clone() for around in arounds]
    run(trial)
    for around, old, changes in zip(arounds, before, (True, False, True, False, True, True), strict=True):
        start = 96 + offset
        assert torch.equal(around[:start], old[:start])
        assert torch.equal(around[start + size :], old[start + size :])
        assert torch.equal(around[start : start + size], old[start : start + size]) != changes


def test_a_point_that_is_not_averaged_stays():
    trial = trial_of(LONG["columns"])
    before = trial.point.clone()
    run(replace(trial, averages=False))
    assert torch.equal(trial.point, before)
    assert residual(trial).max() < 1e-13
