"""Violations, and the largest of several: a NaN counts as infinite, so that no comparison loses it.

Every comparison with a NaN is false and Python's ``max(x, nan)`` is x: written by hand, the search for the largest
violation forgets a NaN that a number follows. Every check makes its violations here.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from ramda_verify.engine.record import Measurement, NothingClaimed

Array = NDArray[np.float64]

TINY = float(np.finfo(np.float64).tiny)


@overload
def infinite_if_nan(violation: float) -> float: ...
@overload
def infinite_if_nan(violation: Array) -> Array: ...
def infinite_if_nan(violation: Any) -> Any:
    """The number, or the array entry by entry, with infinity in place of every NaN."""
    if isinstance(violation, float | int):
        return math.inf if math.isnan(violation) else float(violation)
    found = np.where(np.isnan(violation), np.inf, violation)
    return found if np.ndim(violation) else float(found)


@overload
def relative(excess: float, scale: float) -> float: ...
@overload
def relative(excess: Array, scale: Array | float) -> Array: ...
def relative(excess: Any, scale: Any) -> Any:
    """``excess / scale``, the scale at least the smallest normal number; numbers or arrays, entry by entry.

    Infinite where the quotient is NaN or the scale not finite: an infinite scale, to which the thing judged has
    contributed, would otherwise make every excess nothing.
    """
    with np.errstate(all="ignore"):
        share = np.where(np.isfinite(scale), np.divide(excess, np.maximum(scale, TINY)), np.inf)
    return infinite_if_nan(share if np.ndim(share) else float(share))


def largest(violations: Iterable[float]) -> float:
    """The largest violation; infinite where one is NaN. Raises ValueError where there is none."""
    return float(np.max([infinite_if_nan(violation) for violation in violations]))


class Worst:
    """The largest of the violations seen so far, minus infinity before the first, and the sentence that explains it.

    A negative one is a margin: by how much the claim holds.
    """

    def __init__(self) -> None:
        self.violation, self.note, self.seen = -math.inf, "", 0

    def see(self, violation: float, note: str | Callable[[], str] = "") -> None:
        """Take one violation in; ``note``, a sentence or what writes it, is kept if it is the largest so far."""
        self.seen += 1
        violation = infinite_if_nan(float(violation))
        if violation > self.violation:
            self.violation, self.note = violation, note if isinstance(note, str) else note()

    def measurement(self, problems: int = 1) -> Measurement:
        """What was seen. Raises NothingClaimed where nothing was: a case that measures nothing holds no evidence."""
        if not self.seen:
            raise NothingClaimed("no quantity of this case is subject to the claim")
        return Measurement(self.violation, self.note, problems)
