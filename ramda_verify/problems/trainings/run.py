"""One training run, step by step: gradients and steps are apart, so that a step can be looked at from all sides."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ramda_verify.problems.trainings.networks import Training
from solvers import GroupLasso, Regularizer, Stages, parameter_groups
from solvers.optimizers import StructuredOptimizer

#: The regularizer of a kind of layer: "linear", "convolution", "attention" or "embedding".
RegularizerOf = Callable[[str], Any]

#: What a group LASSO groups by in each kind of layer: all that reads one input, or all that makes one output. Rows of
#: an embedding are words and stay together.
GROUPINGS = {
    "reading": {"linear": "input", "attention": "input", "convolution": "channel", "embedding": "output"},
    "writing": {"linear": "output", "attention": "output", "convolution": "filter", "embedding": "output"},
}


def group_lasso(reg_weight: float, side: str = "reading") -> RegularizerOf:
    """Group LASSO on every kind of layer; ``side`` is "reading" (groups of inputs) or "writing" (groups of outputs)."""
    return lambda kind: GroupLasso(reg_weight, GROUPINGS[side][kind])


def same(regularizer: Regularizer) -> RegularizerOf:
    """One regularizer for every kind of layer."""
    return lambda kind: regularizer


@dataclass
class Run:
    """A network under training. ``model``, ``optimizer`` and ``stages`` are as torch's users have them."""

    training: Training
    model: nn.Module
    optimizer: StructuredOptimizer
    stages: Stages
    generator: torch.Generator

    def compute_gradients(self) -> Tensor:
        """Put the gradients of the next minibatch into the parameters; returns the loss."""
        self.optimizer.zero_grad()
        loss = self.training.loss(self.model, self.generator)
        loss.backward()
        return loss.detach()

    def step(self) -> None:
        """Take the step with the gradients at hand, and tell the stages."""
        self.optimizer.step()
        self.stages.step()


def begin(
    training: Training,
    optimizer: Callable[..., StructuredOptimizer],
    regularizer_of: RegularizerOf,
    *,
    milestones: Sequence[int] = (),
    gamma: float = 0.1,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    **settings: Any,
) -> Run:
    """A run of ``training`` before its first step, on the CPU. The seed decides the network and all minibatches.

    ``settings`` go to the optimizer; ``milestones`` and ``gamma`` to its ``Stages``.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = training.build().to(dtype)
    regularizers = {kind: regularizer_of(kind) for kind in training.kinds}
    embeddings = {pattern: regularizer_of("embedding") for pattern in training.embeddings}
    groups = parameter_groups(model, **regularizers, overrides=embeddings)
    made = optimizer(groups, **settings)
    generator = torch.Generator().manual_seed(seed)
    return Run(training, model, made, Stages(made, milestones, gamma=gamma), generator)
