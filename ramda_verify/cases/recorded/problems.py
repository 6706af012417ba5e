"""A recorded step as a case of a check: the subproblem that it solved, in place of a drawn one."""

from dataclasses import dataclass, is_dataclass, replace
from typing import Any

import numpy as np

from ramda_verify.cases.recorded.store import RecordedStep
from solvers.regularizers.members import Regularizer

Case = dict[str, Any]


class UnsuitableError(Exception):
    """The recorded problem is not one of those that a check takes."""


class NamedArray(np.ndarray):
    """An array that is written as ``expression`` in the snippet of a counterexample; what is computed from it is an
    ordinary array.
    """

    expression: str | None = None

    def __array_finalize__(self, source: Any) -> None:
        self.expression = None


def named(values: Any, expression: str) -> np.ndarray:
    """A float64 copy of ``values`` with a name."""
    found = np.array(values, dtype=np.float64).view(NamedArray)
    found.expression = expression
    return found


@dataclass(frozen=True)
class RecordedProblem:
    """Takes the place of the strategy of a target's regularizers: the cases made from it hold this step's problem.

    ``regularizer`` is the step's own, in the class that is under test.
    """

    step: RecordedStep
    regularizer: Regularizer

    @classmethod
    def of(cls, step: RecordedStep, example: object) -> "RecordedProblem | None":
        """The problem for the class of ``example``, with what it has beyond the step's regularizer as it is there; None
        where that is another regularizer, or one that cannot be built with the step's weight and grouping.
        """
        if not isinstance(example, type(step.regularizer)) or not is_dataclass(example):
            return None
        try:
            return cls(step, replace(example, **vars(step.regularizer)))
        except (TypeError, ValueError):
            return None

    def prox_case(self) -> Case:
        """``regularizer``, ``w`` and ``step`` of the first proximal gradient step from W."""
        w = self._named(self.step.prox_point, "prox_point")
        return {"regularizer": self.regularizer, "w": w, "step": self.step.prox_step}

    def subproblem_case(self, hardest: float) -> Case:
        """``regularizer``, ``B``, ``D`` and ``lam``. Raises UnsuitableError where D has a larger condition number."""
        condition = self.step.D.max() / self.step.D.min()
        if not condition <= hardest:
            raise UnsuitableError(f"the condition number {condition:.2g} of {self.step.name} exceeds {hardest:g}")
        arrays = {key: self._named(getattr(self.step, key), key) for key in ("B", "D")}
        return {"regularizer": self.regularizer, **arrays, "lam": self.step.lam}

    def batch_case(self, hardest: float, point: str | None) -> Case:
        """The same as a batch of one, W under the name ``point``. Raises UnsuitableError."""
        single = self.subproblem_case(hardest)
        if point is not None:
            single[point] = self._named(self.step.W, "W")
        single["lam"] = self._named(self.step.lam, "lam")
        return {
            key: value if key == "regularizer" else named([value], f"np.array([{value.expression}])")
            for key, value in single.items()
        }

    def _named(self, values: Any, member: str) -> np.ndarray:
        return named(values, f"recorded({self.step.name!r}).{member}")
