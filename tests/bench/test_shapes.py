"""The parameter lists are those of the models that they are named after."""

import math

import pytest
import torch

from experiments.bench.shapes import four_layers, grouped, mlp, resnet50, square, stack, transformer


def test_resnet50_has_its_parameters():
    shapes = resnet50()
    assert len(shapes.entries) == 161
    assert shapes.size == 25_557_032
    kinds = {entry.grouping for entry in shapes.entries if len(entry.shape) == 4}
    assert kinds == {"channel"}
    assert sum(entry.grouping is not None for entry in shapes.entries) == 54
    assert len({entry.name for entry in shapes.entries}) == 161


def test_transformer_is_that_of_torch():
    layer = torch.nn.TransformerEncoderLayer(768, 12, 3072, device="meta")
    expected = {name: tuple(param.shape) for name, param in layer.named_parameters()}
    found = {entry.name.removeprefix("layers.0."): entry.shape for entry in transformer(layers=1).entries}
    assert found == expected
    assert transformer().size == 12 * sum(map(math.prod, expected.values())) == 85_054_464


def test_mlp_has_the_widths_of_the_paper():
    weights = [entry.shape for entry in mlp().entries if entry.grouping == "input"]
    assert weights == [(512, 784), (256, 512), (128, 256), (64, 128), (32, 64), (16, 32), (10, 16)]
    assert mlp().size == 577_178


def test_four_layers():
    assert [entry.shape for entry in four_layers().entries] == [(512, 512), (1024, 512), (2048, 512), (512, 2048)]
    assert four_layers().largest == 2**20


@pytest.mark.parametrize("size", [3, 64, 2_000, 100_000])
def test_group_sizes(size):
    (columns,), (rows,) = grouped(size, 10**6).entries, grouped(size, 10**6, "output").entries
    assert columns.shape[0] == rows.shape[1] == size
    assert columns.shape[1] == rows.shape[0] == max(1, 10**6 // size)


@pytest.mark.parametrize("size", [10**5, 10**8])
def test_scale_keeps_its_group_size(size):
    shapes = stack(size)
    assert {entry.shape[0] for entry in shapes.entries} == {256}
    assert shapes.size == pytest.approx(size, rel=0.01)
    assert square(8192).size == 8192**2
