"""A question to z3, split into its cases where z3 does not answer the whole of it.

A traced code is a choice among polynomials. Each choice depends on a comparison (``|w| <= gamma``); a question that is
too hard as a whole is asked once with the comparison true and once with it false, and so on: what is left in the end
are polynomials with nothing to choose.
"""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import z3

#: The share of what is left of the time that the question gets before it is split: the first tries are short.
FIRST_TRY = 1.0
LATER_TRIES = 0.5


@dataclass(frozen=True)
class Answer:
    """``verdict`` is "unsat", "sat" with a model, or "unknown" where the time ran out."""

    verdict: str
    model: z3.ModelRef | None = None


def ask(conditions: list[z3.BoolRef], deadline: float) -> Answer:
    """Whether all conditions can hold at once, until ``deadline`` on the clock of ``time.monotonic``."""
    return _ask(list(conditions), deadline, FIRST_TRY)


def _ask(conditions: list[z3.BoolRef], deadline: float, share: float) -> Answer:
    atom = next(_choices(conditions), None)
    left = deadline - time.monotonic()
    answer = check(conditions, min(left, share) if atom is not None else left)
    if answer.verdict != "unknown" or atom is None or time.monotonic() >= deadline:
        return answer
    open_case = False
    for assumed, held in ((atom, True), (z3.Not(atom), False)):
        rest = [z3.simplify(z3.substitute(c, (atom, z3.BoolVal(held)))) for c in conditions]
        if any(z3.is_false(c) for c in rest):
            continue
        case = _ask([assumed, *(c for c in rest if not z3.is_true(c))], deadline, LATER_TRIES)
        if case.verdict == "sat":
            return case
        open_case = open_case or case.verdict == "unknown"
        if time.monotonic() >= deadline:
            return Answer("unknown")
    return Answer("unknown" if open_case else "unsat")


def check(conditions: list[z3.BoolRef], seconds: float) -> Answer:
    """One call of z3's solver for polynomials."""
    if seconds <= 0:
        return Answer("unknown")
    solver = z3.Tactic("qfnra-nlsat").solver()
    solver.set("timeout", max(1, int(1000 * seconds)))
    solver.add(*conditions)
    # Some of z3's inner loops do not look at its own clock.
    watch = threading.Timer(seconds + 0.5, z3.main_ctx().interrupt)
    watch.daemon = True
    watch.start()
    try:
        verdict = str(solver.check())
    except z3.Z3Exception:
        verdict = "unknown"
    finally:
        watch.cancel()
    return Answer(verdict, solver.model() if verdict == "sat" else None)


def _choices(conditions: list[z3.BoolRef]) -> Iterator[z3.BoolRef]:
    """The comparisons inside the conditions of choices, the outermost first."""
    seen: set[int] = set()
    queue: list[tuple[Any, bool]] = [(condition, False) for condition in conditions]
    for term, inside in queue:
        if term.get_id() in seen and not inside:
            continue
        seen.add(term.get_id())
        if z3.is_app_of(term, z3.Z3_OP_ITE):
            queue += [(term.arg(0), True), (term.arg(1), False), (term.arg(2), False)]
        elif inside and z3.is_bool(term) and not (z3.is_and(term) or z3.is_or(term) or z3.is_not(term)):
            if not (z3.is_true(term) or z3.is_false(term)):
                yield term
        else:
            queue += [(child, inside) for child in term.children()]
