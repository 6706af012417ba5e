"""The kind of mistake in words, where one dimension or a cheap comparison tells it.

The prox of a tensor with one nonzero entry is compared with the minimiser that a search of ``value`` finds along that
entry, for a few inputs and steps; then with what that minimiser would be had the step been used in another way.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ramda_verify.cases.strategies import shapes
from ramda_verify.engine.record import CheckResult, Verdict

#: Inputs and steps that are compared.
INPUTS = (-30.0, -4.0, -1.3, -0.4, 0.4, 1.3, 4.0, 30.0)
STEPS = (0.03, 0.3, 1.7, 6.0)
GRID, GOLDEN = 801, (5**0.5 - 1) / 2
#: How far a search of a function is off, relative to the input.
CLOSE = 1e-4
#: Checks that look at memory, dtypes and manners, not at the numbers in float64.
NARROW, MEMORY = {"dtype-agreement", "members-in-float32"}, {"layout-invariance"}
NUMBERS = {"prox-minimises", "prox-optimality", "prox-limits", "value-consistency", "prox-rays", "prox-search"}

Scalar = Callable[[float, float], float]
Failed = Sequence[CheckResult]


@dataclass(frozen=True)
class OneEntry:
    """prox and its right value along one entry of the smallest tensor that the regularizer takes, at a few points."""

    right: Scalar
    found: dict[tuple[float, float], float]

    @classmethod
    def of(cls, regularizer: Any) -> "OneEntry":
        shape = min(shapes(regularizer), key=lambda s: int(np.prod(s)))

        def along(entry: float) -> torch.Tensor:
            point = torch.zeros(shape, dtype=torch.float64)
            point.view(-1)[0] = entry
            return point

        def psi(entry: float) -> float:
            return float(regularizer.value(along(entry)))

        def right(w: float, step: float) -> float:
            return _minimiser(lambda z: step * psi(z) + 0.5 * (z - w) ** 2, w)

        found = {(w, s): float(regularizer.prox(along(w), s).reshape(-1)[0]) for w in INPUTS for s in STEPS}
        return cls(right, found)

    def fits(self, other: Scalar) -> bool:
        """Whether prox is this function at all points."""
        return not any(True for _ in self.misses(other))

    def misses(self, other: Scalar) -> Iterator[tuple[float, float]]:
        """The points at which prox is not this function."""
        return self.differences(lambda w, step: self.found[w, step], other)

    def differences(self, one: Scalar, other: Scalar) -> Iterator[tuple[float, float]]:
        """The points at which two functions are not the same."""
        for w, step in self.found:
            z = one(w, step)
            if not abs(z - other(w, step)) <= CLOSE * max(abs(w), abs(z)):
                yield w, step

    def uses_the_step(self, function: Scalar) -> bool:
        """Whether a function is not at all steps what it is at the first."""
        return any(True for _ in self.differences(function, lambda w, step: function(w, STEPS[0])))


def kind_of_mistake(regularizer: Any, results: Sequence[CheckResult]) -> str | None:
    """One sentence on what is wrong, or None where nothing simple tells it."""
    failed = [result for result in results if result.status is Verdict.FAIL]
    names = {result.check for result in failed}
    if not failed:
        return None
    if names <= NARROW:
        return "right in float64, wrong in a narrower dtype"
    if names <= MEMORY:
        return "right, but it depends on the memory in which its input lies"
    if not names & NUMBERS:
        return None
    try:
        one = OneEntry.of(regularizer)
        return next((said for rule in RULES if (said := rule(one, failed)) is not None), None)
    except Exception:
        return None  # a diagnosis is a help; the finding stands without it


def _right_for_one_entry(one: OneEntry, failed: Failed) -> str | None:
    if not one.fits(one.right):
        return None
    entries = [found.counterexample.entries or 0 for found in failed if found.counterexample is not None]
    if entries and min(entries) > 12:
        return f"right for small tensors, wrong for some of {min(entries)} entries"
    if entries and min(entries) > 1:
        return "right for a single entry, wrong where several meet"
    return "right for ordinary numbers, wrong beside a threshold or at unusual sizes"


def _another_weight(one: OneEntry, failed: Failed) -> str | None:
    factor = _factor(one)
    if factor is None or not one.fits(lambda w, step: one.right(w, factor * step)):
        return None
    return f"prox is that of {factor:.4g}*psi: a weight or the step is off by {factor:.4g}"


def _step_used_otherwise(one: OneEntry, failed: Failed) -> str | None:
    ways: dict[str, Callable[[float], float]] = {
        "the step is used twice": lambda step: step * step,
        "the root of the step is used": lambda step: step**0.5,
        "the step is divided by": lambda step: 1 / step,
    }
    for words, used in ways.items():
        if one.fits(lambda w, step, used=used: one.right(w, used(step))):  # type: ignore[misc]
            return words
    if one.uses_the_step(one.right) and not one.uses_the_step(lambda w, step: one.found[w, step]):
        return "prox is not scaled by the step"
    return None


def _another_shrinkage(one: OneEntry, failed: Failed) -> str | None:
    """a(s) of a prox that is a(s)*w far out, read as 1/(1 + k*s)."""
    rates: list[list[float]] = []
    mine_and_right: tuple[Scalar, Scalar] = (lambda w, s: one.found[w, s], one.right)
    for scalar in mine_and_right:
        slopes = {s: (scalar(30.0, s) - scalar(4.0, s)) / 26.0 for s in STEPS[:3]}
        if not all(0 < slope <= 1 + CLOSE for slope in slopes.values()):
            return None
        rates.append([(1 / slope - 1) / s for s, slope in slopes.items()])
    mine, right = (max(float(np.mean(rate)), 0.0) for rate in rates)
    if mine < CLOSE:
        return None
    steady = all(np.ptp(rate) <= 1e-2 * max(abs(float(np.mean(rate))), 1e-2) for rate in rates)
    if not steady or abs(mine - right) <= 1e-2 * max(mine, right):
        return None
    return f"prox shrinks by {_shrinkage(mine)} where {_shrinkage(right)} minimises"


def _shrinkage(slope: float) -> str:
    """1/(1 + slope*step) as it is written by hand."""
    if slope < CLOSE:
        return "1"
    written = f"{slope:.3g}"
    return "1/(1 + step)" if written == "1" else f"1/(1 + {written} step)"


def _part_of_the_points(one: OneEntry, failed: Failed) -> str | None:
    wrong = list(one.misses(one.right))
    sorted_out = {
        "for negative entries only": lambda w, s: w < 0,
        "for positive entries only": lambda w, s: w > 0,
        "for small steps only": lambda w, s: s <= 0.3,
        "for large entries only": lambda w, s: abs(w) > 2,
        "for small entries only": lambda w, s: abs(w) < 2,
        "for large steps only": lambda w, s: s > 1,
    }
    for words, belongs in sorted_out.items():
        if all(belongs(*point) for point in wrong):
            return f"wrong {words}, as far as single entries show"
    return None


def _another_function(one: OneEntry, failed: Failed) -> str | None:
    if "prox-homotopy" not in {found.check for found in failed}:
        return "prox agrees with itself from step to step, so value and prox belong to different functions"
    return None


RULES: tuple[Callable[[OneEntry, Failed], str | None], ...] = (
    _right_for_one_entry,
    _another_weight,
    _step_used_otherwise,
    _another_shrinkage,
    _part_of_the_points,
    _another_function,
)


def _factor(one: OneEntry) -> float | None:
    """The c for which prox is the right one with c times the step, at the first point where that can be told."""
    for (w, step), z in one.found.items():
        moved = abs(w - z)
        if not CLOSE * abs(w) < moved < (1 - CLOSE) * abs(w):
            continue
        low, high = 1e-3, 1e3
        for _ in range(40):
            middle = (low * high) ** 0.5
            low, high = (middle, high) if abs(w - one.right(w, middle * step)) < moved else (low, middle)
        return float(f"{high:.5g}")
    return None


def _minimiser(objective: Callable[[float], float], w: float) -> float:
    """A minimiser of a function of one number by a grid and golden section around its best point."""
    reach = 1.2 * abs(w) + 1.0
    grid = np.append(np.linspace(-reach, reach, GRID), [0.0, w])
    values = [objective(float(z)) for z in grid]
    best = float(grid[int(np.argmin(values))])
    low, high = best - 2 * reach / GRID, best + 2 * reach / GRID
    for _ in range(40):
        left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        low, high = (low, right) if objective(left) <= objective(right) else (left, high)
    # At the edge of a set one of them lies within.
    return min((best, low, (low + high) / 2, high), key=objective)
