"""The value of a term where its inputs are numbers, computed by walking through it: a second opinion on z3's terms."""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import z3

from ramda_verify.proof.extended import Number
from ramda_verify.proof.terms import Context


def evaluate(context: Context, number: Number, inputs: Mapping[str, float]) -> float:
    """The number as a float, for inputs by the names of their variables."""
    seen: dict[int, Any] = {}
    values: dict[str, Any] = dict(inputs)
    kinds = {str(definition.variable): definition for definition in context.definitions}

    def of(term: Any) -> Any:
        if not isinstance(term, z3.ExprRef):
            return term
        key = term.get_id()
        if key not in seen:
            seen[key] = _defined(term) if z3.is_const(term) and str(term) in kinds else _walk(term, values, of)
        return seen[key]

    def _defined(variable: z3.ExprRef) -> Any:
        definition = kinds[str(variable)]
        if definition.kind == "quotient":
            above, below = (float(of(part)) for part in definition.parts)
            return above / below if below != 0 else 0.0
        if definition.kind == "root":
            below, degree = definition.parts
            return max(float(of(below)), 0.0) ** (1 / degree)
        if definition.kind == "angle":
            return math.acos(min(1.0, max(-1.0, float(of(definition.parts[0])))))
        if definition.kind == "chebyshev root":
            return _chebyshev_root(float(of(definition.parts[0])), *definition.parts[1:])
        return math.copysign(1.0, float(of(definition.parts[0]))) > 0

    if of(number.nan):
        return math.nan
    return math.inf if of(number.up) else -math.inf if of(number.down) else float(of(number.term))


def _chebyshev_root(value: float, degree: int, low: Fraction, high: Fraction) -> float:
    """By its cosine: the angle whose ``degree``-fold has the cosine ``value``, in the range of the interval."""
    if not -1 <= value <= 1:
        return float(high)
    angles = [(math.acos(value) + 2 * math.pi * turn) / degree for turn in range(degree)]
    return min(map(math.cos, angles), key=lambda tau: max(float(low) - tau, tau - float(high)))


def _walk(term: z3.ExprRef, values: Mapping[str, Any], of: Any) -> Any:
    kind = term.decl().kind()
    if kind == z3.Z3_OP_UNINTERPRETED:
        return values[str(term)]
    if z3.is_rational_value(term):
        return float(Fraction(term.numerator_as_long(), term.denominator_as_long()))
    if kind == z3.Z3_OP_ITE:
        return of(term.arg(1)) if of(term.arg(0)) else of(term.arg(2))
    parts = [of(child) for child in term.children()]
    return _RULES[kind](parts)


_RULES: dict[int, Any] = {
    z3.Z3_OP_ADD: sum,
    z3.Z3_OP_MUL: math.prod,
    z3.Z3_OP_SUB: lambda parts: parts[0] - sum(parts[1:]),
    z3.Z3_OP_UMINUS: lambda parts: -parts[0],
    z3.Z3_OP_LT: lambda parts: parts[0] < parts[1],
    z3.Z3_OP_LE: lambda parts: parts[0] <= parts[1],
    z3.Z3_OP_GT: lambda parts: parts[0] > parts[1],
    z3.Z3_OP_GE: lambda parts: parts[0] >= parts[1],
    z3.Z3_OP_EQ: lambda parts: parts[0] == parts[1],
    z3.Z3_OP_AND: all,
    z3.Z3_OP_OR: any,
    z3.Z3_OP_NOT: lambda parts: not parts[0],
    z3.Z3_OP_TRUE: lambda parts: True,
    z3.Z3_OP_FALSE: lambda parts: False,
}
