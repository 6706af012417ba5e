"""Groups of a layer's weights against the layer itself: which weights an input or an output really touches.

The truth comes from torch's autograd: an entry of a weight belongs to input c if a signal in channel c alone gives it a
gradient, and to output c if output c alone does.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from solvers import GroupLasso, ProxSGD, parameter_groups, structure_levels
from solvers.networks.layers import _conv_groups


class Conv1D(nn.Module):
    """GPT-2's linear layer, as it was before it kept its number of inputs."""

    def __init__(self, nf: int, nx: int) -> None:
        super().__init__()
        self.nf = nf
        self.weight = nn.Parameter(torch.randn(nx, nf))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight


class InOut(nn.Module):
    """A linear layer of somebody else's, with its weight (in, out)."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = nn.Parameter(torch.randn(in_features, out_features))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight


class OutIn(nn.Module):
    """Another one, with its weight (out, in)."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = nn.Parameter(torch.randn(out_features, in_features))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight.mT


class OwnConv(nn.Module):
    """A convolution that is none of torch's classes."""

    def __init__(self, in_channels: int, out_channels: int, groups: int) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels // groups, 2, 2))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.conv2d(x, self.weight, groups=self.groups)


def vectors(channels: int, only: int | None) -> Tensor:
    """Random vectors, with only one entry that is not zero where ``only`` is given."""
    x = torch.rand(7, channels) + 0.5
    return x if only is None else x * (torch.arange(channels) == only)


def images(dimensions: int) -> Callable[[int, int | None], Tensor]:
    def make(channels: int, only: int | None) -> Tensor:
        shape = (channels, *[1] * dimensions)
        return vectors(channels, only).reshape(7, *shape).expand(7, channels, *[4] * dimensions)

    return make


LAYERS = [
    ("linear", nn.Linear(5, 3), 5, 3, vectors),
    ("linear", Conv1D(6, 4), 4, 6, vectors),
    ("linear", Conv1D(4, 4), 4, 4, vectors),
    ("linear", InOut(4, 6), 4, 6, vectors),
    ("linear", OutIn(4, 6), 4, 6, vectors),
    ("convolution", nn.Conv1d(4, 6, 3), 4, 6, images(1)),
    ("convolution", nn.Conv1d(4, 6, 3, groups=2), 4, 6, images(1)),
    ("convolution", nn.Conv2d(6, 6, 2, groups=6), 6, 6, images(2)),
    ("convolution", nn.Conv2d(3, 6, 2, groups=3), 3, 6, images(2)),
    ("convolution", nn.Conv2d(6, 3, 2, groups=3), 6, 3, images(2)),
    ("convolution", nn.Conv3d(4, 4, 2, groups=2), 4, 4, images(3)),
    ("convolution", nn.ConvTranspose1d(4, 6, 3), 4, 6, images(1)),
    ("convolution", nn.ConvTranspose1d(4, 4, 1), 4, 4, images(1)),
    ("convolution", nn.ConvTranspose2d(4, 6, 2, groups=2), 4, 6, images(2)),
    ("convolution", nn.ConvTranspose3d(4, 4, 1, groups=4), 4, 4, images(3)),
    ("convolution", OwnConv(4, 6, 2), 4, 6, images(2)),
]
IDS = [f"{layer}".replace("()", f"-{tuple(layer.weight.shape)}") for _, layer, *_ in LAYERS]


def touched(weight: Tensor, output: Tensor) -> set[int]:
    (gradient,) = torch.autograd.grad(output.sum(), weight, retain_graph=True)
    return set(gradient.flatten().nonzero().flatten().tolist())


def groups_of(psi: GroupLasso, weight: Tensor) -> list[set[int]]:
    """The flat indices of every group of ``psi``, in its order, from which of them one entry alone makes nonzero."""
    found: dict[int, set[int]] = {}
    for flat in range(weight.numel()):
        (number,) = psi.structure((torch.arange(weight.numel()) == flat).reshape(weight.shape)).nonzero().flatten()
        found.setdefault(int(number), set()).add(flat)
    return [found[number] for number in sorted(found)]


def of_layer(kind: str, layer: nn.Module, grouping: str) -> GroupLasso:
    found: Any
    (found,) = (e.regularizer for e in parameter_groups(layer, **{kind: GroupLasso(1.0, grouping)}).assignments[:1])
    return found


@pytest.mark.parametrize(("kind", "layer", "inputs", "outputs", "signal"), LAYERS, ids=IDS)
@pytest.mark.parametrize("grouping", ["input", "channel"])
def test_a_group_is_what_reads_one_input(kind, layer, inputs, outputs, signal, grouping):
    truth = [touched(layer.weight, layer(signal(inputs, only))) for only in range(inputs)]
    assert groups_of(of_layer(kind, layer, grouping), layer.weight) == truth


@pytest.mark.parametrize(("kind", "layer", "inputs", "outputs", "signal"), LAYERS, ids=IDS)
@pytest.mark.parametrize("grouping", ["output", "filter"])
def test_a_group_is_what_makes_one_output(kind, layer, inputs, outputs, signal, grouping):
    made = layer(signal(inputs, None))
    channel = 1 if kind == "convolution" else -1
    truth = [touched(layer.weight, made.select(channel, only)) for only in range(outputs)]
    assert groups_of(of_layer(kind, layer, grouping), layer.weight) == truth


