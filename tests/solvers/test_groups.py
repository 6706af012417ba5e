"""Groups against enumeration of every index."""

import math

import numpy as np
import pytest
import torch

from solvers.regularizers import Grouping

PLACE = {"input": 1, "channel": 1, "output": 0, "filter": 0}
SHAPES = [(1, 1), (3, 4), (4, 1), (1, 5), (2, 3, 4), (3, 2, 1), (2, 3, 2, 2), (2, 3, 1, 2, 2)]


def enumerated(shape: tuple[int, ...], name: str) -> list[list[tuple[int, ...]]]:
    groups: dict[int, list[tuple[int, ...]]] = {}
    for index in np.ndindex(*shape):
        groups.setdefault(index[PLACE[name]], []).append(index)
    return [groups[key] for key in sorted(groups)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", PLACE)
def test_reductions_are_those_of_enumerated_groups(name, shape, random):
    w = random.standard_normal(shape)
    members = [[w[index] for index in group] for group in enumerated(shape, name)]
    grouping, tensor = Grouping(name), torch.tensor(w)
    assert grouping.count(shape) == len(members)
    assert grouping.size_weight(shape) == pytest.approx(math.sqrt(len(members[0])), rel=1e-15)
    for method, reduced in (("sum", math.fsum), ("max", max), ("norm", lambda entries: math.hypot(*entries))):
        found = getattr(grouping, method)(tensor)
        assert (found * tensor).shape == tensor.shape
        np.testing.assert_allclose(grouping.flat(found).numpy(), [reduced(m) for m in members], rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", PLACE)
def test_result_stands_at_its_group(name, random):
    w = torch.tensor(random.standard_normal((3, 4, 2)))
    norm = Grouping(name).norm(w).expand_as(w)
    for group in enumerated((3, 4, 2), name):
        assert len({float(norm[index]) for index in group}) == 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_sums_are_taken_in_float64(dtype):
    # 4096 ones: bfloat16 stops counting at 256, float16 overflows in the squares of 300, and float32, adding along the
    # first axis one by one, loses two of its seven digits.
    w = torch.full((4096, 2), 1.0, dtype=dtype)
    grouping = Grouping("input")
    assert grouping.sum(w).dtype == torch.float64
    assert grouping.sum(w).tolist() == [[4096.0, 4096.0]]
    assert grouping.norm(w).dtype == torch.float32
    torch.testing.assert_close(grouping.norm(300 * w), torch.full((1, 2), 19200.0), rtol=2e-7, atol=0)


@pytest.mark.parametrize("name", ["rows", "", "Input", None, 1])
def test_unknown_grouping(name):
    with pytest.raises(ValueError, match="grouping must be one of 'input'"):
        Grouping(name)


@pytest.mark.parametrize("shape", [(), (3,), (1, 1, 1, 1, 1, 1), (0, 3), (2, 0, 1)])
def test_shapes_without_groups(shape):
    with pytest.raises(ValueError, match="nonempty tensor of 2 to 5 dimensions, got shape"):
        Grouping("input").check_shape(shape)
