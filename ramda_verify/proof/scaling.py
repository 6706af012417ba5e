"""Units: a question that does not depend on them is asked in units in which some variables are 1.

Most penalties look the same in other units: with w, z and a threshold ten times as large, psi is a hundred times as
large. Such a scaling gives each variable a weight, and every sum and comparison joins terms of one weight. It may be
chosen such that a variable that is positive is 1, so that there is one variable less.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import product
from typing import Any

import z3

from ramda_verify.proof.terms import Anatomy, Side

#: A weight of a term: a combination of the weights of variables.
Weight = dict[str, Fraction]


def unit_cases(anatomy: Anatomy, conditions: Sequence[z3.BoolRef], sides: Sequence[Side]) -> Iterator[list[z3.BoolRef]]:
    """Equations of some variables with 1, -1 or 0: together the cases cover every solution, but for its units.

    One case without equations where there is no scaling.
    """
    names = sorted(set().union(*map(anatomy.names, conditions)) - {side.owner for side in sides})
    equations: list[Weight] = []
    seen: dict[int, Weight | None] = {}
    for condition in (*conditions, *(side.condition for side in sides)):
        _weigh(condition, equations, seen)
    order = sorted(names, key=lambda name: _cases_of(name, conditions)[0])
    fixed = _free_variables(equations, order)
    choices = [[(z3.Real(name), value) for value in _cases_of(name, conditions)[1]] for name in fixed]
    for values in product(*choices):
        yield [variable == value for variable, value in values]


def _cases_of(name: str, conditions: Sequence[z3.BoolRef]) -> tuple[int, tuple[int, ...]]:
    """A rank, the lower the fewer cases, and the values to try: 1 of what is positive, else 0 and -1, too."""
    variable = z3.Real(name)
    if any(condition.eq(variable > 0) for condition in conditions):
        return 0, (1,)
    if any(condition.eq(variable >= 0) for condition in conditions):
        return 1, (1, 0)
    return 2, (1, -1, 0)


def _free_variables(equations: Sequence[Weight], order: Sequence[str]) -> list[str]:
    """Variables whose weights may be chosen freely in a solution of the equations, the first in order if possible."""
    solved: dict[str, Weight] = {}
    for equation in equations:
        rest = _reduced(equation, solved)
        # The variable that comes last in order depends on the others, so that the first ones stay free.
        pivot = max(rest, key=lambda name: order.index(name) if name in order else len(order), default=None)
        if pivot is None:
            continue
        scaled = {name: -weight / rest[pivot] for name, weight in rest.items() if name != pivot}
        solved = {name: _reduced(value, {pivot: scaled}) for name, value in solved.items()}
        solved[pivot] = scaled
    return [name for name in order if name not in solved]


def _reduced(equation: Weight, solved: dict[str, Weight]) -> Weight:
    found: Weight = {}
    for name, weight in equation.items():
        for part, share in solved.get(name, {name: Fraction(1)}).items():
            found[part] = found.get(part, Fraction(0)) + weight * share
    return {name: weight for name, weight in found.items() if weight}


def _weigh(term: Any, equations: list[Weight], seen: dict[int, Weight | None]) -> Weight | None:
    """The weight of a term, None where any fits (zero, truth values); equations collect what must be alike."""
    key = term.get_id()
    if key not in seen:
        seen[key] = _weight_of(term, [_weigh(child, equations, seen) for child in term.children()], equations)
    return seen[key]


def _weight_of(term: Any, parts: list[Weight | None], equations: list[Weight]) -> Weight | None:
    kind = term.decl().kind()
    if z3.is_rational_value(term):
        return None if term.numerator_as_long() == 0 else {}
    if z3.is_const(term):
        return {str(term): Fraction(1)} if z3.is_real(term) else None
    if kind == z3.Z3_OP_MUL:
        if any(part is None for part in parts):
            return None
        return _reduced({}, {}) if not parts else _sum_of([part for part in parts if part is not None])
    if kind == z3.Z3_OP_ITE:
        parts = parts[1:]
    known = [part for part in parts if part is not None]
    equations += [_sum_of([one, {name: -weight for name, weight in known[0].items()}]) for one in known[1:]]
    return known[0] if known and z3.is_arith(term) else None


def _sum_of(weights: Sequence[Weight]) -> Weight:
    found: Weight = {}
    for weight in weights:
        for name, share in weight.items():
            found[name] = found.get(name, Fraction(0)) + share
    return {name: share for name, share in found.items() if share}
