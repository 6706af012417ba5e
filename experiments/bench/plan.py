"""What a run was asked for, and how long it measures."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch

from experiments.bench.peers import ProxSSI, Reference
from experiments.bench.rows import Row, Skipped
from experiments.bench.timing import Effort
from ramda_verify.output import machine

#: Seconds after which a quick run measures nothing more.
QUICK_BUDGET = 40.0


@dataclass(frozen=True)
class Plan:
    """Settings of a run. ``threads`` are the CPU thread counts to measure with; ``say`` shows what is being done."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    threads: tuple[int, ...] = (1,)
    quick: bool = False
    seed: int = 0
    reference: Reference | None = None
    proxssi: ProxSSI | None = None
    say: Callable[[str], None] = lambda words: None

    @property
    def effort(self) -> Effort:
        """For what takes milliseconds."""
        return Effort(0.6, fewest=3, most=20, warm_up=1) if self.quick else Effort(8.0, fewest=9, most=200)

    @property
    def point_effort(self) -> Effort:
        """For one of the many points of a training run."""
        return Effort(0.03, fewest=3, most=15, warm_up=1) if self.quick else Effort(0.4, fewest=9, most=60)

    @property
    def brief_effort(self) -> Effort:
        """For what takes tens of milliseconds on small cases and tens of seconds on large ones."""
        return Effort(0.3, fewest=2, most=9, warm_up=0) if self.quick else Effort(5.0, fewest=2, most=30, warm_up=0)

    @property
    def slow_threads(self) -> tuple[int, ...]:
        """Thread counts for comparisons with peers other than AdamW: a quick run takes the first."""
        return self.threads[:1] if self.quick else self.threads

    @property
    def slow_effort(self) -> Effort:
        """For comparisons with a peer that takes seconds."""
        return Effort(0.6, fewest=2, most=3, warm_up=0) if self.quick else Effort(15.0, fewest=3, most=9, warm_up=1)


@dataclass(frozen=True)
class Case:
    """A benchmark case: ``run`` yields rows as they are measured. ``family`` is a name for several cases together."""

    name: str
    title: str
    run: Callable[[Plan], Iterator[Row | Skipped]]
    quick: bool = False
    family: str = ""


def default_threads() -> tuple[int, ...]:
    """One thread, and all that torch would use."""
    return tuple(sorted({1, max(torch.get_num_threads(), machine.usable_processors())}))


def available_memory(device: torch.device) -> int:
    """Free bytes on the device."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else machine.available_memory()


def busy() -> str | None:
    """A sentence where other programs have kept the processors busy in the last minute, else None."""
    processors, load = machine.processors(), machine.load()
    if load <= 0.5 * processors:
        return None
    return f"the machine is busy (load {load:.1f} on {processors} processors): rows with all threads mean little"


def too_large(needed: int, device: torch.device) -> str | None:
    """A sentence where ``needed`` bytes are more than nine tenths of what is free, else None."""
    free = available_memory(device)
    if needed <= 0.9 * free:
        return None
    return f"needs {needed / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free"
