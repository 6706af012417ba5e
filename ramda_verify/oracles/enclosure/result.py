"""What an enclosure states."""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple


class Interval(NamedTuple):
    """The exact number is at least ``low`` and at most ``high``."""

    low: float
    high: float

    def holds(self, number: float, rounding: float = 0.0) -> bool:
        """Whether a number that was computed in floating point lies within, widened by ``rounding`` on both sides."""
        return self.low - rounding <= number <= self.high + rounding


@dataclass(frozen=True)
class Enclosure:
    """A theorem about a point Z of ``Q(Z) = 1/2<Z,D*Z> - <B,Z> + lam*psi(Z)`` and the exact minimiser Z*.

    Every bound is a float64 that was rounded up; infinite where the exact bound is above the largest one.

    Attributes:
        residual: dist(0, dQ(Y)), where Y is Z or, where Z is off the set or the rank by rounding, a point near it.
        moved: at least ||Z - Y||; 0 where Y is Z.
        distance: at least ||Z - Z*||.
        metric_distance: at least ||Z - Z*||_D, the square root of <Z - Z*, D*(Z - Z*)>.
        relative_distance: at least ||Z - Z*|| / ||Z*||; infinite where Z* may be zero and Z is not known to be it.
        objective_gap: at least |Q(Z) - Q(Z*)|, where a constraint that rounding has violated counts as met.
        optimum: Q(Z*).
        bits: the precision of the arithmetic that showed it.
    """

    residual: Interval
    moved: float
    distance: float
    metric_distance: float
    relative_distance: float
    objective_gap: float
    optimum: Interval
    bits: int

    def within(self, share: float) -> bool:
        """Whether ``||Z - Z*|| <= share * ||Z*||`` is proved."""
        return self.relative_distance <= share

    def times(self, factor: float) -> "Enclosure":
        """The same of the problem whose Q is ``factor`` > 0 times this one; bounds are rounded outward once more."""
        if factor == 1:
            return self
        return replace(
            self,
            residual=Interval(max(0.0, -_up(-self.residual.low, factor)), _up(self.residual.high, factor)),
            metric_distance=_up(self.metric_distance, _up(math.sqrt(factor), 1.0)),
            objective_gap=_up(self.objective_gap, factor),
            optimum=Interval(-_up(-self.optimum.low, factor), _up(self.optimum.high, factor)),
        )

    def __str__(self) -> str:
        relative = f" = {self.relative_distance:.3g} ||Z*||" if math.isfinite(self.relative_distance) else ""
        return (
            f"proved with {self.bits} bits: ||Z - Z*|| <= {self.distance:.3g}{relative}, "
            f"|Q(Z) - Q*| <= {self.objective_gap:.3g}"
        )


def _up(number: float, factor: float) -> float:
    """At least the exact product."""
    return math.nextafter(number * factor, math.inf) if number else 0.0
