"""The networks that are trained: each with its loss on a random minibatch and what of it is regularized."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from ramda_verify.problems.trainings.data import Labelled, characters, digits, large_digits, topics

CLASSES = 10
#: ASCII codes; the text uses two thirds of them.
CODES = 128
WORDS_IN_A_DOCUMENT = 32


@dataclass(frozen=True)
class Training:
    """What is trained. ``build()`` makes the network, initialised by torch's global generator.

    ``loss(model, generator)`` is the loss on a minibatch that the generator chooses, in the dtype of the model.
    ``kinds`` are the kinds of layers that are regularized, as ``parameter_groups`` names them; ``embeddings`` are
    patterns of names of parameters whose rows stand for words. ``accuracy(model)`` is the share of all examples that
    the network has right.
    """

    name: str
    title: str
    build: Callable[[], nn.Module]
    loss: Callable[[nn.Module, torch.Generator], Tensor]
    kinds: tuple[str, ...]
    embeddings: tuple[str, ...] = ()
    accuracy: Callable[[nn.Module], float] | None = None


def dtype_of(model: nn.Module) -> torch.dtype:
    return next(model.parameters()).dtype


def _images(
    data: Callable[[], Labelled], batch: int
) -> tuple[Callable[[nn.Module, torch.Generator], Tensor], Callable[[nn.Module], float]]:
    """Loss and accuracy of a network that takes images, or rows of pixels after ``nn.Flatten``."""

    def loss(model: nn.Module, generator: torch.Generator) -> Tensor:
        chosen = torch.randint(len(data().labels), (batch,), generator=generator)
        return F.cross_entropy(model(data().inputs[chosen].to(dtype_of(model))).float(), data().labels[chosen])

    def accuracy(model: nn.Module) -> float:
        with torch.no_grad():
            found = model(data().inputs.to(dtype_of(model))).argmax(1)
        return float((found == data().labels).float().mean())

    return loss, accuracy


def mlp(*widths: int) -> nn.Sequential:
    """Linear layers with ReLU between them, on flattened images."""
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def convolutions() -> nn.Sequential:
    """Two convolutions with BatchNorm, average pooling, one linear layer; for images of 8 x 8."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU()),
        *(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(128, CLASSES)),
    )


class CharacterTransformer(nn.Module):
    """A causal transformer that predicts the next character: embeddings, two encoder layers, a linear head."""

    def __init__(self, width: int, heads: int, hidden: int, length: int) -> None:
        super().__init__()
        self.embedding, self.position = nn.Embedding(CODES, width), nn.Embedding(length, width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, hidden, dropout=0.0, batch_first=True, norm_first=True)
            for _ in range(2)
        )
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, CODES)
        self.length = length

    def forward(self, codes: Tensor) -> Tensor:
        length = codes.shape[1]
        found = self.embedding(codes) + self.position(torch.arange(length))
        mask = nn.Transformer.generate_square_subsequent_mask(length, dtype=found.dtype)
        for layer in self.layers:
            found = layer(found, src_mask=mask, is_causal=True)
        return self.head(self.norm(found))


def _next_character(model: Any, generator: torch.Generator, batch: int = 8) -> Tensor:
    text, length = characters(), model.length
    starts = torch.randint(len(text) - length, (batch,), generator=generator)
    codes = torch.stack([text[start : start + length + 1] for start in starts.tolist()])
    return F.cross_entropy(model(codes[:, :-1]).float().flatten(0, 1), codes[:, 1:].flatten())


class BagOfWords(nn.Module):
    """The mean of a document's word vectors, then one linear layer."""

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(vocabulary, width), nn.Linear(width, CLASSES)

    def forward(self, words: Tensor) -> Tensor:
        return self.head(self.embedding(words).mean(dim=1))


def _topic_of_a_document(model: Any, generator: torch.Generator, batch: int = 64) -> Tensor:
    weights, words = topics(model.embedding.num_embeddings)
    labels = torch.randint(CLASSES, (batch,), generator=generator)
    drawn = torch.multinomial(weights[labels], WORDS_IN_A_DOCUMENT, replacement=True, generator=generator)
    return F.cross_entropy(model(words[drawn]).float(), labels)


def mlp_training(name: str, title: str, widths: tuple[int, ...], data: Callable[[], Labelled], batch: int) -> Training:
    """An MLP on images."""
    loss, accuracy = _images(data, batch)
    return Training(name, title, lambda: mlp(*widths), loss, ("linear",), accuracy=accuracy)


def character_training(name: str, width: int, heads: int, hidden: int, length: int) -> Training:
    """A transformer on characters; its embedding is regularized by rows: a third of the codes never occur."""
    title = f"2-layer transformer of width {width} on characters"
    build = lambda: CharacterTransformer(width, heads, hidden, length)  # noqa: E731
    return Training(name, title, build, _next_character, ("linear", "attention"), ("embedding.weight",))


def vocabulary_training(name: str, vocabulary: int, width: int) -> Training:
    """Word vectors of which half are never used."""
    title = f"embedding {vocabulary} x {width}, half of it never used"
    build = lambda: BagOfWords(vocabulary, width)  # noqa: E731
    return Training(name, title, build, _topic_of_a_document, ("linear",), ("embedding.weight",))


_CONVOLUTION_LOSS, _CONVOLUTION_ACCURACY = _images(digits, 64)

MLP = mlp_training("mlp", "MLP 64-32-10 on digits", (64, 32, CLASSES), digits, 64)
WIDE_MLP = mlp_training("wide-mlp", "MLP 784-32-10 on 28 x 28", (784, 32, CLASSES), large_digits, 64)
CONVOLUTIONS = Training(
    *("convolutions", "two convolutions with BatchNorm on digits", convolutions),
    *(_CONVOLUTION_LOSS, ("linear", "convolution")),
    accuracy=_CONVOLUTION_ACCURACY,
)
CHARACTERS = character_training("characters", width=16, heads=2, hidden=32, length=16)
VOCABULARY = vocabulary_training("vocabulary", vocabulary=400, width=16)
