"""A question to z3, split into its cases where z3 does not answer the whole of it.

A traced code is a choice among polynomials. Each choice depends on a comparison (``|w| <= gamma``); a question that is
too hard as a whole is asked once with the comparison true and once with it false, and so on: what is left in the end
are polynomials with nothing to choose.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import z3

from ramda_verify.proof.scaling import unit_cases
from ramda_verify.proof.terms import Anatomy, Side

#: Seconds for the whole of a question and of a case before it is split, and for the first turn at what has no choices.
FIRST_TRY, LATER_TRIES, LEAF_TRY = 1.0, 0.05, 0.2
#: Seconds to find out that a case is empty.
FEASIBLE = 0.05
#: z3's tactics: cylindrical decomposition of the reals, and the linear solver with lemmas on products.
WAYS = ("qfnra-nlsat", "smt")


@dataclass(frozen=True)
class Answer:
    """``verdict`` is "unsat", "sat" with a model, or "unknown" where the time ran out."""

    verdict: str
    model: z3.ModelRef | None = None


@dataclass(frozen=True)
class _Case:
    """What is to hold, and the side conditions of the quotients and roots in it."""

    conditions: list[z3.BoolRef]
    sides: list[Side]
    anatomy: Anatomy

    def everything(self) -> list[z3.BoolRef]:
        return [*self.conditions, *(side.condition for side in self.sides)]

    def with_comparison(self, atom: z3.BoolRef, held: bool) -> "_Case | None":
        """The case in which the comparison holds, or does not; None where that is absurd."""
        swap = (atom, z3.BoolVal(held))
        conditions = [z3.simplify(z3.substitute(condition, swap)) for condition in self.conditions]
        sides = [Side(side.owner, z3.simplify(z3.substitute(side.condition, swap))) for side in self.sides]
        case = _Case(
            [atom if held else z3.Not(atom), *(c for c in conditions if not z3.is_true(c))], sides, self.anatomy
        )
        return None if any(map(z3.is_false, case.everything())) else case.needed()

    def with_values(self, equations: Sequence[z3.BoolRef]) -> "_Case":
        """The case in which some variables have the values of these equations."""
        return _Case([*equations, *self.conditions], self.sides, self.anatomy)

    def needed(self) -> "_Case":
        """Without the side conditions of quotients and roots that nothing mentions any more."""
        names = set().union(*map(self.anatomy.names, self.conditions))
        kept: list[Side] = []
        left = [side for side in self.sides if not z3.is_true(side.condition)]
        while taken := [side for side in left if side.owner in names]:
            left = [side for side in left if side.owner not in names]
            kept += taken
            names |= set().union(*(self.anatomy.names(side.condition) for side in taken))
        return _Case(self.conditions, kept, self.anatomy)


def ask(conditions: Sequence[z3.BoolRef], sides: Sequence[Side], deadline: float) -> Answer:
    """Whether all conditions can hold at once, until ``deadline`` on the clock of ``time.monotonic``."""
    case = _Case(list(conditions), list(sides), Anatomy()).needed()
    answer = check(case.everything(), min(FIRST_TRY, deadline - time.monotonic()))
    if answer.verdict != "unknown":
        return answer
    verdicts = set()
    for equations in unit_cases(case.anatomy, case.conditions, case.sides):
        answer = _ask(case.with_values(equations), deadline)
        if answer.verdict == "sat":
            return answer
        verdicts.add(answer.verdict)
    return Answer("unknown" if "unknown" in verdicts else "unsat")


def _ask(case: _Case, deadline: float) -> Answer:
    everything = case.everything()
    atom = _choice(everything, case.anatomy)
    if atom is None:
        return _in_turns(everything, deadline)
    answer = check(everything, min(deadline - time.monotonic(), LATER_TRIES))
    if answer.verdict != "unknown":
        return answer
    known = [condition for condition in case.conditions if not case.anatomy.has_choice(condition)]
    verdicts = set()
    for held in (True, False):
        if time.monotonic() >= deadline:
            return Answer("unknown")
        assumed = atom if held else z3.Not(atom)
        if check([*known, assumed], min(FEASIBLE, deadline - time.monotonic())).verdict == "unsat":
            continue
        rest = case.with_comparison(atom, held)
        if rest is None:
            continue
        answer = _ask(rest, deadline)
        if answer.verdict == "sat":
            return answer
        verdicts.add(answer.verdict)
    return Answer("unknown" if "unknown" in verdicts else "unsat")


def _in_turns(conditions: list[z3.BoolRef], deadline: float) -> Answer:
    """z3's ways, each given more time at every turn; none of them is the best one."""
    seconds = LEAF_TRY
    while (left := deadline - time.monotonic()) > 0:
        for way in WAYS:
            answer = check(conditions, min(left, seconds), way)
            if answer.verdict != "unknown":
                return answer
        seconds *= 2
    return Answer("unknown")


def check(conditions: Sequence[z3.BoolRef], seconds: float, way: str = WAYS[0]) -> Answer:
    """One call of z3."""
    if seconds <= 0:
        return Answer("unknown")
    solver = z3.Tactic(way).solver()
    solver.set("timeout", max(1, int(1000 * seconds)))
    solver.add(*conditions)
    # Some of z3's inner loops do not look at its own clock.
    watch = threading.Timer(seconds + 0.5, z3.main_ctx().interrupt)
    watch.start()
    try:
        verdict = str(solver.check())
    except z3.Z3Exception:
        verdict = "unknown"
    finally:
        watch.cancel()
    return Answer(verdict, solver.model() if verdict == "sat" else None)


def _choice(conditions: Sequence[z3.BoolRef], anatomy: Anatomy) -> z3.BoolRef | None:
    """The simplest comparison on which a choice inside the conditions depends, or None."""
    found: dict[int, z3.BoolRef] = {}
    seen: set[tuple[int, bool]] = set()
    queue: list[tuple[Any, bool]] = [(condition, False) for condition in conditions if anatomy.has_choice(condition)]
    for term, inside in queue:
        if (term.get_id(), inside) in seen:
            continue
        seen.add((term.get_id(), inside))
        parts = anatomy.children(term)
        if z3.is_app_of(term, z3.Z3_OP_ITE):
            queue += [(parts[0], True), (parts[1], inside), (parts[2], inside)]
        elif inside and z3.is_bool(term) and not (z3.is_and(term) or z3.is_or(term) or z3.is_not(term)):
            if not (z3.is_true(term) or z3.is_false(term)):
                found[term.get_id()] = term
                queue += [(child, False) for child in parts if anatomy.has_choice(child)]
        else:
            queue += [(child, inside) for child in parts if inside or anatomy.has_choice(child)]
    # Comparisons with choices inside come last, then those of many parts.
    return min(found.values(), key=lambda term: (anatomy.has_choice(term), anatomy.size(term)), default=None)
