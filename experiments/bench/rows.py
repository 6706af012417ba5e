"""One row of the report, and what each measure means: its direction and its unit."""

from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from experiments.bench.statistics import Estimate


class Measure(NamedTuple):
    """What a ratio says. ``better`` is "smaller" or "larger"; ``timed`` tells a ratio of times from the others."""

    name: str
    better: str
    timed: bool = True


class Goal(NamedTuple):
    """A bound on a ratio, in the direction in which its measure gets better."""

    bound: float
    better: str

    def holds(self, value: float) -> bool:
        """Whether ``value`` meets the bound; a nan never does."""
        return value <= self.bound if self.better == "smaller" else value >= self.bound

    def __str__(self) -> str:
        return f"at {'most' if self.better == 'smaller' else 'least'} {self.bound:g}"


@dataclass(frozen=True)
class Row:
    """One measurement. ``ours_ms`` and ``peer_ms`` are medians in milliseconds, None where nothing was timed.

    ``holds`` is None where there is no goal. ``threads`` are CPU threads; ``detail`` holds plain numbers and words.
    """

    case: str
    measure: str
    device: str
    threads: int
    ratio: float
    low: float
    high: float
    better: str
    goal: str | None = None
    holds: bool | None = None
    ours_ms: float | None = None
    peer_ms: float | None = None
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What a row of another run must share to be compared with this one."""
        return (self.case, self.measure, self.device, self.threads)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Skipped:
    """What was not measured, and why."""

    case: str
    measure: str
    reason: str


def make_row(
    case: str,
    measure: Measure,
    estimate: Estimate,
    *,
    device: str,
    threads: int,
    goal: Goal | None = None,
    ours_ms: float | None = None,
    peer_ms: float | None = None,
    detail: dict[str, Any] | None = None,
) -> Row:
    """A row that is judged by ``goal``: the ratio itself has to meet it."""
    return Row(
        case=case,
        measure=measure.name,
        device=device,
        threads=threads,
        ratio=estimate.value,
        low=estimate.low,
        high=estimate.high,
        better=measure.better,
        goal=None if goal is None else str(goal),
        holds=None if goal is None else goal.holds(estimate.value),
        ours_ms=ours_ms,
        peer_ms=peer_ms,
        detail=detail or {},
    )
