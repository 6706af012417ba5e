"""ResNet-18 (He et al., 2016) for 1000 classes, most of whose channels are dead, as a group LASSO leaves them."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from ramda_verify.problems.trainings.networks import Training

WIDTHS = (64, 128, 256, 512)
CLASSES, IMAGES, SIDE = 1000, 256, 32


class Block(nn.Module):
    """Two 3 x 3 convolutions with BatchNorm beside the identity, or beside a 1 x 1 convolution where shapes change."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        self.downsample = nn.Sequential()
        if stride > 1:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        found = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(found + self.downsample(x))


class ResNet18(nn.Module):
    """11,689,512 parameters in 62 tensors, as torchvision has them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        inputs, blocks = 64, []
        for stage, width in enumerate(WIDTHS):
            blocks += [Block(inputs, width, 2 if stage else 1), Block(width, width, 1)]
            inputs = width
        self.blocks, self.fc = nn.Sequential(*blocks), nn.Linear(inputs, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(images))), 3, 2, 1)
        return self.fc(self.blocks(x).mean(dim=(2, 3)))


@torch.no_grad()
def kill_channels(model: Any, share: float) -> None:
    """Make ``share`` of the channels of every layer of a ResNet18 dead: the scale and shift of their BatchNorm become
    zero, so that they are zero on every image, and whatever reads them has no gradient. ReLU keeps them so.

    A channel of the residual stream is dead in all blocks that write it.
    """
    dead = {width: torch.randperm(width)[: round(share * width)] for width in WIDTHS}
    norms = [(model.bn1, dead[64])]
    for block in model.blocks:
        width = len(block.bn2.weight)
        norms += [(block.bn1, torch.randperm(width)[: round(share * width)]), (block.bn2, dead[width])]
        norms += [(norm, dead[width]) for norm in block.downsample if isinstance(norm, nn.BatchNorm2d)]
    for norm, channels in norms:
        norm.weight[channels] = norm.bias[channels] = 0.0


def _pruned() -> ResNet18:
    model = ResNet18()
    kill_channels(model, 0.7)
    return model


def _loss(model: nn.Module, generator: torch.Generator, batch: int = 8) -> Tensor:
    """Random images with random labels, ``IMAGES`` of them, to be learnt by heart."""
    fixed = torch.Generator().manual_seed(0)
    images = torch.randn(IMAGES, 3, SIDE, SIDE, generator=fixed)
    labels = torch.randint(CLASSES, (IMAGES,), generator=fixed)
    chosen = torch.randint(IMAGES, (batch,), generator=generator)
    return F.cross_entropy(model(images[chosen]), labels[chosen])


RESNET18 = Training(
    "resnet18",
    "ResNet-18 on random images of 32 x 32, 70 % of its channels dead",
    _pruned,
    _loss,
    ("linear", "convolution"),
)
