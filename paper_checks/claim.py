"""What a claim of the paper is, and what its check returns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ramda_verify.engine.record import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Kind(StrEnum):
    """How the measured number must lie to the paper's: at most, at least, or equal within the tolerance.

    ``erratum``: the printed text is wrong. Such a claim holds when the demonstration succeeds: what is printed fails
    and its correction does not.
    """

    UPPER = "upper"
    LOWER = "lower"
    TIGHT = "tight"
    ERRATUM = "erratum"


def _ignore(message: str) -> None:
    """The progress of a check that nobody watches."""


@dataclass(frozen=True)
class Settings:
    """What a user may choose for all claims.

    ``seed`` fixes every random choice. ``full`` allows what takes minutes or hours. ``data_dir`` is the folder of the
    data files (None: where the experiments look for them), ``runs`` the folder of training runs, in which a finished
    run is judged instead of trained again. ``progress`` is called with a few words whenever a check gets further.
    """

    seed: int = 0
    full: bool = False
    data_dir: Path | None = None
    runs: Path = Path("runs")
    threads: int = 1
    progress: Callable[[str], None] = _ignore


@dataclass(frozen=True)
class Evidence:
    """What a check found.

    ``measured`` and ``bound`` are for the reader of the table; ``numbers`` has all of them for programs. ``detail``
    explains the verdict in a sentence or two, ``tolerance`` says what was allowed and why.
    """

    verdict: Verdict
    measured: str = ""
    bound: str = ""
    tolerance: str = ""
    detail: str = ""
    numbers: Mapping[str, Any] = field(default_factory=dict)
    picture: "Figure | None" = field(default=None, repr=False)


def skipped(reason: str) -> Evidence:
    """A claim that was not checked, and why."""
    return Evidence(Verdict.SKIP, detail=reason)


@dataclass(frozen=True)
class Claim:
    """One statement of the paper that can be shown true or false by execution.

    ``source`` names theorem, equation or table. ``check`` measures and judges; it neither prints nor asserts.
    """

    id: str
    title: str
    source: str
    statement: str
    kind: Kind
    check: Callable[[Settings], Evidence]
