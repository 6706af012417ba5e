"""Parameter lists as plain data: names, shapes and groupings of models whose step is timed."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Entry:
    """One parameter tensor; ``grouping`` is how its group LASSO groups it, None where it has no regularizer."""

    name: str
    shape: tuple[int, ...]
    grouping: str | None = None

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class ParameterList:
    """The parameters of a model, in its order."""

    title: str
    entries: tuple[Entry, ...]

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.entries)

    @property
    def largest(self) -> int:
        return max(entry.size for entry in self.entries)


def _linear(name: str, inputs: int, outputs: int, grouping: str = "input") -> Iterator[Entry]:
    yield Entry(f"{name}.weight", (outputs, inputs), grouping)
    yield Entry(f"{name}.bias", (outputs,))


def _norm(name: str, width: int) -> Iterator[Entry]:
    yield Entry(f"{name}.weight", (width,))
    yield Entry(f"{name}.bias", (width,))


def four_layers() -> ParameterList:
    """Four weight matrices of a transformer's kind, input groups, no biases."""
    shapes = ((512, 512), (1024, 512), (2048, 512), (512, 2048))
    entries = tuple(Entry(f"layer{index}", shape, "input") for index, shape in enumerate(shapes))
    return ParameterList("four weight matrices", entries)


#: Widths of the paper's nuclear norm experiment on FashionMNIST (appendix of arXiv 2403.14398).
PAPER_WIDTHS = (784, 512, 256, 128, 64, 32, 16, 10)


def mlp(widths: tuple[int, ...] = PAPER_WIDTHS) -> ParameterList:
    """A multilayer perceptron with biases."""
    entries = [entry for index, pair in enumerate(pairwise(widths)) for entry in _linear(f"layer{index}", *pair)]
    return ParameterList("MLP " + "-".join(map(str, widths)), tuple(entries))


def resnet50() -> ParameterList:
    """ResNet-50 (He et al., 2016) for 1000 classes: 161 tensors, 25,557,032 parameters."""
    entries = [Entry("conv1.weight", (64, 3, 7, 7), "channel"), *_norm("bn1", 64)]
    channels = 64
    for stage, (blocks, width) in enumerate(zip((3, 4, 6, 3), (64, 128, 256, 512), strict=True), start=1):
        for block in range(blocks):
            prefix = f"layer{stage}.{block}"
            for number, outputs, inputs, kernel in (
                (1, width, channels, 1),
                (2, width, width, 3),
                (3, 4 * width, width, 1),
            ):
                entries.append(Entry(f"{prefix}.conv{number}.weight", (outputs, inputs, kernel, kernel), "channel"))
                entries += _norm(f"{prefix}.bn{number}", outputs)
            if block == 0:
                entries.append(Entry(f"{prefix}.downsample.0.weight", (4 * width, channels, 1, 1), "channel"))
                entries += _norm(f"{prefix}.downsample.1", 4 * width)
            channels = 4 * width
    entries += _linear("fc", channels, 1000)
    return ParameterList("ResNet-50", tuple(entries))


def transformer(layers: int = 12, width: int = 768, hidden: int = 3072) -> ParameterList:
    """The layers of a transformer encoder, base size, as torch.nn.TransformerEncoderLayer names them."""
    entries: list[Entry] = []
    for index in range(layers):
        prefix = f"layers.{index}"
        entries.append(Entry(f"{prefix}.self_attn.in_proj_weight", (3 * width, width), "input"))
        entries.append(Entry(f"{prefix}.self_attn.in_proj_bias", (3 * width,)))
        entries += _linear(f"{prefix}.self_attn.out_proj", width, width)
        entries += _linear(f"{prefix}.linear1", width, hidden)
        entries += _linear(f"{prefix}.linear2", hidden, width)
        entries += _norm(f"{prefix}.norm1", width)
        entries += _norm(f"{prefix}.norm2", width)
    return ParameterList(f"transformer encoder, {layers} layers of {width}", tuple(entries))


def square(side: int) -> ParameterList:
    """One square matrix, input groups."""
    return ParameterList(f"one {side}x{side} matrix", (Entry("weight", (side, side), "input"),))


def grouped(group_size: int, parameters: int, grouping: str = "input") -> ParameterList:
    """One matrix of about ``parameters`` entries in groups of ``group_size``, at least one group."""
    count = max(1, parameters // group_size)
    shape = (group_size, count) if grouping == "input" else (count, group_size)
    title = f"groups of {group_size:,} in one {shape[0]}x{shape[1]} matrix, {grouping} groups"
    return ParameterList(title, (Entry("weight", shape, grouping),))


def stack(parameters: int, group_size: int = 256, tensors: int = 4) -> ParameterList:
    """Equal matrices with ``parameters`` entries in all, in groups of ``group_size``."""
    count = max(1, parameters // (group_size * tensors))
    entries = tuple(Entry(f"layer{index}", (group_size, count), "input") for index in range(tensors))
    return ParameterList(f"{tensors} matrices {group_size}x{count}", entries)
