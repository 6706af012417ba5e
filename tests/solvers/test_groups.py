"""Groups against enumeration of every index."""

import itertools
import math
from functools import partial

import numpy as np
import pytest
import torch

from solvers import GroupLasso, SparseGroupLasso
from solvers.regularizers import Grouping, WeightLayout
from solvers.regularizers.groups import _merged

NAMES = ("input", "channel", "output", "filter")
SHAPES = [
    (1, 1),
    (3, 4),
    (4, 1),
    (1, 5),
    (2, 3, 4),
    (3, 2, 1),
    (2, 3, 2, 2),
    (2, 3, 1, 2, 2),
    (6, 2),
    (4, 3, 2),
    (6, 1, 3),
]
CASES = [(shape, blocks) for shape in SHAPES for blocks in (1, 2, 3, 6) if shape[0] % blocks == 0]


def enumerated(shape: tuple[int, ...], name: str, layout: str, blocks: int) -> list[list[tuple[int, ...]]]:
    """The indices of every group, by the numbers of the channels that an entry of the weight links."""
    groups: dict[int, list[tuple[int, ...]]] = {}
    per_block = shape[0] // blocks
    for index in np.ndindex(*shape):
        first, second = index[0], index[0] // per_block * shape[1] + index[1]
        out, source = (first, second) if layout == "out_in" else (second, first)
        groups.setdefault(source if name in ("input", "channel") else out, []).append(index)
    return [groups[key] for key in sorted(groups)]


