"""A model of z3 made plain: parameters of 1, a step of 1, small whole numbers, and a gap that can be seen."""

import time
from collections.abc import Iterator, Mapping
from fractions import Fraction

import z3

from ramda_verify.proof.question import Question
from ramda_verify.proof.splitting import check
from ramda_verify.proof.terms import Truth, real

#: Gaps of the objectives that are asked for, the largest that is to be had; and the numbers that are tried in turn.
GAPS = (Fraction(1, 1000), Fraction(1, 10**6), Fraction(1, 10**9))
PLAIN = tuple(map(Fraction, ("1", "2", "3", "4", "5", "0", "-1", "-2", "-3", "1/2", "3/2", "10", "-1/2", "20", "100")))
#: Seconds for one try, and for all of them.
TRY, ALL = 0.3, 3.0
#: Counterexamples that are looked for where the first ones do not show in float64.
MOST = 4


def counterexamples(
    question: Question, wrong: Truth, model: z3.ModelRef, own: Mapping[str, float]
) -> Iterator[dict[str, float]]:
    """The variables' values in a model made as plain as a few seconds allow, then in models far from it."""
    conditions = [*question.conditions(wrong), *(side.condition for side in question.context.sides)]
    away: list[z3.BoolRef] = []
    for _ in range(MOST):
        values = _plainest(question, [*conditions, *away], wrong is question.lower, model, own)
        yield values
        # Twice as far, or half: what is wrong by less than rounding may be wrong by more elsewhere.
        away += [_far_from(question.variables[name], values[name]) for name in ("step", "w")]
        further = check([*conditions, *away], ALL).model
        if further is None:
            return
        model = further


def _far_from(variable: z3.ArithRef, value: float) -> z3.BoolRef:
    size = z3.RealVal(Fraction(abs(value)))
    return z3.Or(variable >= 2 * size, variable <= -2 * size, z3.And(2 * variable <= size, -2 * variable <= size))


def _plainest(
    question: Question, conditions: list[z3.BoolRef], with_gap: bool, model: z3.ModelRef, own: Mapping[str, float]
) -> dict[str, float]:
    deadline = time.monotonic() + ALL

    def attempt(extra: list[z3.BoolRef]) -> z3.ModelRef | None:
        return None if time.monotonic() > deadline else check([*conditions, *extra], TRY).model

    kept: list[z3.BoolRef] = []
    if question.gap is not None and with_gap:
        finite = [] if isinstance(question.gap.finite, bool) else [question.gap.finite]
        for size in GAPS:
            wanted = [real(question.gap.term) >= size, *finite]
            found = attempt(wanted)
            if found is not None:
                model, kept = found, wanted
                break
    for name in (*own, "step", "w", "z"):
        variable = question.variables[name]
        for value in (*([Fraction(own[name])] if name in own else []), *PLAIN):
            found = attempt([*kept, variable == z3.RealVal(value)])
            if found is not None:
                model, kept = found, [*kept, variable == z3.RealVal(value)]
                break
    return {name: value_in(model, variable) for name, variable in question.variables.items()}


def value_in(model: z3.ModelRef, variable: z3.ArithRef) -> float:
    """A variable's value in a model, rounded to a float."""
    value = model.eval(variable, model_completion=True)
    if z3.is_algebraic_value(value):
        value = value.approx(30)
    return float(Fraction(value.numerator_as_long(), value.denominator_as_long()))