@pytest.mark.parametrize("layer", [nn.Embedding(5, 3), nn.EmbeddingBag(5, 3)], ids=str)
def test_rows_of_an_embedding_are_outputs(layer):
    """As in an output layer that is tied to it, whichever of the two is named."""
    rows = groups_of(of_layer("embedding", layer, "output"), layer.weight)
    assert rows == [touched(layer.weight, layer(torch.tensor([[index]]))) for index in range(5)]
    head = nn.Linear(3, 5, bias=False)
    assert rows == groups_of(of_layer("linear", head, "output"), head.weight)


def test_fused_projections_of_an_attention():
    layer = nn.MultiheadAttention(4, 2, batch_first=True)
    groups = parameter_groups(layer, attention=GroupLasso(1.0))
    psi = groups.assignments[0].regularizer
    for channel, group in enumerate(groups_of(psi, layer.in_proj_weight)):
        x = torch.randn(2, 5, 4) * (torch.arange(4) == channel)
        assert touched(layer.in_proj_weight, layer(x, x, x)[0].square()) == group


@pytest.mark.parametrize("layer", [nn.RNN(3, 2), nn.LSTM(3, 2, bidirectional=True), nn.GRU(3, 2)], ids=str)
def test_inputs_of_all_gates(layer):
    groups = parameter_groups(layer, recurrent=GroupLasso(1.0))
    psi = {entry.name: entry.regularizer for entry in groups.assignments}
    for channel, group in enumerate(groups_of(psi["weight_ih_l0"], layer.weight_ih_l0)):
        x = torch.randn(6, 2, 3) * (torch.arange(3) == channel)
        assert touched(layer.weight_ih_l0, layer(x)[0].square()) == group
    assert psi["weight_hh_l0"] == GroupLasso(1.0)


def test_first_input_of_a_bilinear_layer():
    layer = nn.Bilinear(3, 2, 4)
    psi = of_layer("linear", layer, "input")
    for channel, group in enumerate(groups_of(psi, layer.weight)):
        assert touched(layer.weight, layer(vectors(3, channel), vectors(2, None))) == group


def test_projections_of_an_lstm_are_weights():
    found = parameter_groups(nn.LSTM(3, 4, proj_size=2), recurrent=GroupLasso(1.0)).assignments
    names = {entry.name for entry in found if entry.regularizer}
    assert names == {"weight_ih_l0", "weight_hh_l0", "weight_hr_l0"}


@pytest.mark.parametrize("square_first", [True, False])
def test_a_square_weight_lies_as_the_others_of_its_class(square_first):
    layers = [InOut(4, 4), InOut(4, 6)] if square_first else [InOut(6, 4), InOut(4, 4)]
    found = parameter_groups(nn.Sequential(*layers), linear=GroupLasso(1.0)).assignments
    assert [entry.regularizer.layout for entry in found] == ["in_out", "in_out"]
    assert not any(entry.notes for entry in found)


def test_a_square_weight_of_an_unknown_class_is_said():
    groups = parameter_groups(nn.Sequential(OutIn(4, 4), nn.Linear(4, 4)), linear=GroupLasso(1.0))
    assert [len(entry.notes) for entry in groups.assignments] == [1, 0, 0]
    assert str(groups).splitlines()[-1].startswith("0.weight: square")


def test_an_unread_channel_of_a_convolution_with_groups_becomes_exactly_zero():
    layer, teacher = (nn.Conv2d(4, 4, 1, groups=2, bias=False) for _ in range(2))
    with torch.no_grad():
        teacher.weight.copy_(teacher.weight.sign())  # weights that no seed makes too small to be kept
        teacher.weight[:2, 0] = 0  # nothing reads channel 0; channel 2, its neighbour in the tensor, is read
    x = torch.randn(256, 4, 1, 1)
    target = teacher(x).detach()
    optimizer = ProxSGD(parameter_groups(layer, convolution=GroupLasso(2e-2, "channel")), lr=0.3, momentum=1.0)
    for _ in range(200):
        optimizer.zero_grad()
        (layer(x) - target).square().mean().backward()
        optimizer.step()
    assert layer.weight[:2, 0].abs().max() == 0
    assert layer.weight[2:, 0].abs().max() > 0.1
    assert structure_levels(optimizer)["GroupLasso"].zeros == 2


def test_dead_channels_of_a_depthwise_convolution_become_exactly_zero():
    layer, x = nn.Conv2d(8, 8, 3, groups=8), torch.randn(16, 8, 9, 9)
    target = x[:, :, 1:-1, 1:-1] * torch.tensor([1.0, 1, 1, 1, 0, 0, 0, 0]).view(1, 8, 1, 1)
    optimizer = ProxSGD(parameter_groups(layer, convolution=GroupLasso(2e-2, "channel")), lr=0.3, momentum=1.0)
    for _ in range(150):
        optimizer.zero_grad()
        (layer(x) - target).square().mean().backward()
        optimizer.step()
    assert (layer.weight.flatten(1).norm(dim=1) == 0).tolist() == [False] * 4 + [True] * 4


class Module:
    def __init__(self, groups):
        self.groups = groups


@pytest.mark.parametrize(("groups", "expected"), [(3, 3), (1, 1), (0, 1), (-2, 1), ("two", 1), (None, 1)])
def test_groups_of_a_module_that_are_no_count_are_one(groups, expected):
    assert _conv_groups(Module(groups)) == expected