@pytest.mark.parametrize(("shape", "blocks"), CASES)
@pytest.mark.parametrize("layout", ["out_in", "in_out"])
@pytest.mark.parametrize("name", NAMES)
def test_reductions_are_those_of_enumerated_groups(name, layout, shape, blocks, random):
    w = random.standard_normal(shape)
    members = [[w[index] for index in group] for group in enumerated(shape, name, layout, blocks)]
    grouping, tensor = Grouping(name, layout, blocks), torch.tensor(w)
    grouping.check_shape(shape)
    assert grouping.count(shape) == len(members)
    assert grouping.size_weight(shape) == pytest.approx(math.sqrt(len(members[0])), rel=1e-15)
    for method, reduced in (("sum", math.fsum), ("max", max), ("norm", lambda entries: math.hypot(*entries))):
        found = getattr(grouping, method)(tensor)
        assert (found * tensor).shape == tensor.shape
        np.testing.assert_allclose(grouping.flat(found).numpy(), [reduced(m) for m in members], rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(("shape", "blocks"), [((3, 4, 2), 1), ((4, 3, 2), 2), ((6, 2, 1), 3)])
@pytest.mark.parametrize("layout", ["out_in", "in_out"])
@pytest.mark.parametrize("name", NAMES)
def test_result_stands_at_its_group(name, layout, shape, blocks, random):
    w = torch.tensor(random.standard_normal(shape))
    norm = Grouping(name, layout, blocks).norm(w).expand_as(w)
    for group in enumerated(shape, name, layout, blocks):
        expected = math.hypot(*(w[index].item() for index in group))
        assert all(norm[index].item() == pytest.approx(expected, rel=1e-13) for index in group)


def in_order(shape: tuple[int, ...], axes: tuple[int, ...]) -> torch.Tensor:
    """A tensor of ``shape`` whose axes lie in memory in the order ``axes``, numbered from 1 as memory lies."""
    back = tuple(axes.index(axis) for axis in range(len(shape)))
    sizes = [shape[axis] for axis in axes]
    return torch.arange(1.0, math.prod(shape) + 1, dtype=torch.float64).reshape(sizes).permute(back)


@pytest.mark.parametrize(("shape", "blocks"), CASES)
@pytest.mark.parametrize("layout", ["out_in", "in_out"])
@pytest.mark.parametrize("name", NAMES)
def test_groups_in_memory(name, layout, shape, blocks):
    """Read as memory lies, the array (blocks, outer, groups, inner) has the enumerated groups, or there is none."""
    expected = {frozenset(group) for group in enumerated(shape, name, layout, blocks)}
    orders = itertools.permutations(range(len(shape)))
    for axes in orders if len(shape) < 5 else [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (0, 2, 3, 4, 1)]:
        w = in_order(shape, axes)
        found = Grouping(name, layout, blocks).in_memory(w)
        if found is None:
            assert blocks > 1
            assert axes != tuple(range(len(shape)))
            continue
        array = torch.arange(1.0, w.numel() + 1, dtype=torch.float64).reshape(found)
        place = {w[index].item(): index for index in np.ndindex(*shape)}
        pairs = itertools.product(range(found.blocks), range(found.groups))
        read = {frozenset(place[entry] for entry in array[q, :, j].flatten().tolist()) for q, j in pairs}
        assert read == expected


def test_blocks_that_are_one_axis_in_memory_are_one_block():
    """Depthwise convolutions and those with one output a block are arrays (outer, groups, inner); others are blocks."""
    depthwise, one_output, pairs = torch.randn(8, 1, 3, 3), torch.randn(2, 5, 3), torch.randn(4, 5, 3)
    assert GroupLasso(1.0, "channel", conv_groups=8).group_norms(depthwise)[1:5] == (1, 8, 9, 1)
    assert GroupLasso(1.0, "channel", conv_groups=4).group_norms(depthwise)[1:5] == (1, 4, 18, 1)
    assert GroupLasso(1.0, "channel", conv_groups=2).group_norms(one_output)[1:5] == (1, 10, 3, 1)
    assert GroupLasso(1.0, "filter", conv_groups=2).group_norms(pairs)[1:5] == (1, 4, 15, 1)
    assert GroupLasso(1.0, "channel", conv_groups=2).group_norms(pairs)[1:5] == (2, 5, 3, 2)
    assert Grouping("channel", conv_groups=2).in_memory(pairs) == (2, 2, 5, 3)
    assert Grouping("channel", conv_groups=2).in_memory(pairs[::2]) is None


def test_reduction_and_point_of_a_view_that_is_not_contiguous(random):
    w = torch.tensor(random.standard_normal((3, 8, 4))).permute(1, 0, 2)[::2]
    psi = GroupLasso(0.3, "channel", conv_groups=2)
    assert psi.group_norms(w) is None
    # The order in which a group's squares are added follows the memory.
    torch.testing.assert_close(psi.prox(w, 0.7), psi.prox(w.contiguous(), 0.7), rtol=1e-15, atol=0)
    assert psi.value(w) == pytest.approx(psi.value(w.contiguous()).item(), rel=1e-15)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_sums_are_taken_in_float64(dtype):
    # 4096 ones: bfloat16 stops counting at 256, float16 overflows in the squares of 300, and float32, adding along the
    # first axis one by one, loses two of its seven digits.
    w = torch.full((4096, 2), 1.0, dtype=dtype)
    grouping = Grouping("input")
    assert grouping.sum(w).dtype == torch.float64
    assert grouping.sum(w).tolist() == [[4096.0, 4096.0]]
    assert grouping.norm(w).dtype == torch.float64
    torch.testing.assert_close(grouping.norm(300 * w), torch.full((1, 2), 19200.0, dtype=torch.float64))


@pytest.mark.parametrize("name", ["rows", "", "Input", None, 1])
def test_unknown_grouping(name):
    with pytest.raises(ValueError, match="grouping must be one of 'input'"):
        Grouping(name)


@pytest.mark.parametrize("shape", [(), (3,), (1, 1, 1, 1, 1, 1), (0, 3), (2, 0, 1)])
def test_shapes_without_groups(shape):
    with pytest.raises(ValueError, match="nonempty tensor of 2 to 5 dimensions, got shape"):
        Grouping("input").check_shape(shape)


@pytest.mark.parametrize("layout", ["in", "out_out", None, 0])
def test_unknown_layout(layout):
    with pytest.raises(ValueError, match="layout must be one of 'out_in', 'in_out'"):
        GroupLasso(1.0, "input", layout)


@pytest.mark.parametrize(("blocks", "error"), [(0, ValueError), (-2, ValueError), (2.0, TypeError), (True, TypeError)])
def test_bad_number_of_blocks(blocks, error):
    with pytest.raises(error, match="conv_groups must be an integer >= 1"):
        GroupLasso(1.0, "channel", conv_groups=blocks)


@pytest.mark.parametrize("shape", [(3, 2), (5, 4, 3), (1, 2)])
@pytest.mark.parametrize("name", NAMES)
def test_blocks_that_do_not_fit(name, shape):
    with pytest.raises(ValueError, match="conv_groups must divide"):
        GroupLasso(1.0, name, conv_groups=2).check_shape(shape)


def test_printed_form_makes_the_same_regularizer():
    for psi in (GroupLasso(0.5), GroupLasso(0.5, "filter", "in_out"), GroupLasso(0.5, "channel", conv_groups=4)):
        assert eval(repr(psi)) == psi
    assert repr(GroupLasso(0.5, "output")) == "GroupLasso(reg_weight=0.5, grouping='output')"


def test_a_layer_gives_its_layout():
    psi, swapped = GroupLasso(0.5, "filter"), WeightLayout("in_out", 2)
    assert psi.for_layout(swapped, (4, 3, 2)) == GroupLasso(0.5, "filter", "in_out", 2)
    assert psi.for_layout(swapped, (4, 3, 2)).for_layout(swapped, (4, 3, 2)) == GroupLasso(0.5, "filter", "in_out", 2)
    with pytest.raises(ValueError, match="layout='in_out', conv_groups=1 of the regularizer"):
        GroupLasso(0.5, "filter", "in_out").for_layout(WeightLayout(), (4, 3))
    with pytest.raises(ValueError, match="conv_groups must divide"):
        psi.for_layout(swapped, (3, 3, 2))


@pytest.mark.parametrize(
    "make", [GroupLasso, partial(SparseGroupLasso, entry_weight=0.0)], ids=["group", "sparse group"]
)
@pytest.mark.parametrize(
    ("dtype", "exponent", "rtol"),
    [(torch.float32, 127, 1e-6), (torch.bfloat16, 127, 4e-3), (torch.float64, 1023, 1e-14)],
)
def test_prox_of_a_group_whose_norm_is_out_of_range_though_its_entries_are_not(make, dtype, exponent, rtol):
    psi, w, step = make(0.5), torch.full((256, 2), 2.0**exponent, dtype=dtype), 2.0 ** (exponent - 5)
    threshold = step * psi.group_weight(w)
    expected = (1 - threshold / 2.0**exponent / 16) * w.double()
    torch.testing.assert_close(psi.prox(w, step).double(), expected, rtol=rtol, atol=0)
    away = psi.subgradient_residual(w, torch.zeros_like(w), step).double()
    torch.testing.assert_close(away, torch.full_like(away, threshold / 16), rtol=rtol, atol=0)
    # And where the price takes a sixteenth of the norm, or nearly all, or more: prices that float64 does not hold.
    for share in (0.0625, 0.96875, 1.03125)[: 1 if dtype == torch.float64 else 3]:
        left = psi.prox(w, share * 2.0**exponent * 2).double()
        torch.testing.assert_close(left, max(1 - share, 0.0) * w.double(), rtol=rtol, atol=0)


@pytest.mark.parametrize("size", [3e-312, 5e-324, 1e-300, 1.0])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_denormal_groups_lose_their_share(size, share):
    """1/norm is out of range there, but threshold/norm is not."""
    psi, w = GroupLasso(share * size), torch.full((1, 1), size, dtype=torch.float64)
    left = size - share * size if share * size < size else 0.0
    assert float(psi.prox(w, 1.0)) == pytest.approx(left, rel=1e-12, abs=5e-324)
    residual = psi.subgradient_residual(torch.zeros_like(w), w, 1.0)
    assert float(residual) == pytest.approx(left, rel=1e-12, abs=5e-324)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_norms_whose_squares_leave_the_range(name, size, random):
    w = torch.tensor(random.standard_normal((3, 4, 2)))
    groups = Grouping(name)
    torch.testing.assert_close(groups.norm(w * size) / size, groups.norm(w), rtol=1e-15, atol=0)
    psi = GroupLasso(1.0, name)
    torch.testing.assert_close(psi.value(w * size) / size, psi.value(w), rtol=1e-15, atol=0)
    torch.testing.assert_close(psi.prox(w * size, 0.5 * size) / size, psi.prox(w, 0.5), rtol=1e-14, atol=0)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ("", (1, 1, 1, 1)),
        ("G5", (1, 1, 5, 1)),
        ("o5", (1, 5, 1, 1)),
        ("o2 G3 o4", (1, 2, 3, 4)),
        ("G2 G3 o4 o5", (1, 1, 6, 20)),
        ("G2 o3 G4", (2, 3, 4, 1)),
        ("G2 o3 G4 o5", (2, 3, 4, 5)),
        ("G2 o1 G4 o5", (1, 1, 8, 5)),
        ("o2 G3 o4 G5", None),
        ("o2 G3 o4 G5 o6", None),
    ],
)
def test_runs_of_axes(parts, expected):
    """Axes in the order of memory, G those that number groups: (blocks, outer, groups, inner), or no such array."""
    assert _merged([(int(part[1:]), part[0] == "G") for part in parts.split()]) == expected
