"""A whole run in float64 beside the optimizer: what sums, restarts and averages have to be."""

import math
from typing import Any

import numpy as np

from ramda_verify.checks.helpers import Array
from ramda_verify.checks.optimizer.step_judges import NAMES
from ramda_verify.checks.optimizer.steps import transcription_of
from solvers.regularizers.members import Regularizer

EPS, TINY = float(np.finfo(np.float32).eps), float(np.finfo(np.float32).tiny)


class Fault(Exception):
    """What is wrong, and where."""


class Shadow:
    """One parameter's method, transcribed in float64 and led through the whole run beside the optimizer.

    It is given the optimizer's Ŵ, so that it says what sums, counters, restarts and averages have to be, and nothing
    about subproblems. Float32 may differ by the rounding of as many additions as there were steps, relative to the
    largest value that an entry has had.
    """

    def __init__(
        self, optimizer: str, start: Array, hyper: dict[str, Any], regularizer: Regularizer, last_stage_after: int
    ) -> None:
        self.last_stage_after = last_stage_after
        self.method = transcription_of(optimizer, start.astype(np.float64), hyper, regularizer)
        self._w_hat: Array = self.method.W
        self.method.solve = lambda B, D, lam: self._w_hat
        self.averages, self.initial_momentum = hasattr(self.method, "W0"), self.method.c
        self._count = 0
        self._largest: dict[str, Array] = {}

    @property
    def steps_of_the_method(self) -> int:
        """t, which restarts of dual averaging set back."""
        return int(self.method.t)

    def restart(self, gamma: float) -> None:
        self.method.restart(gamma)

    def step(self, gradient: Array, w_hat: Array) -> None:
        self._w_hat, self._count = w_hat, self._count + 1
        if self.averages and self._count > self.last_stage_after:
            # c_i = min(c*sqrt(i), 1) in the last stage (paper, appendix A.1)
            self.method.c = min(self.initial_momentum * math.sqrt(self._count - self.last_stage_after), 1.0)
        self.method.step(gradient)

    def compare(self, after: dict[str, Array], counters: dict[str, float], group: dict[str, Any]) -> None:
        """Raise Fault where parameter, state, counters or hyperparameters are not what they have to be."""
        for key, mine in after.items():
            right = getattr(self.method, NAMES.get(key, key))
            largest = np.maximum(self._largest.get(key, 0.0), np.maximum(np.abs(right), np.abs(mine)))
            self._largest[key] = largest
            allowed = 3 * EPS * (self._count + 1000) * largest + TINY
            if not (np.abs(mine - right) <= allowed).all():
                raise Fault(f"{key} is {float(np.abs(mine - right).max()):.3g} from what the whole run makes of it")
        numbers = {NAMES[key]: value for key, value in counters.items() if key in NAMES}
        numbers |= {"lr": group["lr"], **({"c": group["momentum"]} if self.averages else {})}
        numbers |= {"eps": group["eps"]} if "eps" in group else {}
        for name, number in numbers.items():
            if not math.isclose(number, getattr(self.method, name), rel_tol=1e-9):
                raise Fault(f"{name} is {number:.9g}, should be {getattr(self.method, name):.9g}")
