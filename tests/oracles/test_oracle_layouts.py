"""The oracle's groups of inputs and outputs against torch's own layers: which weights a channel really touches."""

import numpy as np
import pytest
import torch
from torch import nn

from ramda_verify.oracles.index_sets import group_index_sets

LAYERS = [
    pytest.param(nn.Conv1d(4, 6, 3, groups=2), "out_in", 2, id="conv1d-2"),
    pytest.param(nn.Conv2d(6, 6, 2, groups=6), "out_in", 6, id="depthwise"),
    pytest.param(nn.Conv2d(3, 6, 2, groups=3), "out_in", 3, id="depthwise-multiplier"),
    pytest.param(nn.Conv3d(2, 4, 1), "out_in", 1, id="conv3d"),
    pytest.param(nn.ConvTranspose1d(4, 6, 3), "in_out", 1, id="transposed1d"),
    pytest.param(nn.ConvTranspose2d(4, 6, 2, groups=2), "in_out", 2, id="transposed2d-2"),
    pytest.param(nn.ConvTranspose3d(4, 4, 1, groups=4), "in_out", 4, id="transposed3d-depthwise"),
]


@pytest.mark.parametrize(("layer", "layout", "conv_groups"), LAYERS)
def test_groups_of_channels(layer, layout, conv_groups):
    size = (5,) * len(layer.kernel_size)
    shape = tuple(layer.weight.shape)
    inputs = group_index_sets(shape, "channel", layout, conv_groups)
    assert len(inputs) == layer.in_channels
    for channel, indices in enumerate(inputs):
        x = torch.zeros(1, layer.in_channels, *size)
        x[:, channel] = 1.0
        (touched,) = torch.autograd.grad(layer(x).sum(), layer.weight)
        assert indices.tolist() == np.flatnonzero(touched.numpy()).tolist()
    outputs = group_index_sets(shape, "filter", layout, conv_groups)
    assert len(outputs) == layer.out_channels
    for channel, indices in enumerate(outputs):
        made = layer(torch.ones(1, layer.in_channels, *size))[:, channel]
        (touched,) = torch.autograd.grad(made.sum(), layer.weight)
        assert indices.tolist() == np.flatnonzero(touched.numpy()).tolist()


def test_bad_layouts_are_refused():
    for grouping, layout in (("input", "sideways"), ("columns", "out_in"), (None, "out_in")):
        with pytest.raises(ValueError, match="not defined"):
            group_index_sets((2, 2), grouping, layout)
    with pytest.raises(ValueError, match="not defined"):
        group_index_sets((3, 2), "input", "out_in", 2)
