"""What a kernel is compiled for: one variant of it per value of these records."""

from dataclasses import dataclass
from typing import Any

#: The recurrences that ``recurrences.form`` has a formula for.
RECURRENCES = ("ramda", "rmda", "proxsgd", "proxgen", "proxgen_amsgrad")


@dataclass(frozen=True)
class KernelSpec:
    """The formulas and the types. ``point``, ``sums`` and ``index`` are dtypes of Triton's, which has no types."""

    recurrence: str
    states: int
    numbers: int  # in a row of scalars
    point: Any  # and of the gradient
    largest: float  # that the point holds
    sums: Any  # of the state, Ŵ and all arithmetic
    index: Any  # int64 from 2^31 entries on
    gradient: bool
    structured: bool
    averages: bool
    entry_weight: bool  # psi has a weight of entries beside that of groups
    aligned: bool  # addresses and the pitch are multiples of 16: loads of 16 bytes


@dataclass(frozen=True)
class Tile:
    """``rows`` x ``columns`` entries, the columns next to each other in memory; groups are summed over ``axis``.

    ``axis`` 1: a row is a piece of one group, in one run of memory or (``broken``) in several. ``axis`` 0: a column is
    a piece of one group, and with ``segmented`` a few neighbouring columns are the same group.
    """

    rows: int
    columns: int
    axis: int
    segmented: bool = False
    broken: bool = False
    looped: bool = False  # a program goes through several tiles, which do not stay on the chip
    split: bool = False  # a group may lie in the tiles of several programs, which add up their sums

    @property
    def lanes(self) -> int:
        """Sums that a tile has after those over ``axis``."""
        return self.columns if self.axis == 0 else self.rows
