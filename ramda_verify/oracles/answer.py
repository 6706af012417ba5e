"""What an oracle says, and how far it vouches for it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class OracleAnswer:
    """A point that an oracle offers as the minimiser of an objective.

    Attributes:
        point: the point in float64, or None where there is none.
        objective: the objective at ``point``, or None.
        accuracy: what the oracle vouches for: ``objective - optimum <= accuracy * scale`` with ``scale`` below; inf
            where it vouches for nothing.
        solved: False means that the oracle failed. A check must then report "inconclusive", never a pass.
        detail: how the oracle ended, in words.
        scale: |objective| where that is larger than the error, else the natural size of the problem (a solution at
            zero has objective 0, against which nothing is relative).
        exact_objective: the objective at the *unrounded* point as an mpmath number; from the high-precision oracle.
    """

    point: Array | None
    objective: float | None
    accuracy: float
    solved: bool
    detail: str
    scale: float = 1.0
    exact_objective: Any = None

    @property
    def error(self) -> float:
        """Absolute bound on ``objective - optimum``."""
        return self.accuracy * self.scale


def failure(detail: str) -> OracleAnswer:
    """The answer of an oracle that failed; ``detail`` says why."""
    return OracleAnswer(None, None, float("inf"), False, detail)


def relative_error(error: float, objective: float, natural_size: float) -> tuple[float, float]:
    """(accuracy, scale) of an absolute ``error``, see OracleAnswer."""
    scale = abs(objective) if abs(objective) > 10 * error else max(abs(objective), natural_size)
    return (error / scale, scale) if scale > 0 else (0.0 if error == 0 else float("inf"), 1.0)
