"""The checks of a regularizer from Python: in a script, in a notebook, in a test of one's own."""

import io
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import find
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from rich.console import Console

from ramda_verify.cases.strategies import instances as over_the_weights
from ramda_verify.checks import ALL_CHECKS, BY_ID
from ramda_verify.engine.construction import construction
from ramda_verify.engine.diagnosis import kind_of_mistake
from ramda_verify.engine.limits import limited, pace_of
from ramda_verify.engine.property import drawn_by_seed_alone
from ramda_verify.engine.record import CheckResult, Verdict
from ramda_verify.engine.suite import CONTRACT, EXAMPLES, run_on_all, seed_of
from ramda_verify.engine.targets import Target, TargetError
from ramda_verify.engine.world import left_alone
from ramda_verify.output.verdict import show_verdict
from solvers import validate
from solvers.regularizers.base import offers, require_regularizer

#: Columns of a report's text.
WIDTH = 100


@dataclass(frozen=True)
class Report:
    """What the checks found: their results, the verdict in words (``str``), and whether all hold."""

    name: str
    seed: int
    results: tuple[CheckResult, ...]
    mistake: str | None = None

    @property
    def holds(self) -> bool:
        """No check fails, and none is undecided."""
        return all(result.status.holds for result in self.results)

    def __str__(self) -> str:
        text = io.StringIO()
        show_verdict(Console(file=text, width=WIDTH), self.name, self.results, seed=self.seed, mistake=self.mistake)
        return text.getvalue().rstrip()


def check(
    regularizer: Any = None,
    *,
    instances: Iterable[Any] | SearchStrategy[Any] | None = None,
    cases: str = "default",
    only: str | Sequence[str] = (),
    seed: int | None = None,
) -> Report:
    """Check a regularizer: is its prox right, and are its optional claims true?

    The checks run in this process, one after the other, and leave its threads, generators and defaults as they were.

    Arguments:
        regularizer: an object with ``value(w)`` and ``prox(w, step)``, or a class that can be called without arguments
            or offers ``examples()``.
        instances: several of them, as a list or as a strategy of Hypothesis, so that parameters vary.
        cases: how many, "quick", "default" or "full".
        only: the name of a check, or several; all where it is empty.
        seed: of all random choices; a fresh one where it is None.

    Returns:
        The report, whose ``str`` is what ``ramda-verify check`` prints.

    Raises:
        AssertionError: a check fails or is undecided; the message is the report.
        TypeError: the object is no regularizer, there is none or both it and ``instances``, or the seed is no int.
        ValueError: ``cases`` or ``only`` names nothing.
    """
    __tracebackhide__ = True  # of pytest: what a test shows is its own line and the report
    if cases not in EXAMPLES:
        raise ValueError(f"cases must be one of {', '.join(EXAMPLES)}, got {cases!r}")
    names = [found.id for found in ALL_CHECKS if found.kind == "regularizer"]
    only = (only,) if isinstance(only, str) else tuple(only)
    for name in only:
        if name not in names:
            raise ValueError(f"only must name checks of a regularizer ({', '.join(names)}), got {name!r}")
    if seed is None:
        seed = secrets.randbelow(2**31)
    validate.nonnegative_integer("seed", seed)
    target = _target(regularizer, instances)
    results: list[CheckResult] = []
    examples, share = EXAMPLES[cases], 1.0
    with left_alone(), limited(target.example), drawn_by_seed_alone():
        for name in only or names:
            result = run_on_all(BY_ID[name], target, seed_of(seed, name, target.name), max(1, round(share * examples)))
            if name == CONTRACT and result.status is Verdict.PASS:
                result = replace(result, pace=pace_of(target.example))
                share = result.pace.share if result.pace is not None else 1.0
            results.append(result)
            if name == CONTRACT and result.status is Verdict.FAIL:
                break  # nothing that follows could say more
    report = Report(target.name, seed, tuple(results), kind_of_mistake(target.example, results))
    if not report.holds:
        raise AssertionError(f"\n{report}")
    return report


def battery(
    regularizer: Any = None, *, instances: Iterable[Any] | SearchStrategy[Any] | None = None, **options: Any
) -> Callable[[Callable[..., Any]], Any]:
    """A decorator that makes one test of pytest out of each check that applies::

        @ramda_verify.battery(MyRegularizer)
        def test_my_regularizer(check):
            check()

    ``check`` is the argument's name; it raises AssertionError with the counterexample. Arguments as ``check``.
    """
    import pytest

    if instances is not None and not isinstance(instances, SearchStrategy):
        instances = tuple(instances)  # which every test goes through, a generator too
    target = _target(regularizer, instances)
    applying = [found.id for found in ALL_CHECKS if found.kind == "regularizer" and found.applies(target) is None]

    def one(name: str) -> Callable[[], Report]:
        def run() -> Report:
            __tracebackhide__ = True
            return check(regularizer, instances=instances, only=(name,), **options)

        return run

    return pytest.mark.parametrize("check", [pytest.param(one(name), id=name) for name in applying])


def _target(regularizer: Any, several: Iterable[Any] | SearchStrategy[Any] | None) -> Target:
    if (regularizer is None) == (several is None):
        raise TypeError(f"pass a regularizer or instances, one of the two, got {regularizer!r} and {several!r}")
    if isinstance(several, SearchStrategy):
        drawn = several
    else:
        made = _instances(regularizer, several)
        for found in made:
            require_regularizer("regularizer" if several is None else "each of instances", found)
        drawn = over_the_weights(made) if offers(regularizer, "examples") else st.sampled_from(made)
    example = find(drawn, lambda _: True)
    require_regularizer("regularizer" if several is None else "each of instances", example)
    return Target(type(example).__name__, "regularizer", example, drawn, construction, traced=False)


def _instances(regularizer: Any, several: Any) -> tuple[Any, ...]:
    """The objects to check: those given, or those that the class describes itself by, or what it makes of nothing."""
    if several is None:
        if offers(regularizer, "examples"):
            return tuple(regularizer.examples())
        return (regularizer() if isinstance(regularizer, type) else regularizer,)
    if not isinstance(several, Iterable) or not (found := tuple(several)):
        raise TypeError(f"instances must be regularizers, one or more, or a strategy that draws them, got {several!r}")
    return found


__all__ = ["Report", "TargetError", "battery", "check"]
