"""Two reports, row by row: what has become worse."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from experiments.bench.document import Document
from experiments.bench.rows import Row

#: A change for the worse up to this is never called a regression.
TOLERATED = 0.10


@dataclass(frozen=True)
class Change:
    """One row in both reports. ``change`` is new ratio / old ratio - 1, nan where that has no meaning."""

    old: Row
    new: Row

    @property
    def change(self) -> float:
        if self.old.ratio == 0:
            return 0.0 if self.new.ratio == 0 else math.inf
        return self.new.ratio / self.old.ratio - 1

    @property
    def worse(self) -> float:
        """The change for the worse, > 0 where the new value is worse: as a factor minus 1 in the worse direction."""
        if self.new.better == "smaller":
            return self.change
        if self.new.ratio == 0:
            return 0.0 if self.old.ratio == 0 else math.inf
        return self.old.ratio / self.new.ratio - 1

    @property
    def separate(self) -> bool:
        """The intervals do not overlap."""
        return self.new.low > self.old.high or self.new.high < self.old.low

    @property
    def regression(self) -> bool:
        """Worse by more than a tenth and beyond the spread of both; a value that is no longer a number is one too."""
        if math.isnan(self.new.ratio):
            return not math.isnan(self.old.ratio)
        return self.separate and self.worse > TOLERATED


def compare(old: Document, new: Document) -> list[Change]:
    """The rows that both have, in the order of ``new``."""
    before = {row.key: row for row in old.rows}
    return [Change(before[row.key], row) for row in new.rows if row.key in before]


def warnings_about(old: Document, new: Document) -> list[str]:
    """What makes the comparison doubtful, and what is in one report only; sentences."""
    found = []
    differing = sorted(name for name in {*old.machine, *new.machine} if old.machine.get(name) != new.machine.get(name))
    if differing:
        what = ", ".join(f"{name} {old.machine.get(name)!r} / {new.machine.get(name)!r}" for name in differing)
        found.append(f"the machines differ: {what}")
    if old.quick != new.quick:
        found.append("one of the two was a quick run")
    for words, rows, others in (("old", old.rows, new.rows), ("new", new.rows, old.rows)):
        missing = _missing(rows, others)
        if missing:
            found.append(f"{missing} rows are in the {words} report only")
    return found


def _missing(rows: Sequence[Row], others: Sequence[Row]) -> int:
    known = {row.key for row in others}
    return sum(row.key not in known for row in rows)
