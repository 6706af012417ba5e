"""The training runs that are played: network, regularizer, hyperparameters, length."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ramda_verify.problems.trainings.data import digits, large_digits
from ramda_verify.problems.trainings.networks import (
    CLASSES,
    Training,
    character_training,
    mlp_training,
    vocabulary_training,
)
from ramda_verify.problems.trainings.resnet import RESNET18
from ramda_verify.problems.trainings.run import RegularizerOf, group_lasso, same
from solvers import RAMDA, NuclearNorm, ProxGen

METHODS = {"RAMDA": RAMDA, "ProxGen": ProxGen}


@dataclass(frozen=True)
class Workload:
    """A run of ``steps`` steps with restarts after a third and two thirds of them; the last third is the final stage.

    ``reg_weights`` and ``settings`` are those of each method: with its own, each makes a part of the groups zero and
    still learns. ``regularizer_of`` makes the regularizer of every layer from such a weight. ``quick_steps`` is the
    length in a quick run; ``quick`` says whether a quick run of all cases has it.
    """

    name: str
    training: Training
    parameters: int
    reg_weights: Mapping[str, float]
    settings: Mapping[str, Mapping[str, Any]]
    steps: int
    quick_steps: int
    quick: bool = False
    regularizer_of: Callable[[float], RegularizerOf] = group_lasso

    def milestones(self, steps: int) -> list[int]:
        return [steps // 3, 2 * steps // 3]


def _settings(lr: float, momentum: float) -> dict[str, dict[str, Any]]:
    return {"RAMDA": {"lr": lr, "momentum": momentum}, "ProxGen": {"lr": 1e-3}}


WORKLOADS: tuple[Workload, ...] = (
    Workload(
        "mnist",
        mlp_training("mnist", "MLP 784-512-10 on 28 x 28", (784, 512, CLASSES), large_digits, 128),
        parameters=407_050,
        reg_weights={"RAMDA": 3e-4, "ProxGen": 3e-4},
        settings=_settings(1e-2, 0.1),
        steps=900,
        quick_steps=240,
    ),
    Workload(
        "digits",
        mlp_training("digits", "MLP 64-512-10 on digits", (64, 512, CLASSES), digits, 128),
        parameters=38_410,
        reg_weights={"RAMDA": 1e-3, "ProxGen": 1e-3},
        settings=_settings(1e-1, 0.1),
        steps=900,
        quick_steps=300,
        quick=True,
    ),
    Workload(
        "embedding",
        vocabulary_training("embedding", vocabulary=4000, width=64),
        parameters=256_650,
        reg_weights={"RAMDA": 1e-4, "ProxGen": 3e-5},
        settings=_settings(1e-2, 0.1),
        steps=900,
        quick_steps=300,
    ),
    Workload(
        "transformer",
        character_training("transformer", width=128, heads=4, hidden=512, length=32),
        parameters=433_792,
        reg_weights={"RAMDA": 2.5e-4, "ProxGen": 2e-4},
        settings=_settings(1e-3, 0.2),
        steps=450,
        quick_steps=90,
    ),
    Workload(
        "low-rank",
        mlp_training(
            "low-rank", "MLP 784-64-64-10 on 28 x 28, nuclear norm", (784, 64, 64, CLASSES), large_digits, 128
        ),
        parameters=55_050,
        reg_weights={"RAMDA": 3e-3, "ProxGen": 3e-3},
        settings=_settings(1e-2, 0.1),
        steps=450,
        quick_steps=45,
        regularizer_of=lambda reg_weight: same(NuclearNorm(reg_weight)),
    ),
    Workload(
        "resnet18",
        RESNET18,
        parameters=11_689_512,
        reg_weights={"RAMDA": 1e-4, "ProxGen": 1e-4},
        settings=_settings(1e-3, 0.3),
        steps=180,
        quick_steps=18,
    ),
)
