"""A parameter group whose learning rate is a product: the rate that was set, times the factor of the stage.

``Stages`` multiplies lr at a restart, and torch's schedulers write lr. Some of them multiply the rate they find
(ExponentialLR), some overwrite it from a base of their own (LambdaLR, OneCycleLR), and a write does not tell which. So
the two rates are kept apart: the key ``lr`` stores the rate without the factor, which is all that torch's schedulers
read and write, and everybody else reads the product. What is written by others is a rate without the factor, unless it
was computed from the product that was read (``group["lr"] *= 0.5``), which the number itself remembers.
"""

import sys
from numbers import Real
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from solvers.callers import warn_caller
from solvers.regularizers.members import Scalar

#: The key under which a group stores the factor of its stage.
STAGE_FACTOR = "stage_factor"
#: The key under which a group of an averaging method stores the momentum from which the last stage ramps; None before.
INITIAL_MOMENTUM = "initial_momentum"
_SCHEDULERS = "torch.optim.lr_scheduler"
#: Frames between a scheduler's own code and the access: a comprehension, a helper of torch's, a subclass's get_lr.
_FRAMES = 4


class StagedRate(float):
    """A learning rate times the factor of the stage; multiples of it are staged as well."""

    base: float
    factor: float

    def __new__(cls, base: float, factor: float) -> "StagedRate":
        made = super().__new__(cls, base * factor)
        made.base, made.factor = base, factor
        return made

    def __mul__(self, other: float) -> "StagedRate":
        return StagedRate(self.base * other, self.factor) if isinstance(other, int | float) else NotImplemented

    __rmul__ = __mul__

    def __truediv__(self, other: float) -> "StagedRate":
        return StagedRate(self.base / other, self.factor) if isinstance(other, int | float) else NotImplemented

    def __reduce__(self) -> tuple[type[float], tuple[float]]:
        return float, (float(self),)


class ParameterGroup(dict[str, Any]):
    """A parameter group as torch has it, with ``lr`` as described above and a ``momentum`` that schedulers leave alone.

    A tensor lr holds the rate without the factor, also for those who read it. OneCycleLR and CyclicLR cycle a key
    called ``momentum`` that weighs the old direction, where ours weighs the new point; what they write there is not
    taken, and a warning says so once a group.
    """

    _cycle_refused = False

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        return self._staged(value) if key == "lr" else value

    def get(self, key: str, default: Any = None) -> Any:
        value = super().get(key, default)
        return self._staged(value) if key == "lr" else value

    def __setitem__(self, key: str, value: Any) -> None:
        if key == "momentum" and key in self and _a_scheduler_asks():
            self._refuse_cycle()
            return
        super().__setitem__(key, value.base if isinstance(value, StagedRate) else value)

    def update(self, *others: Any, **values: Any) -> None:
        for key, value in dict(*others, **values).items():
            self[key] = value

    def _staged(self, rate: Any) -> Any:
        factor = super().get(STAGE_FACTOR, 1.0)
        if factor == 1.0 or not isinstance(rate, Real) or _a_scheduler_asks():
            return rate
        return StagedRate(float(rate), factor)

    def _refuse_cycle(self) -> None:
        if not self._cycle_refused:
            self._cycle_refused = True
            warn_caller(
                "a scheduler cycles momentum, which here is the share of the new point: it stays "
                f"{self['momentum']!r}; pass cycle_momentum=False to the scheduler"
            )


def rate_of(group: dict[str, Any]) -> Scalar:
    """The learning rate without the factor of the stage."""
    rate: Scalar = dict.__getitem__(group, "lr")
    return rate


def stage_factor_of(group: dict[str, Any]) -> float:
    """The factor of the stage: the product of the gammas of all restarts so far."""
    factor: float = dict.get(group, STAGE_FACTOR, 1.0)
    return factor


def set_rate(group: dict[str, Any], rate: Scalar) -> None:
    """Set the learning rate without the factor of the stage, a tensor in place."""
    held = rate_of(group)
    if isinstance(held, Tensor):
        held.copy_(torch.as_tensor(rate))
    else:
        dict.__setitem__(group, "lr", rate)


def set_momentum(group: dict[str, Any], momentum: float) -> None:
    """Set the momentum from within Stages, which is a scheduler as well, but one that means what the group means."""
    dict.__setitem__(group, "momentum", momentum)


def _a_scheduler_asks() -> bool:
    """Whether one of torch's learning-rate schedulers is at work in the frames above the access."""
    frame: FrameType | None = sys._getframe(2)
    for _ in range(_FRAMES):
        if frame is None:
            return False
        # A scheduler also wraps optimizer.step, in a function called wrapper, beneath which all of training runs.
        if frame.f_globals.get("__name__") == _SCHEDULERS and frame.f_code.co_name != "wrapper":
            return True
        frame = frame.f_back
    return False
