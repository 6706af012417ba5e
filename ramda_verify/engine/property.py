"""The engine of property checks: Hypothesis draws and shrinks the cases, a check only measures a violation.

A check is a claim with a ``measure``: keyword arguments of a case in, violation out. It holds if no violation exceeds
the tolerance. The same ``measure`` reruns a counterexample from its snippet.
"""

import math
import os
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TypeVar

import hypothesis
import numpy as np
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import HypothesisWarning, Unsatisfiable
from hypothesis.internal.conjecture import engine, providers
from hypothesis.strategies import SearchStrategy

import solvers
from ramda_verify.engine.limits import DidNotReturn
from ramda_verify.engine.plain import plainest
from ramda_verify.engine.record import Case, CheckResult, Counterexample, Measurement, NothingClaimed, Verdict
from ramda_verify.engine.snippets import describe_case, snippet
from ramda_verify.engine.targets import Target
from ramda_verify.engine.world import left_alone
from ramda_verify.engine.worst import largest
from ramda_verify.tolerances import Tolerance

#: Share of cases that an oracle may fail on before the whole check is inconclusive.
MAX_INCONCLUSIVE = 0.2
#: Seconds in which Hypothesis shrinks a counterexample, more than an ordinary prox takes, and in which it is then made
#: plainer. They begin with the case that failed: one that takes longer by itself is reported as it was drawn.
SHRINK_SECONDS, PLAIN_SECONDS = 10.0, 3.0
#: The detail of a result begins with this where its cases, valid as they are, hold nothing that the claim speaks of.
NONE_OF = "none of"


#: Whose code is not the user's: what dataclasses write, our folders, and those where packages are installed.
PACKAGES = (
    "<string>",
    str(Path(__file__).parents[1]),
    str(Path(str(solvers.__file__)).parent),
    str(Path(str(torch.__file__)).parents[1]),
    str(Path(os.__file__).parent),
)


Measure = TypeVar("Measure", bound=Callable[..., Measurement])
#: The attribute of a measure under which its checks are kept.
_CLAIMS = "checks"


class Inconclusive(Exception):
    """An oracle failed on this case, so nothing can be said about it."""


@dataclass(frozen=True)
class Check:
    """One claim about one kind of target.

    ``applies(target)`` returns None or the reason to skip; ``cases(target)`` the strategy of keyword arguments;
    ``measure(**case)`` a Measurement (or raises Inconclusive or NothingClaimed). ``share`` scales the number of cases,
    for checks whose single case is dear, ``cost`` tells the runner which to start first. ``problems`` are the targets
    of a check of kind "problem". ``trace(target)`` draws series for the report. ``recorded`` is "never" where the cases
    hold no problem that a recorded one could take the place of, and "only" where all of them are recorded; ``large``
    is False where large tensors would show nothing new, or take too long. ``scope(target)`` says what is tried of what
    could be, such as dtypes.
    """

    id: str
    claim: str
    source: str
    kind: str
    tolerance: Tolerance
    cases: Callable[[Target], SearchStrategy[Case]]
    measure: Callable[..., Measurement]
    applies: Callable[[Target], str | None] = lambda target: None
    share: float = 1.0
    cost: float = 1.0
    problems: tuple[str, ...] = ()
    trace: Callable[[Target], dict[str, Any] | None] | None = None
    recorded: Literal["too", "never", "only"] = "too"
    large: bool = True
    scope: Callable[[Target], str] = lambda target: ""


def check(identifier: str, **claim: Any) -> Callable[[Measure], Measure]:
    """Decorate the ``measure`` of a check with what it claims: the fields of ``Check``, its ``id`` first.

    The function stays what it was; a measure that serves several checks is decorated once for each.
    """

    def decorated(measure: Measure) -> Measure:
        others = getattr(measure, _CLAIMS, ())
        setattr(measure, _CLAIMS, (Check(id=identifier, measure=measure, **claim), *others))
        return measure

    return decorated


def checks_of(*modules: ModuleType) -> tuple[Check, ...]:
    """The checks whose measures are written in these modules, in the order of the source."""
    return tuple(
        found
        for module in modules
        for measure in vars(module).values()
        if getattr(measure, "__module__", None) == module.__name__
        for found in getattr(measure, _CLAIMS, ())
    )


