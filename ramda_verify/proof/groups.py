"""Entries of a group as multiples of the input's: what only uses the norm of a group never looks at one of them.

The entries of one group are ``a*w_i``, ``a*|w_i|`` or ``a*w_i^2`` with one coefficient ``a`` for the group; sums of
squares and norms of all of them are functions of ``r = ||w||``. Whatever looks at a single entry is no such function.
"""

from dataclasses import dataclass, replace
from fractions import Fraction

import z3

from ramda_verify.proof.extended import (
    ZERO,
    Number,
    add,
    constant,
    divide,
    equals,
    magnitude,
    multiply,
    negative,
    square_root,
    where,
)
from ramda_verify.proof.terms import Context, Truth, same

ALONG, SIZE, SQUARE = "w_i", "|w_i|", "w_i^2"


class Coupled(Exception):
    """The code is neither a function of single entries nor of the norm of one group; the message says where."""


@dataclass(frozen=True, eq=False)
class Group:
    """``count`` entries of norm r = ``norm``, the largest of size ``largest``, between r/sqrt(count) and r."""

    count: int
    norm: Number
    largest: Number

    @staticmethod
    def named(name: str, count: int) -> tuple["Group", list[z3.BoolRef]]:
        """A group of variables, and what holds of them."""
        norm, largest = z3.Real(name), z3.Real(f"largest of {name}")
        group = Group(count, Number(norm, plus_zero=True), Number(largest, plus_zero=True))
        return group, [norm >= 0, largest >= 0, largest <= norm, count * largest * largest >= norm * norm]


@dataclass(frozen=True, eq=False)
class Part:
    """One entry of a tensor: ``coefficient`` times the entry of this ``index``, or its size, or its square."""

    kind: str
    coefficient: Number
    index: int
    group: Group


Element = Number | Truth | Part


def scaled(part: Part, factor: Element) -> Part:
    if not isinstance(factor, Part):
        return replace(part, coefficient=multiply(part.coefficient, factor))
    alike = part.kind == factor.kind and part.kind != SQUARE and part.index == factor.index
    if not (alike and part.group is factor.group):
        raise Coupled("it multiplies entries of one group with one another")
    return replace(part, kind=SQUARE, coefficient=multiply(part.coefficient, factor.coefficient))


def divided(context: Context, part: Element, by: Element) -> Part:
    if isinstance(by, Part) or not isinstance(part, Part):
        raise Coupled("it divides by single entries of a group")
    return replace(part, coefficient=divide(context, part.coefficient, by))


def summed(one: Element, other: Element) -> Part:
    one, other = _alike(one, other)
    return replace(one, coefficient=add(one.coefficient, other.coefficient))


def chosen(condition: Truth, yes: Element, no: Element) -> Part:
    yes, no = _alike(yes, no)
    return replace(yes, coefficient=where(condition, yes.coefficient, no.coefficient))


def _alike(one: Element, other: Element) -> tuple[Part, Part]:
    """Both as multiples of the same entry; the constant zero is one of any."""
    if not isinstance(one, Part):
        other, one = _alike(other, one)
        return one, other
    if isinstance(other, Number) and equals(other, constant(ZERO)) is True:
        return one, replace(one, coefficient=constant(ZERO))
    if isinstance(other, Part) and (one.kind, one.index, one.group) == (other.kind, other.index, other.group):
        return one, other
    raise Coupled("it adds to the entries of a group what is no multiple of them")


def negated(part: Part) -> Part:
    return replace(part, coefficient=negative(part.coefficient))


def size(part: Part) -> Part:
    kind = SIZE if part.kind == ALONG else part.kind
    return replace(part, kind=kind, coefficient=magnitude(part.coefficient))


def root_of(context: Context, part: Part) -> Part:
    if part.kind != SQUARE or not part.coefficient.plus_zero:
        raise Coupled("it takes roots of single entries of a group")
    return replace(part, kind=SIZE, coefficient=square_root(context, part.coefficient))


def sum_of(parts: list[Part]) -> Number:
    """The sum over a whole group."""
    whole = _whole(parts)
    if whole.kind != SQUARE:
        raise Coupled("it sums the entries of a group, not their squares")
    weight, norm = whole.coefficient, whole.group.norm
    if weight.root is not None:
        length = multiply(weight.root, norm)
        return multiply(length, length)
    square = multiply(norm, norm)
    return square if equals(weight, constant(Fraction(1))) is True else multiply(weight, square)


def norm_of(parts: list[Part], order: float) -> Number:
    """The norm of a whole group, of order 2 or infinity."""
    whole = _whole(parts)
    if whole.kind == SQUARE or order not in (2, float("inf")):
        raise Coupled(f"it takes a norm of order {order:g}")
    length = whole.group.norm if order == 2 else whole.group.largest
    return multiply(magnitude(whole.coefficient), length)


def largest_of(parts: list[Part]) -> Number:
    whole = _whole(parts)
    if whole.kind != SIZE or not whole.coefficient.plus_zero:
        raise Coupled("it takes the largest entry of a group")
    return multiply(whole.coefficient, whole.group.largest)


def _whole(parts: list[Part]) -> Part:
    first = parts[0]
    if len({part.index for part in parts}) != len(parts) or len(parts) != first.group.count:
        raise Coupled("it reduces over a part of what is one group elsewhere")
    if not all(part.kind == first.kind and part.group is first.group for part in parts):
        raise Coupled("it reduces over different multiples of the entries")
    if not all(alike(part.coefficient, first.coefficient) for part in parts):
        raise Coupled("it weighs the entries of one group differently")
    return first


def alike(one: Number, other: Number) -> bool:
    """Whether two numbers are written alike."""
    truths = zip((one.nan, one.up, one.down), (other.nan, other.up, other.down), strict=True)
    return same(one.term, other.term) and all(
        a is b or (not isinstance(a, bool) and not isinstance(b, bool) and a.eq(b)) for a, b in truths
    )
