"""Hyperparameters of a task: one TOML file per task, one table per optimizer."""

import tomllib
from dataclasses import dataclass, field, replace
from typing import Any, Self

from experiments.names import settings_file
from solvers import validate
from solvers.optimizers import METHODS as OPTIMIZERS

DISPLAY_NAMES = {name: method.__name__ for name, method in OPTIMIZERS.items()}


@dataclass(frozen=True)
class Settings:
    """Everything that a run is determined by, apart from its data, seed and device.

    ``milestones`` are epochs; ``hyperparameters`` are the keyword arguments of the optimizer. F and its stationarity
    are evaluated after every ``evaluate_every`` epochs and after the last. Raises ValueError or TypeError on a value
    that is not allowed.
    """

    optimizer: str
    reg_weight: float
    batch_size: int
    epochs: int
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    evaluate_every: int = 1
    hyperparameters: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        validate.one_of("optimizer", self.optimizer, tuple(OPTIMIZERS))
        validate.nonnegative("reg_weight", self.reg_weight)
        for name in ("batch_size", "epochs", "evaluate_every"):
            validate.positive_integer(name, getattr(self, name))

    def with_epochs(self, epochs: int | None) -> Self:
        """The same run with another number of epochs: every milestone keeps its share of the run.

        Milestones that would fall together or on the start are dropped.
        """
        if epochs is None:
            return self
        validate.positive_integer("epochs", epochs)
        scaled = {round(milestone * epochs / self.epochs) for milestone in self.milestones}
        return replace(self, epochs=epochs, milestones=tuple(sorted(scaled & set(range(1, epochs)))))


def read_settings(task: str, optimizer: str) -> Settings:
    """The settings of ``optimizer`` in ``configs/<task>.toml``; ValueError where there are none."""
    text = settings_file(task).read_text(encoding="utf-8")
    common = tomllib.loads(text)
    tables = common.pop("optimizers")
    validate.one_of("optimizer", optimizer, tuple(tables))
    milestones = tuple(common.pop("milestones", ()))
    return Settings(optimizer=optimizer, milestones=milestones, hyperparameters=tables[optimizer], **common)
