"""Ranges of parameters: written down by a class, or found by trying its constructor."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from ramda_verify.proof.constants import as_fraction

#: Numbers beyond which a constructor that still accepts has no bound.
FAR = 1e9
_BOUND = re.compile(r"\s*(>=|<=|>|<)\s*(\S+)\s*")


@dataclass(frozen=True)
class Bound:
    """``relation`` is >, >=, < or <=; ``limit`` a number or the name of another parameter."""

    relation: str
    limit: float | str

    def __str__(self) -> str:
        limit = self.limit if isinstance(self.limit, str) else f"{self.limit:g}"
        return f"{self.relation} {limit}"


def parse_range(name: str, text: object) -> tuple[Bound, ...]:
    """Bounds from "> 2", "> 0, <= 1", "> lower" (another parameter), or (2, inf), the open interval.

    Raises ValueError where the text is none of these.
    """
    if isinstance(text, tuple) and len(text) == 2:
        low, high = text
        lower = () if low == -math.inf else (Bound(">", float(low)),)
        return lower + (() if high == math.inf else (Bound("<", float(high)),))
    found = []
    for part in str(text).split(","):
        match = _BOUND.fullmatch(part)
        if match is None:
            raise ValueError(f'parameter_ranges[{name!r}] must be like "> 0, <= 1" or (0, inf), got {text!r}')
        relation, limit = match.groups()
        try:
            found.append(Bound(relation, float(limit)))
        except ValueError:
            found.append(Bound(relation, limit))
    return tuple(found)


def found_range(accepts: Callable[[float], bool], own: float) -> tuple[Bound, ...] | None:
    """The interval around ``own`` of what is accepted, without bounds where everything is.

    None where what is accepted is no interval.
    """
    low, high = _end(accepts, own, -FAR), _end(accepts, own, FAR)
    found = []
    if low is not None:
        found.append(Bound(">=" if accepts(low) else ">", low))
    if high is not None:
        found.append(Bound("<=" if accepts(high) else "<", high))
    left, right = -FAR if low is None else low, FAR if high is None else high
    spread = [left + (right - left) * share for share in (1e-9, 1e-6, 1e-3, 0.1, 0.37, 0.5, 0.81, 0.999)]
    near = [own + side * 10.0**power for side in (1, -1) for power in range(-3, 9)]
    tried = (value for value in (*spread, *near, 0.0, 1.0) if left < value < right)
    return tuple(found) if all(map(accepts, tried)) else None


def _end(accepts: Callable[[float], bool], inside: float, outside: float) -> float | None:
    """Where acceptance ends between the two, as a simple number where one is near; None where it does not."""
    if accepts(outside):
        return None
    for _ in range(200):
        middle = (inside + outside) / 2
        if middle in (inside, outside):
            break
        inside, outside = (middle, outside) if accepts(middle) else (inside, middle)
    return float(as_fraction(round(inside, 12)))
