"""What the Triton kernels read and write, by hand: the states of every method, groups in every order of memory, numbers
at the ends of their range, and sums over programs.
"""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("triton", reason="triton is not installed")

import triton
import triton.language as tl

from solvers import GroupLasso
from solvers.kernels import Counts
from solvers.kernels.contract import Recurrence, StepTask
from solvers.kernels.gpu import Triton, cross_program, groups
from solvers.kernels.gpu import plan as plans
from solvers.regularizers.members import GroupNorms
from tests.solvers.triton_cases import DEVICE, INTERPRETED, make_tiles_small, side_by_side

# The interpreter's numpy warns of infinities, which the kernels deal with.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
PROXGEN = Recurrence("proxgen", ("exp_avg", "exp_avg_sq"), 7)
#: With these coefficients of ProxGen B is the first state, and D the square root of the second.
AS_THEY_ARE = [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, -1.0]
MARK = 7.0


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiles_small(monkeypatch)


def tensor(numbers: Any, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(numbers, dtype=dtype, device=DEVICE)


def solved(
    B: Tensor, D: Tensor, norms: GroupNorms, lam: float, mix: float = 1.0, flush: float = 0.0, dtype: Any = None
) -> tuple[Tensor, Tensor, Counts]:
    """Ŵ, the point, which was MARK, and the counts."""
    point = torch.full_like(B, MARK, dtype=B.dtype if dtype is None else dtype)
    found = torch.full_like(B, torch.nan)
    task = StepTask(PROXGEN, point, (B, D * D), norms, flush)
    counts = Triton().prepare([task]).run([[lam, mix, *AS_THEY_ARE]], [None], [found])
    return found, point, counts


def of(counts: Any) -> tuple[list[int], list[int]]:
    return counts.kept.tolist(), counts.zero.tolist()


#: W, G and three states; the coefficients are all different.
W, G, X, Y, Z = 1.5, -0.75, 0.5, 2.0, 0.25
K = (0.375, 0.0625, 0.8125, 0.1875, 1.25, 0.5, 1.75)


def formula(name: str, g: float | None) -> tuple[list[float], float]:
    """The states after a gradient, if there is one, and B/D, by the table of ``Recurrence``."""
    k0, k1, k2, k3, k4, k5, k6 = K
    s, update = (0.0, False) if g is None else (g, True)
    if name == "ramda":
        states = [X, Y + k0 * s, Z + k0 * s * s] if update else [X, Y, Z]
        P = states[2] ** (1 / 3) + k1
        return states, (P * X - states[1]) / (P + k2)
    if name == "rmda":
        states = [X, Y + k0 * s] if update else [X, Y]
        return states, (k1 * X - states[1]) / (k1 + k2)
    if name == "proxsgd":
        states = [(1 - k0) * X + k0 * s] if update else [X]
        return states, k2 * W - k1 * states[0]
    states = [X + k1 * (s - X), k2 * Y + k3 * s * s] if update else [X, Y]
    v = states[1]
    if name == "proxgen_amsgrad":
        v = max(v, Z)
        states.append(v if update else Z)
        v = states[2]
    D = k4 * v**0.5 + k5
    return states, (D * k0 * W - k6 * states[0]) / D


METHODS = {"ramda": 3, "rmda": 3, "proxsgd": 3, "proxgen": 7, "proxgen_amsgrad": 7}


@pytest.mark.parametrize("g", [None, G], ids=("no gradient", "gradient"))
@pytest.mark.parametrize("name", METHODS)
def test_the_formulas_of_every_method(name, g):
    """Of entries, and of one group without a price, which a tile after the other is read for again."""
    expected, solution = formula(name, g)
    for norms, size in ((GroupNorms(0.0, 1, 3, 1), 3), (GroupNorms(1.0, 1, 1, 20), 20)):
        state = tuple(torch.full((size,), x, dtype=torch.float64, device=DEVICE) for x in (X, Y, Z)[: len(expected)])
        point, found = tensor([W] * size), tensor([torch.nan] * size)
        gradient = None if g is None else tensor([g] * size)
        task = StepTask(Recurrence(name, ("",) * len(state), METHODS[name]), point, state, norms, 0.0)
        scalars = tensor([[0.0, 0.25, *K[: METHODS[name]]]])
        counts = Triton().prepare([task]).run(scalars, [gradient], [found])
        assert of(counts) == ([0], [0])
        for value, right in zip(state, expected, strict=True):
            torch.testing.assert_close(value, torch.full_like(value, right), rtol=1e-14, atol=0)
        torch.testing.assert_close(found, torch.full_like(found, solution), rtol=1e-14, atol=0)
        torch.testing.assert_close(point, torch.full_like(point, 0.75 * W + 0.25 * solution), rtol=1e-14, atol=0)


@pytest.mark.parametrize("largest", [False, True])
def test_amsgrad_keeps_the_larger_second_moment(largest):
    state = [tensor([number]) for number in (0.5, 4.0, 9.0 if largest else 1.0)]
    recurrence = Recurrence("proxgen_amsgrad", ("m", "v", "x"), 7)
    task = StepTask(recurrence, tensor([1.0]), tuple(state), GroupNorms(0.0, 1, 1, 1), 0.0)
    Triton().prepare([task]).run([[0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0]], [tensor([0.0])], [None])
    assert [each.item() for each in state] == [0.5, 4.0, 9.0 if largest else 4.0]


INF, NAN = math.inf, math.nan
#: B, D and Ŵ for a price of 2; MARK where the entry keeps its point.
ENTRIES = [
    *((6.0, 2.0, 2.0), (-6.0, 2.0, -2.0), (2.5, 0.5, 1.0), (-2.5, 0.5, -1.0)),
    *((2.0, 1.0, 0.0), (-2.0, 1.0, 0.0), (1.0, 1.0, 0.0), (-1.0, 1.0, 0.0), (0.0, 1.0, 0.0)),
    *((1.5, 1.0, 0.0), (-1.5, 1.0, 0.0)),
    *((NAN, 1.0, MARK), (INF, 1.0, MARK), (-INF, 1.0, MARK), (6.0, NAN, MARK), (6.0, INF, MARK)),
    *((1.0, INF, MARK), (1.0, NAN, MARK), (6.0, 0.0, MARK), (INF, INF, MARK)),
]


@pytest.mark.parametrize("mix", [1.0, 0.25])
def test_entries(mix):
    B, D, right = (tensor(list(column)) for column in zip(*ENTRIES, strict=True))
    expected = right.tolist()
    # The weights of groups of one entry and of entries are one price.
    found, point, counts = solved(B, D, GroupNorms(0.5, 1, len(ENTRIES), 1, entry_weight=1.5), 1.0, mix)
    assert found.tolist() == expected
    assert point.tolist() == [(1 - mix) * MARK + mix * z for z in expected]
    assert of(counts) == ([9], [7])


def test_entries_at_the_end_of_the_range():
    """Ŵ is as wide as the sums, but it has to fit into the point."""
    for dtype, largest in ((torch.float16, 65504.0), (torch.float32, torch.finfo(torch.float32).max)):
        B = tensor([largest, -largest, largest * 1.0001, -largest * 1.0001, 0.0], torch.float32)
        found, point, counts = solved(B, torch.ones_like(B), GroupNorms(1.0, 1, 5, 1), 0.0, dtype=dtype)
        assert found.tolist() == [largest, -largest, MARK, MARK, 0.0]
        assert point.tolist() == found.tolist()
        assert of(counts) == ([2], [0])


@pytest.mark.parametrize(("mix", "flush"), [(0.5, 0.25), (1.0, 0.25)])
def test_averages_up_to_a_size_become_zero(mix, flush):
    """Ŵ itself does not."""
    averages = [0.25, -0.25, 0.2500001, -0.2500001, 0.1, 1.0]
    B = tensor([(average - (1 - mix) * MARK) / mix for average in averages])
    found, point, _ = solved(B, torch.ones_like(B), GroupNorms(0.0, 1, 6, 1), 0.0, mix, flush)
    assert torch.equal(found, B)
    assert point.tolist() == [0.0, 0.0, *point.tolist()[2:4], 0.0, 1.0]
    assert point[2:4].tolist() == pytest.approx(averages[2:4])


#: Tiles are 4 x 4 or 4 x 16 for runs, 4 x 8 or 8 x 4 for columns, 8 x 8 for channels.
LAYOUTS = {
    "columns": GroupNorms(0.5, 3, 9, 1, blocks=2),
    "a tile of columns": GroupNorms(0.5, 4, 8, 1),
    "columns of some tiles": GroupNorms(0.5, 17, 5, 1),
    "runs": GroupNorms(0.5, 1, 5, 3, blocks=2),
    "a tile of runs": GroupNorms(0.5, 1, 4, 4),
    "runs of some tiles": GroupNorms(0.5, 1, 5, 35),
    "channels": GroupNorms(0.5, 3, 4, 3, blocks=2),
    "a tile of channels": GroupNorms(0.5, 8, 4, 2),
    "channels of some tiles": GroupNorms(0.5, 17, 3, 3),
    "broken runs of two tiles": GroupNorms(0.5, 2, 5, 9, blocks=2),
    "broken runs of some tiles": GroupNorms(0.5, 3, 5, 12),
    "a group a block": GroupNorms(0.5, 3, 1, 2, blocks=2),
}


def drawn(norms: GroupNorms) -> tuple[Tensor, Tensor, float, Tensor]:
    """B, D, a price between the norms, and Ŵ: of a D that is one in each group it is (B/D) * (1 - t/||B||)."""
    B = torch.randn(norms.shape, dtype=torch.float64)
    D = 0.5 + torch.rand(norms.blocks, 1, norms.groups, 1, dtype=torch.float64)
    lengths = B.square().sum((1, 3), keepdim=True).sqrt()
    price = 0.999 * float(lengths.median())
    right = B / D * (1 - price / lengths).clamp_min(0)
    return B, D.expand(norms.shape), price, right


def within(value: Tensor) -> tuple[Tensor, Tensor]:
    """A tensor in the middle of a longer one of marks, and the longer one."""
    around = torch.full((value.numel() + 200,), MARK, dtype=value.dtype, device=DEVICE)
    return around.narrow(0, 100, value.numel()).copy_(value.flatten()), around


@pytest.mark.parametrize("name", LAYOUTS)
def test_groups_in_every_order_of_memory(name):
    norms = LAYOUTS[name]
    B, D, price, right = drawn(norms)
    assert plans.cut(norms, most_parts=1).tile.looped == name.endswith("tiles")
    (b, b_around), (v, v_around) = within(B), within(D * D)
    (point, point_around), (found, found_around) = within(torch.ones_like(B)), within(torch.zeros_like(B))
    task = StepTask(PROXGEN, point, (b, v), norms, flush=0.0)
    scalars = [[price / norms.weight, 0.5, *AS_THEY_ARE]]
    # One group is lost: it keeps its point, and others do not notice.
    b.view(norms.shape)[-1, -1, -1, -1] = torch.nan
    right[-1, :, -1] = 1.0
    counts = Triton().prepare([task]).run(scalars, [None], [found])
    torch.testing.assert_close(found.cpu(), right.flatten(), rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(point.cpu(), 0.5 + 0.5 * right.flatten(), rtol=1e-12, atol=1e-13)
    assert of(counts) == ([1], [int((right == 0).all(1).all(-1).sum())])
    for around in (b_around, v_around, point_around, found_around):
        assert around[:100].eq(MARK).all()
        assert around[-100:].eq(MARK).all()


def test_groups_at_the_end_of_the_range():
    """A norm has to be a thousandth below the largest number, since an entry may round above it."""
    for norm, kept in ((65400.0, 0), (65460.0, 1), (1e6, 1)):
        B = tensor([[norm + 2.0, 0.0], [0.0, 12.0]], torch.float32).flatten()
        found, point, counts = solved(B, torch.ones_like(B), GroupNorms(1.0, 2, 2, 1), 2.0, dtype=torch.float16)
        expected = [MARK, 0.0, MARK, 10.0] if kept else [norm, 0.0, 0.0, 10.0]
        torch.testing.assert_close(found, tensor(expected, torch.float32))
        assert point.tolist() == found.half().tolist()
        assert of(counts) == ([kept], [0])


@pytest.mark.parametrize(("b", "d"), [(90, -10), (-90, 10), (60, 60), (-60, -60), (30, -60), (-30, 60)])
def test_scales_of_b_and_d(b, d):
    """Powers of two, by which groups with sides 3 and 4, and 5 and 12, are stretched."""
    B = tensor([[3.0, 5.0], [4.0, 12.0]], torch.float32).flatten() * 2.0**b
    found, _, counts = solved(B, torch.full_like(B, 2.0**d), GroupNorms(1.0, 2, 2, 1), 2.5 * 2.0**b)
    right = tensor([1.5, 5.0 * 10.5 / 13, 2.0, 12.0 * 10.5 / 13], torch.float32) * 2.0 ** (b - d)
    torch.testing.assert_close(found, right, rtol=1e-6, atol=0)
    assert of(counts) == ([0], [0])


def test_a_scale_that_is_no_power_of_the_dtype():
    """B is 2^-100 where D is 2^-10, and zero where D is 2^60: max|b| / max d is 2^-160, but Ŵ is (b - t)/d = 2^-91."""
    B, D = tensor([0.0, 2.0**-100], torch.float32), tensor([2.0**60, 2.0**-10], torch.float32)
    found, _, counts = solved(B, D, GroupNorms(1.0, 2, 1, 1, blocks=1), 2.0**-101)
    torch.testing.assert_close(found, tensor([0.0, 2.0**-91], torch.float32), rtol=1e-6, atol=0)
    assert of(counts) == ([0], [0])


def test_entries_that_have_a_price_beside_their_group():
    """Of 5, -6, 2, -2, 1.5 and 0 a price of 2 leaves 3, -4 and zeros, of norm 5, which a price of 1 shortens to 4."""
    B = tensor([[5.0, 1.5], [-6.0, -1.5], [2.0, 2.0], [-2.0, 0.0], [1.5, 1.0], [0.0, -2.0]])
    found, _, counts = solved(
        B.flatten(), torch.ones(12, device=DEVICE).double(), GroupNorms(0.5, 6, 2, 1, 1, 1.0), 2.0
    )
    right = tensor([[2.4, 0.0], [-3.2, 0.0], *[[0.0, 0.0]] * 4])
    torch.testing.assert_close(found.view(6, 2), right, rtol=1e-14, atol=0)
    assert of(counts) == ([0], [1])


def test_without_a_price_entries_that_do_not_fit_are_kept_alone():
    """And a group of zeros is none that psi has made zero."""
    B = tensor([[1.0, 5.0, 0.0], [70000.0, 6.0, 0.0], [-70000.0, 65504.0, 0.0]], torch.float32).flatten()
    found, point, counts = solved(B, torch.ones_like(B), GroupNorms(1.0, 3, 3, 1), 0.0, dtype=torch.float16)
    assert found.tolist() == point.tolist() == [1.0, 5.0, 0.0, MARK, 6.0, 0.0, MARK, 65504.0, 0.0]
    assert of(counts) == ([2], [0])


def test_programs_share_groups_of_two_launches(monkeypatch):
    """Three to a group, one of which has two tiles of five."""
    norms = [GroupNorms(0.5, 12, 2, 1), GroupNorms(0.5, 1, 2, 40, blocks=2)]
    monkeypatch.setattr(Triton, "_most_parts", lambda self, device: 3)
    assert [plans.cut(its, 3).parts for its in norms] == [2, 3]
    tasks, rows, expected, found = [], [], [], []
    for its in norms:
        B, D, price, right = drawn(its)
        tensors = [each.flatten().contiguous().to(DEVICE) for each in (B, B, D * D)]
        tasks.append(StepTask(PROXGEN, tensors[0], tuple(tensors[1:]), its, flush=0.0))
        rows.append([price / its.weight, 1.0, *AS_THEY_ARE])
        expected.append(right)
        found.append(torch.full_like(tensors[0], torch.nan))
    with side_by_side():
        counts = Triton().prepare(tasks).run(rows, [None, None], found)
    for each, right in zip(found, expected, strict=True):
        torch.testing.assert_close(each.cpu(), right.flatten(), rtol=1e-12, atol=1e-13)
    assert of(counts) == ([0, 0], [int((right == 0).all(1).all(-1).sum()) for right in expected])


@triton.jit
def posts(board, sums, largest, parts, quantities: tl.constexpr, LANES: tl.constexpr):
    """Post 1, 2, ... times quantity + 1 for every part, and what ``posted_sum`` and ``posted_max`` make of it."""
    lanes = tl.arange(0, LANES)
    for quantity in tl.static_range(quantities):
        for part in range(parts):
            value = (lanes + part + 1) * (quantity + 1)
            cross_program.post(board, quantity, value.to(tl.float32), part, parts, LANES)
        # What one thread has written another may read.
        tl.debug_barrier()
        at = quantity * LANES + lanes
        tl.store(sums + at, cross_program.posted_sum(board, quantity, parts, LANES))
        tl.store(largest + at, cross_program.posted_max(board, quantity, parts, LANES))


@pytest.mark.parametrize("parts", [1, 32, 33])
def test_sums_over_programs(parts):
    """However many: they are read 32 at a time."""
    quantities, lanes = 2, 4
    board = torch.full((quantities * parts * lanes + 64 * lanes,), 1e9, dtype=torch.float64, device=DEVICE)
    sums, largest = (torch.empty(quantities, lanes, dtype=torch.float64, device=DEVICE) for _ in range(2))
    posts[(1,)](board, sums, largest, parts, quantities=quantities, LANES=lanes)
    for quantity in range(quantities):
        columns = [[(lane + part + 1) * (quantity + 1) for part in range(parts)] for lane in range(lanes)]
        assert sums[quantity].tolist() == list(map(sum, columns))
        assert largest[quantity].tolist() == list(map(max, columns))
    assert board[quantities * parts * lanes :].eq(1e9).all()


@pytest.mark.skipif(
    not INTERPRETED, reason="a GPU's kernel has the limit compiled in; only the interpreter reads a lower one"
)
def test_a_root_that_is_not_found_in_time_is_none(monkeypatch):
    """As many evaluations as plain torch uses are enough, one fewer is not; a tile at a time and all at once."""
    for norms in (GroupNorms(1.0, 4, 2, 1), GroupNorms(1.0, 17, 2, 1)):
        B = torch.randn(norms.outer, norms.groups, dtype=torch.float64)
        D = 10.0 ** torch.linspace(-4, 4, B.numel(), dtype=torch.float64).view_as(B)
        price = 0.3 * float(B.square().sum(0).sqrt().min())
        needed = GroupLasso(1.0, "input").metric_prox(B, D, price / norms.outer**0.5).iterations
        for limit, kept in ((needed, False), (needed - 1, True)):
            monkeypatch.setattr(groups, "MAX_ITERATIONS", tl.constexpr(limit))
            found, _, counts = solved(B.flatten(), D.flatten(), norms, price)
            assert (counts.kept.tolist() == [0]) != kept, (norms, limit, needed)
            assert bool(found.eq(MARK).any()) == kept
