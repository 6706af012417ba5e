"""Which trainings are recorded: a choice that has every network, optimizer, regularizer and dtype in it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch

from ramda_verify.problems.trainings import CHARACTERS, CONVOLUTIONS, MLP, VOCABULARY, Training, group_lasso, same
from ramda_verify.problems.trainings.run import RegularizerOf
from solvers import L1, NuclearNorm
from solvers.optimizers import METHODS, StructuredOptimizer

#: Steps of a run; it restarts after a third and two thirds of them. Long enough for weights of dead inputs to decay by
#: nineteen powers of ten in a stage, and for Adam's averages of old gradients to become denormal. The subproblems of
#: the nuclear norm are dear, and no dead input matters to it: a quarter will do.
STEPS, NUCLEAR_STEPS = 1200, 300


@dataclass(frozen=True)
class RecordedRun:
    """One training to record; ``psi`` names the regularizer in the names of its steps."""

    training: Training
    optimizer: str
    psi: str
    regularizer_of: RegularizerOf
    dtype: torch.dtype = torch.float32
    steps: int = STEPS

    @property
    def milestones(self) -> list[int]:
        return [self.steps // 3, 2 * self.steps // 3]

    @property
    def moments(self) -> dict[int, str]:
        """The steps to record, counted from 1 over the whole run, and what they are called."""
        first, second = self.milestones
        return {
            1: "first",
            first // 2: "middle",
            first + 1: "restart",
            second + 2: "ramp",
            self.steps: "last",
        }


class Chosen(NamedTuple):
    """A method with its hyperparameters, and the factor on the weight of psi that gives it as many zeros as others."""

    make: Callable[..., StructuredOptimizer]
    hyperparameters: dict[str, float]
    factor: float = 1.0


#: With one tenth for momentum, as in the paper's runs, the last stage, whose momentum grows as the square root of its
#: steps, reaches 1 after a hundred steps. The methods without a preconditioner need a larger weight of psi.
OPTIMIZERS = {
    "ramda": Chosen(METHODS["ramda"], {"lr": 1e-2, "momentum": 0.1}),
    "rmda": Chosen(METHODS["rmda"], {"lr": 1.0, "momentum": 0.1}, 3.0),
    "proxsgd": Chosen(METHODS["proxsgd"], {"lr": 1.0, "momentum": 0.1}, 3.0),
    "proxgen": Chosen(METHODS["proxgen"], {"lr": 1e-3}),
}


class Penalty(NamedTuple):
    """psi of every kind of layer at a factor on its usual weight, and the steps of a run with it."""

    of: Callable[[float], RegularizerOf]
    steps: int = STEPS


#: By the names that they have in ``_CHOSEN`` and in the names of the recorded steps.
PENALTIES = {
    "l1": Penalty(lambda factor: same(L1(1e-4 * factor))),
    "nuclear": Penalty(lambda factor: same(NuclearNorm(3e-3 * factor)), NUCLEAR_STEPS),
    "reading": Penalty(lambda factor: group_lasso(1e-3 * factor, side="reading")),
    "writing": Penalty(lambda factor: group_lasso(1e-3 * factor, side="writing")),
}

_CHOSEN: dict[Training, str] = {
    MLP: "ramda-reading ramda-writing ramda-l1 ramda-nuclear rmda-reading rmda-nuclear proxsgd-reading proxsgd-writing "
    "proxgen-reading proxgen-nuclear ramda-reading-bfloat16 proxgen-l1-bfloat16",
    CONVOLUTIONS: "ramda-reading ramda-writing ramda-nuclear rmda-l1 proxsgd-writing proxgen-reading proxsgd-nuclear "
    "ramda-writing-bfloat16",
    CHARACTERS: "ramda-reading ramda-l1 ramda-nuclear rmda-writing proxsgd-l1 proxgen-writing proxgen-nuclear "
    "rmda-reading-bfloat16",
    VOCABULARY: "ramda-reading rmda-reading proxsgd-reading proxgen-reading proxgen-l1 proxgen-reading-bfloat16",
}


def runs() -> Iterator[RecordedRun]:
    """All runs, in a fixed order."""
    for training, names in _CHOSEN.items():
        for name in names.split():
            optimizer, psi, *dtype = name.split("-")
            kind, penalty = getattr(torch, dtype[0]) if dtype else torch.float32, PENALTIES[psi]
            regularizer_of = penalty.of(OPTIMIZERS[optimizer].factor)
            yield RecordedRun(training, optimizer, psi, regularizer_of, kind, penalty.steps)
