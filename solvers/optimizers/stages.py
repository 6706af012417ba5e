"""Stages: restarts at milestones and the momentum ramp of the last stage (paper, appendix A.1)."""

from collections.abc import Sequence
from typing import Any

from solvers import validate
from solvers.optimizers.base import StructuredOptimizer


class Stages:
    """Drives an optimizer through stages by its own methods; call ``step()`` after every ``optimizer.step()``.

    lr and momentum are constant inside a stage. After ``milestones[k]`` steps in all, ``optimizer.restart(gamma)``
    enters the next stage: lr (and eps) times ``gamma``; for the dual averaging methods W0 becomes the current W and t
    and all sums restart from zero. In the last stage step i uses ``c_i = min(c*sqrt(i), 1)``, i counted within the
    stage.

    Raises ValueError unless ``milestones`` increase strictly from >= 1 and 0 < gamma <= 1. A learning-rate scheduler of
    torch's on the same optimizer works as well; both multiply lr.
    """

    def __init__(
        self,
        optimizer: StructuredOptimizer,
        milestones: Sequence[int] = (),
        gamma: float = 0.1,
        ramp: bool = True,
    ) -> None:
        if not isinstance(optimizer, StructuredOptimizer):
            raise TypeError(f"optimizer must be a StructuredOptimizer, got {type(optimizer).__name__}")
        for index, milestone in enumerate(milestones):
            validate.positive_integer(f"milestones[{index}]", milestone)
            if index and milestone <= milestones[index - 1]:
                raise ValueError(f"milestones must increase strictly, got {list(milestones)}")
        validate.in_interval("gamma", gamma, 0.0, 1.0, open_low=True)
        self.optimizer = optimizer
        self.milestones = list(milestones)
        self.gamma = gamma
        self.ramp = ramp
        self.steps = 0
        self.initial_momentum = [group.get("momentum", 1.0) for group in optimizer.param_groups]

    @property
    def stage(self) -> int:
        """The number of milestones passed."""
        return sum(self.steps >= milestone for milestone in self.milestones)

    @property
    def in_last_stage(self) -> bool:
        return self.stage == len(self.milestones)

    def step(self) -> None:
        """Count a step; restart at a milestone; set the momentum of the next step in the last stage."""
        self.steps += 1
        if self.steps in self.milestones:
            self.optimizer.restart(self.gamma)
        if self.ramp and self.in_last_stage:
            entered = self.milestones[-1] if self.milestones else 0
            self.optimizer.ramp_momentum(self.initial_momentum, self.steps - entered + 1)

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "initial_momentum": list(self.initial_momentum)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.steps = state_dict["steps"]
        self.initial_momentum = list(state_dict["initial_momentum"])
