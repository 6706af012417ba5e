"""The question that a proof answers: can any z have a lower step*psi(z) + 1/2 (z - w)^2 than prox(w, step)?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import z3

from ramda_verify.proof import extended as x
from ramda_verify.proof.arrays import Array, filled
from ramda_verify.proof.constants import as_fraction
from ramda_verify.proof.elementwise import number
from ramda_verify.proof.extended import Number, constant
from ramda_verify.proof.groups import ALONG, Coupled, Group, Part, alike
from ramda_verify.proof.parameters import Parameter
from ramda_verify.proof.ranges import Bound
from ramda_verify.proof.reading import read
from ramda_verify.proof.terms import Context, Truth, boolean, disjunction, negation
from ramda_verify.proof.tracing import Path


@dataclass(frozen=True)
class Traced:
    """prox and value of one tensor of ``shape`` as graphs; their inputs are w, (step,) and the parameters in order.

    ``fixed`` are the parameters that keep the object's values.
    """

    shape: tuple[int, ...]
    parameters: tuple[Parameter, ...]
    fixed: tuple[Parameter, ...]
    prox: list[Path]
    value: list[Path]

    @property
    def count(self) -> int:
        """The number of entries."""
        size = 1
        for length in self.shape:
            size *= length
        return size


@dataclass(frozen=True)
class Question:
    """Variables by name, what is assumed of them, and what would be wrong.

    ``prox`` and ``psi`` are prox(w, step), as an entry or as the factor of a group, and psi of it; ``undefined`` holds
    where one of them is no number, ``lower`` where z has a lower objective, by ``gap``.
    """

    context: Context
    variables: dict[str, z3.ArithRef]
    assumptions: list[z3.BoolRef]
    prox: Number
    psi_of_w: Number
    undefined: Truth
    lower: Truth
    gap: Any
    group: bool = False

    def conditions(self, wrong: Truth) -> list[z3.BoolRef]:
        return [*self.assumptions, boolean(wrong)]


@dataclass
class _Variables:
    """Inputs of the graphs as variables, and what is assumed of them."""

    context: Context
    by_name: dict[str, z3.ArithRef] = field(default_factory=dict)
    assumptions: list[z3.BoolRef] = field(default_factory=list)

    def of_problem(self, traced: Traced) -> tuple[Array, list[Array]]:
        step = self.by_name["step"] = z3.Real("step")
        self.assumptions.append(step > 0)
        for parameter in traced.parameters:
            self.by_name[parameter.name] = z3.Real(parameter.name)
        known = {p.name: z3.RealVal(as_fraction(p.own)) for p in traced.fixed}
        everything = {**known, **self.by_name}
        for parameter in (*traced.parameters, *traced.fixed):
            held = [_bound(parameter.name, bound, everything) for bound in parameter.bounds]
            # What only says something of the object's own values is not asked about.
            self.assumptions += [condition for condition in held if not z3.is_false(z3.simplify(condition))]
        inputs = [
            filled((), Number(self.by_name[parameter.name], plus_zero=_is_nonnegative(parameter)))
            for parameter in traced.parameters
        ]
        return filled((), Number(step, plus_zero=True)), inputs


def _bound(name: str, bound: Bound, variables: Mapping[str, z3.ArithRef]) -> z3.BoolRef:
    if isinstance(bound.limit, str) and bound.limit not in variables:
        raise ValueError(f"the range of {name} names {bound.limit!r}, which is no number that the object keeps")
    one = variables[name]
    other = variables[bound.limit] if isinstance(bound.limit, str) else z3.RealVal(as_fraction(bound.limit))
    return {">": one > other, ">=": one >= other, "<": one < other, "<=": one <= other}[bound.relation]


def _is_nonnegative(parameter: Parameter) -> bool:
    lows = [bound.limit for bound in parameter.bounds if bound.relation in (">", ">=")]
    return any(isinstance(low, float) and low >= 0 for low in lows)


def entry_question(traced: Traced) -> Question:
    """The question for a tensor of one entry."""
    variables = _Variables(Context())
    context = variables.context
    w, z = (variables.by_name.setdefault(name, z3.Real(name)) for name in ("w", "z"))
    step, parameters = variables.of_problem(traced)
    found = read(context, traced.prox, [filled(traced.shape, Number(w)), step, *parameters], traced.shape)
    prox = number(found.item())

    def psi(point: Number) -> Number:
        return number(read(context, traced.value, [filled(traced.shape, point), *parameters], ())[()])

    def objective(point: Number, value: Number) -> Number:
        away = x.subtract(point, Number(w))
        return _objective(number(step[()]), value, x.multiply(away, away))

    finite = Number(prox.term)
    at_prox, at_z = psi(finite), psi(Number(z))
    best, rival = objective(finite, at_prox), objective(Number(z), at_z)
    undefined = disjunction(negation(prox.finite), at_prox.nan)
    return Question(
        context, variables.by_name, variables.assumptions, prox, psi(Number(w)),
        undefined, x.less_than(rival, best), x.subtract(best, rival),
    )  # fmt: skip


def group_question(traced: Traced) -> Question:
    """The question for one group of entries, whose prox is a multiple of w and whose psi is a function of the norm.

    Of all z with one norm the one along w is nearest to w, so no other has to be asked about: z = rho*w/||w||.
    """
    variables = _Variables(Context())
    context = variables.context
    step, parameters = variables.of_problem(traced)
    group, of_w = Group.named("w", traced.count)
    rival, of_z = Group.named("z", traced.count)
    variables.assumptions += of_w + of_z
    named = {"w": group.norm, "z": rival.norm, "largest of w": group.largest, "largest of z": rival.largest}
    variables.by_name.update({name: each.term for name, each in named.items()})
    found = read(
        context, traced.prox, [_entries(traced, group, constant(Fraction(1))), step, *parameters], traced.shape
    )
    factor = _common_factor(list(found.flat), group)

    def psi(scale: Number, which: Group) -> Number:
        inputs = [_entries(traced, which, scale), *parameters]
        return number(read(context, traced.value, inputs, ())[()])

    one = constant(Fraction(1))
    finite = Number(factor.term)
    at_prox, at_z = psi(finite, group), psi(one, rival)
    moved = x.multiply(x.subtract(finite, one), group.norm)
    away = x.subtract(rival.norm, group.norm)
    best = _objective(number(step[()]), at_prox, x.multiply(moved, moved))
    other = _objective(number(step[()]), at_z, x.multiply(away, away))
    # At r = 0 every factor gives the same point, zero, but infinity and what is no number.
    undefined = disjunction(negation(factor.finite), at_prox.nan)
    return Question(
        context, variables.by_name, variables.assumptions, factor, psi(one, group),
        undefined, x.less_than(other, best), x.subtract(best, other), group=True,
    )  # fmt: skip


def separability_question(one: Traced, two: Traced) -> Question:
    """Whether prox and value of two entries can be anything but those of each entry, and their sum."""
    variables = _Variables(Context())
    context = variables.context
    step, parameters = variables.of_problem(one)
    entries = [variables.by_name.setdefault(name, z3.Real(name)) for name in ("w", "z")]
    pair = np.empty(two.shape, dtype=object)
    for place, entry in zip(np.ndindex(*two.shape), entries, strict=True):
        pair[place] = Number(entry)
    together = list(read(context, two.prox, [pair, step, *parameters], two.shape).flat)
    total = number(read(context, two.value, [pair, *parameters], ())[()])
    differs: list[Truth] = []
    alone: Number = constant(Fraction(0))
    for entry, found in zip(entries, together, strict=True):
        single = filled(one.shape, Number(entry))
        proximal = read(context, one.prox, [single, step, *parameters], one.shape)
        differs.append(_differ(number(found), number(proximal.item())))
        alone = x.add(alone, number(read(context, one.value, [single, *parameters], ())[()]))
    differs.append(_differ(total, alone))
    different = disjunction(*differs)
    return Question(context, variables.by_name, variables.assumptions, together[0], total, False, different, None)


def _differ(one: Number, other: Number) -> Truth:
    if alike(one, other):
        return False
    both_none = z3.And(boolean(one.nan), boolean(other.nan))
    return negation(disjunction(both_none, x.equals(one, other)))


def _objective(step: Number, value: Number, square: Number) -> Number:
    return x.add(x.multiply(step, value), x.multiply(constant(Fraction(1, 2)), square))


def _entries(traced: Traced, group: Group, scale: Number) -> Array:
    found = np.empty(traced.shape, dtype=object)
    for index in range(traced.count):
        found.reshape(-1)[index] = Part(ALONG, scale, index, group)
    return found


def _common_factor(entries: list[Any], group: Group) -> Number:
    """The factor h of prox(w) = h*w. Raises Coupled where the entries are no common multiple of those of w."""
    zero = constant(Fraction(0))
    factors = []
    for index, entry in enumerate(entries):
        if isinstance(entry, Number) and x.equals(entry, zero) is True:
            factors.append(zero)
        elif isinstance(entry, Part) and entry.kind == ALONG and entry.index == index and entry.group is group:
            factors.append(entry.coefficient)
        else:
            raise Coupled("its prox is no multiple of the group")
    if not all(alike(factor, factors[0]) for factor in factors):
        raise Coupled("its prox multiplies the entries of a group by different factors")
    return factors[0]
