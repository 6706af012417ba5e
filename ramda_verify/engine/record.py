"""What checks find. They never print and never assert; everything is in here."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

#: The keyword arguments of one case.
Case = dict[str, Any]


@dataclass(frozen=True)
class Measurement:
    """A violation, made dimensionless by the check, and a sentence that explains it.

    ``problems`` says how many problems the case held: one, unless the check takes a batch of them. A violation that
    is NaN is infinite: what could not be computed does not hold. ``enclosed`` says that the claim was judged in ball
    arithmetic, without rounding of the judge's own.
    """

    violation: float
    note: str = ""
    problems: int = 1
    enclosed: bool = False

    def __post_init__(self) -> None:
        violation = float(self.violation)
        object.__setattr__(self, "violation", math.inf if math.isnan(violation) else violation)


class NothingClaimed(Exception):
    """The claim is about nothing in this case, such as a bound at a point where psi is infinite.

    The engine draws another case in its place; a check all of whose cases end so has shown nothing.
    """


class Verdict(StrEnum):
    """``pass`` is for all cases that were tried, ``proved`` for all there are; ``inconclusive`` means that an oracle
    failed, and is never counted as a pass.
    """

    PASS = "pass"
    PROVED = "proved"
    FAIL = "fail"
    SKIP = "skip"
    INCONCLUSIVE = "inconclusive"

    @property
    def holds(self) -> bool:
        return self in (Verdict.PASS, Verdict.PROVED, Verdict.SKIP)


@dataclass(frozen=True)
class Counterexample:
    """The smallest case found on which a claim fails, and Python that reproduces it when pasted; ``entries`` of its
    tensors, where it has any.
    """

    case: str
    violation: float
    note: str
    snippet: str
    entries: int | None = None


@dataclass(frozen=True)
class Pace:
    """How long a prox takes on a tensor of ``shape``, in seconds, and the share of the cases that there is time for."""

    seconds: float
    shape: tuple[int, ...]
    share: float


@dataclass(frozen=True)
class CheckResult:
    """One check on one target.

    ``worst`` is the largest violation seen, in the units of ``tolerance``; ``trace`` holds series for the report's
    pictures and does not enter report.json. ``problems`` counts what the cases held: a case may be a batch of them.
    ``recorded`` says how many of the cases hold a problem of a recorded training step, ``enclosed`` how many were
    judged in ball arithmetic. ``scope`` says what was tried of what could have been, such as dtypes; ``pace`` is of the
    check that runs first.
    """

    check: str
    target: str
    status: Verdict
    cases: int
    worst: float | None
    tolerance: float | None
    seconds: float
    counterexample: Counterexample | None = None
    detail: str = ""
    trace: dict[str, Any] | None = None
    problems: int = 0
    recorded: int = 0
    enclosed: int = 0
    scope: str = ""
    pace: Pace | None = None
