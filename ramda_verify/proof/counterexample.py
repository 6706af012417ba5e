"""A model of z3 made plain: parameters of 1, a step of 1, small whole numbers, and a gap that can be seen."""

import time
from collections.abc import Mapping
from fractions import Fraction

import z3

from ramda_verify.proof.question import Question
from ramda_verify.proof.splitting import check
from ramda_verify.proof.terms import Truth, real

#: Gaps of the objectives that are asked for first, and the numbers that are tried one after the other.
GAPS = (Fraction(1, 2), Fraction(1, 20), Fraction(1, 1000), Fraction(1, 10**6))
PLAIN = tuple(Fraction(text) for text in ("1", "2", "3", "4", "5", "0", "-1", "-2", "-3", "1/2", "3/2", "10", "-1/2", "20", "100"))
#: Seconds for one try, and for all of them.
TRY, ALL = 0.3, 4.0


def plainest(question: Question, wrong: Truth, model: z3.ModelRef, own: Mapping[str, float]) -> dict[str, float]:
    """The variables' values in a model that is made as plain as a few seconds allow."""
    conditions = [*question.conditions(wrong), *(side.condition for side in question.context.sides)]
    deadline = time.monotonic() + ALL

    def attempt(extra: list[z3.BoolRef]) -> z3.ModelRef | None:
        if time.monotonic() > deadline:
            return None
        return check([*conditions, *extra], TRY).model

    kept: list[z3.BoolRef] = []
    if question.gap is not None and wrong is question.lower:
        gap = real(question.gap.term)
        finite = question.gap.finite
        for size in GAPS:
            wanted = [gap >= size] + ([] if isinstance(finite, bool) else [finite])
            found = attempt(wanted)
            if found is not None:
                model, kept = found, wanted
                break
    order = [*own, "step", "w", "z"]
    for name in order:
        variable = question.variables.get(name)
        if variable is None:
            continue
        for value in (*([Fraction(own[name])] if name in own else []), *PLAIN):
            found = attempt([*kept, variable == z3.RealVal(value)])
            if found is not None:
                model, kept = found, [*kept, variable == z3.RealVal(value)]
                break
    return {name: value_in(model, variable) for name, variable in question.variables.items()}


def value_in(model: z3.ModelRef, variable: z3.ArithRef) -> float:
    value = model.eval(variable, model_completion=True)
    if z3.is_algebraic_value(value):
        value = value.approx(30)
    return float(Fraction(value.numerator_as_long(), value.denominator_as_long()))