class _Found(BaseException):
    def __init__(self, case: Case, measurement: Measurement) -> None:
        super().__init__(measurement.note)
        self.case = case
        self.measurement = measurement


class _Falsified(_Found, Exception):
    """The claim fails on the case, which Hypothesis shrinks."""


class _Stopped(_Found):
    """A call did not return, and would not at each step of shrinking: Hypothesis lets it through as it is."""


class _Enough(_Found):
    """What SHRINK_SECONDS of shrinking have left of the first case that failed; let through in the same way."""


@dataclass
class _Shrinking:
    """The last case that failed, how long it took, and when the first one that failed began."""

    last: _Falsified | None = None
    began: float = 0.0
    took: float = 0.0

    def failed(self, found: _Falsified, began: float) -> None:
        if self.last is None:
            self.began = began
        self.last, self.took = found, time.perf_counter() - began

    def end_in_time(self) -> None:
        if self.last is not None and time.perf_counter() - self.began > SHRINK_SECONDS:
            raise _Enough(self.last.case, self.last.measurement) from self.last.__cause__


@dataclass
class _Tally:
    cases: int = 0
    problems: int = 0
    enclosed: int = 0
    inconclusive: int = 0
    empty: int = 0
    worst: float = -math.inf
    reasons: dict[str, int] = field(default_factory=dict)


def judge(check: Check, case: Case, tally: _Tally) -> bool:
    """Measure one case; raise _Falsified where the claim fails on it. Returns whether the claim speaks of the case."""
    try:
        with warnings.catch_warnings(), left_alone():
            warnings.simplefilter("ignore")
            measurement = check.measure(**case)
    except Inconclusive as reason:
        tally.inconclusive += 1
        tally.reasons[str(reason)] = tally.reasons.get(str(reason), 0) + 1
        return True
    except NothingClaimed:
        tally.empty += 1
        return False
    except DidNotReturn as late:
        raise _Stopped(case, Measurement(math.inf, str(late))) from late
    except Exception as error:  # a target may raise anything; whatever it raises on a valid case is a finding
        raise _Falsified(
            case, Measurement(math.inf, f"raised {type(error).__name__}: {error}{_place(error)}")
        ) from error
    tally.cases += 1
    tally.problems += measurement.problems
    tally.enclosed += measurement.enclosed
    if not measurement.violation <= check.tolerance.value:
        raise _Falsified(case, measurement)
    tally.worst = largest((tally.worst, measurement.violation))
    return True


