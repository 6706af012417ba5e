"""Stages: restarts at milestones and the momentum ramp of the last stage (paper, appendix A.1)."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch.optim.lr_scheduler import LRScheduler

from solvers import validate
from solvers.callers import warn_caller
from solvers.optimizers.base import StructuredOptimizer
from solvers.optimizers.parameter_group import INITIAL_MOMENTUM, rate_of, set_rate, stage_factor_of
from solvers.optimizers.wrapped import unwrapped


class Stages(LRScheduler):
    """A scheduler that drives an optimizer through stages; call ``step()`` after every ``optimizer.step()``.

    lr and momentum are constant inside a stage. After ``milestones[k]`` steps in all, ``optimizer.restart(gamma)``
    enters the next stage: lr (and eps) times ``gamma``; for the dual averaging methods W0 becomes the current W and t
    and all sums restart from zero. In the last stage step i uses ``c_i = min(c*sqrt(i), 1)``, i counted within the
    stage.

    Other learning-rate schedulers may drive the same optimizer: whatever rate they set is multiplied by the gammas of
    the restarts so far, whichever scheduler is stepped first, and ``param_groups`` shows the product. ``SequentialLR``
    and ``ChainedScheduler`` take Stages as any other scheduler; the steps are those since it took over.

    Arguments:
        optimizer: a StructuredOptimizer, or a framework's wrapper around one.
        milestones: the numbers of steps after which a stage ends, strictly increasing from >= 1. None: one stage.
        gamma: the factor of lr and eps at a restart, in (0, 1].
        ramp: whether the momentum of the last stage rises to 1.
        last_epoch: as torch's: the number of steps made before, less one; -1 starts anew. The state of the optimizer is
            loaded first. A restart that these steps include is part of that state and not made again.

    Raises:
        ValueError or TypeError: an argument is none of these.
    """

    optimizer: StructuredOptimizer
    #: False while the constructor runs, which makes torch's initial step.
    _built: bool

    def __init__(
        self,
        optimizer: object,
        milestones: Sequence[int] = (),
        gamma: float = 0.1,
        ramp: bool = True,
        last_epoch: int = -1,
    ) -> None:
        inner = unwrapped(optimizer)
        for index, milestone in enumerate(milestones):
            validate.positive_integer(f"milestones[{index}]", milestone)
            if index and milestone <= milestones[index - 1]:
                raise ValueError(f"milestones must increase strictly, got {list(milestones)}")
        validate.in_interval("gamma", gamma, 0.0, 1.0, open_low=True)
        self.milestones = [int(milestone) for milestone in milestones]
        self.gamma, self.ramp = float(gamma), bool(ramp)
        self._built = False
        super().__init__(inner, last_epoch)
        self._built = True

    @property
    def steps(self) -> int:
        """Steps counted so far."""
        return max(self.last_epoch, 0)

    @property
    def stage(self) -> int:
        """The number of milestones passed."""
        return sum(self.steps >= milestone for milestone in self.milestones)

    @property
    def in_last_stage(self) -> bool:
        """Whether all milestones have been passed."""
        return self.stage == len(self.milestones)

    def step(self, epoch: int | None = None) -> None:
        """Count a step; restart at a milestone; set the momentum of the next step in the last stage.

        Arguments:
            epoch: a number >= 0 to set the count to, without a restart, and lr to what it was at first, as SequentialLR
                wants it when it hands over; None counts one more.
        """
        self._step_count += 1
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if epoch is not None:
            for group in self.optimizer.param_groups:
                # A group that was added later has no other rate than its own.
                set_rate(group, group.get("initial_lr", rate_of(group)))
        elif self._built and self.last_epoch in self.milestones:
            self.optimizer.restart(self.gamma)
        # Before the first step the momentum is what it is: c, or what a resumed run has saved.
        if self.ramp and self.in_last_stage and self.last_epoch > 0:
            entered = self.milestones[-1] if self.milestones else 0
            self.optimizer.ramp_momentum(self.steps - entered + 1)
        self._last_lr = self.get_lr()

    # torch has list[float] or list[float | Tensor] here, by its version.
    def get_lr(self) -> list[Any]:
        """The rates of the groups: those that other schedulers or the user have set, times the factor of the stage."""
        return [float(rate_of(group)) * stage_factor_of(group) for group in self.optimizer.param_groups]

    def get_last_lr(self) -> list[Any]:
        """The rates of the groups after the last ``step``."""
        return self._last_lr

    def state_dict(self) -> dict[str, Any]:
        """Numbers and lists of numbers only. The factor of the stage and the momentum are saved with the optimizer."""
        names = ("milestones", "gamma", "ramp", "last_epoch", "_step_count", "_last_lr")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from a saved count.

        Arguments:
            state_dict: what ``state_dict`` returned.

        Raises:
            ValueError: a milestone that was passed, gamma or ramp differ from those of this object. Other milestones
                to come are taken from this object, with a warning.
        """
        if "steps" in state_dict:  # saved before Stages was a scheduler of torch's
            for group, momentum in zip(self.optimizer.param_groups, state_dict["initial_momentum"], strict=True):
                if group.get(INITIAL_MOMENTUM) is None:
                    group[INITIAL_MOMENTUM] = momentum
            state_dict = {"last_epoch": state_dict["steps"]}
        steps, saved = state_dict["last_epoch"], state_dict.get("milestones", self.milestones)
        passed = [[m for m in milestones if m <= steps] for milestones in (saved, self.milestones)]
        if passed[0] != passed[1]:
            raise ValueError(
                f"milestones were {saved} when these stages were saved after {steps} steps, are {self.milestones}"
            )
        for name in ("gamma", "ramp"):
            if state_dict.get(name, getattr(self, name)) != getattr(self, name):
                raise ValueError(
                    f"{name} was {state_dict[name]!r} when these stages were saved, is {getattr(self, name)!r}"
                )
        if saved != self.milestones:
            warn_caller(f"milestones were {saved} when these stages were saved, are {self.milestones}")
        self.last_epoch = steps
        self._step_count = state_dict.get("_step_count", steps + 1)
        self._last_lr = list(state_dict.get("_last_lr", self.get_lr()))