def _place(error: BaseException) -> str:
    """Where in the user's code an error was raised: the innermost frame that is not of a package."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not any(frame.filename.startswith(root) for root in PACKAGES)]
    return f" ({Path(own[-1].filename).name}, line {own[-1].lineno}, in {own[-1].name})" if own else ""


def _same_failure(check: Check, found: _Found) -> Callable[[Case], Measurement | None]:
    """What a case measures where it fails as ``found`` does: by a number, or by raising the same kind of error."""

    def failure(case: Case) -> Measurement | None:
        try:
            judge(check, case, _Tally())
        except _Found as other:
            return other.measurement if type(other.__cause__) is type(found.__cause__) else None
        return None

    return failure


def draw_by_seed_alone() -> None:
    """From now on a seed means the same cases in this process whatever modules are loaded: Hypothesis would try the
    literals in their sources as well. Where a later version has no such function, nothing changes.
    """
    if "is_local_module_file" in vars(providers):
        vars(providers)["is_local_module_file"] = lambda path: False


@contextmanager
def drawn_by_seed_alone() -> Iterator[None]:
    """The same within the context."""
    right = vars(providers).get("is_local_module_file")
    draw_by_seed_alone()
    try:
        yield
    finally:
        if right is not None:
            vars(providers)["is_local_module_file"] = right


@contextmanager
def independent_cases() -> Iterator[None]:
    """Within the context Hypothesis draws every case anew.

    From the eleventh on it makes five of six by copying parts of the one before within it, so that a hundred cases of
    ours would be some twenty-five with variations. Where a later version has no such method, nothing changes.
    """
    runner, name = engine.ConjectureRunner, "generate_mutations_from"
    right = vars(runner).get(name)
    if right is not None:
        setattr(runner, name, lambda self, data: None)
    try:
        yield
    finally:
        if right is not None:
            setattr(runner, name, right)


def run_check(
    check: Check,
    target: Target,
    *,
    seed: int,
    max_examples: int,
    shrink: bool = True,
    plain_seconds: float = PLAIN_SECONDS,
) -> CheckResult:
    """Draw up to ``max_examples`` cases (times the check's share) and report the verdict, shrunk if it is a fail.

    One more case comes first: the simplest, with which Hypothesis begins at every seed. A check that took no other
    would look at the same case for ever. Without ``shrink`` a counterexample is reported as it was drawn,
    but for what ``plain_seconds`` of making a regularizer's plainer achieve.
    """
    start = time.perf_counter()

    def result(status: Verdict, tally: _Tally, **more: Any) -> CheckResult:
        seconds = time.perf_counter() - start
        worst = more.pop("worst", tally.worst if tally.cases else None)
        more["problems"], more["enclosed"] = tally.problems, tally.enclosed
        more["scope"] = "" if status is Verdict.SKIP else check.scope(target)
        return CheckResult(
            check.id, target.name, status, tally.cases, worst, check.tolerance.value, round(seconds, 3), **more
        )

    tally, shrinking = _Tally(), _Shrinking()
    reason = check.applies(target)
    if reason is not None:
        return result(Verdict.SKIP, tally, detail=reason)

    @hypothesis.seed(seed)
    @settings(
        max_examples=1 + max(1, round(max_examples * check.share)),
        database=None,
        deadline=None,
        phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        verbosity=hypothesis.Verbosity.quiet,
    )
    @given(check.cases(target))
    def search(case: Case) -> None:
        shrinking.end_in_time()
        began = time.perf_counter()
        try:
            spoken_of = judge(check, case, tally)
        except _Falsified as found:
            shrinking.failed(found, began)
            raise
        if not spoken_of:
            hypothesis.reject()  # another case takes its place

    try:
        with independent_cases(), warnings.catch_warnings():
            # A case with a large recorded tensor is not printed, and that Hypothesis would take long to is no news.
            warnings.filterwarnings("ignore", "Generating overly large repr", HypothesisWarning)
            search()
    except Unsatisfiable:
        detail = f"{NONE_OF} {tally.empty} cases holds anything that the claim speaks of"
        return result(Verdict.INCONCLUSIVE, tally, detail=detail if tally.empty else "no case could be drawn")
    except (_Falsified, _Stopped, _Enough) as found:
        case, measurement = found.case, found.measurement
        if shrink or target.kind == "regularizer":
            seconds = 0.0 if isinstance(found, _Stopped) or shrinking.took > plain_seconds else plain_seconds
            case, measurement = plainest(case, measurement, _same_failure(check, found), seconds=seconds)
        example = Counterexample(
            case=describe_case(case),
            violation=measurement.violation,
            note=measurement.note,
            snippet=snippet(check.id, target, case, measurement, check.tolerance.value),
            entries=max((value.size for value in case.values() if isinstance(value, np.ndarray)), default=None),
        )
        worst = measurement.violation
        return result(Verdict.FAIL, tally, worst=worst, counterexample=example, detail=measurement.note)
    detail = "; ".join(f"{count} cases inconclusive: {reason}" for reason, count in tally.reasons.items())
    drawn = tally.cases + tally.inconclusive
    if drawn == 0 or tally.inconclusive > MAX_INCONCLUSIVE * drawn:
        return result(Verdict.INCONCLUSIVE, tally, detail=detail or "no case could be drawn")
    trace = check.trace(target) if check.trace is not None and target.traced else None
    return result(Verdict.PASS, tally, detail=detail, trace=trace)


def together(total: CheckResult, part: CheckResult, *, recorded: bool = False) -> CheckResult:
    """One result of two parts of a check, with the verdict of the later one."""
    worst = [result.worst for result in (total, part) if result.worst is not None]
    return replace(
        total,
        status=part.status,
        cases=total.cases + part.cases,
        problems=total.problems + part.problems,
        enclosed=total.enclosed + part.enclosed,
        recorded=total.recorded + (part.cases if recorded else 0),
        worst=max(worst, default=None),
        seconds=round(total.seconds + part.seconds, 3),
        counterexample=part.counterexample,
        detail="; ".join(filter(None, (total.detail, part.detail))),
    )
