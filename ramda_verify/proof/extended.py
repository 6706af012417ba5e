"""Numbers as floating point has them, but exact: a real, +inf, -inf or not a number.

Which of the four a number is stands in three truth values beside its term, so that ``where`` may choose between a
finite branch and one that divided by zero, as in torch. Rounding, overflow and underflow have no place here.
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from ramda_verify.proof.terms import (
    Context,
    Term,
    Truth,
    choice,
    choice_of_truths,
    conjunction,
    disjunction,
    equal,
    less,
    negation,
    plus,
    times,
)

if TYPE_CHECKING:
    from ramda_verify.proof.angles import Angle

ZERO, ONE = Fraction(0), Fraction(1)


@dataclass(frozen=True, eq=False)
class Number:
    """``term`` is its value where none of ``nan``, ``up`` (+inf) and ``down`` (-inf) holds; at most one of them does.

    ``plus_zero``: a zero is +0, as that of an absolute value. ``root``: a number whose square this is by construction.
    ``angle``: the angle that it is, see ``angles``. ``radical``: (x, n) of an n-th root of x, n > 2.
    """

    term: Term
    nan: Truth = False
    up: Truth = False
    down: Truth = False
    plus_zero: bool = False
    root: "Number | None" = None
    angle: "Angle | None" = None
    radical: tuple[Term, int] | None = None

    @property
    def infinite(self) -> Truth:
        return disjunction(self.up, self.down)

    @property
    def finite(self) -> Truth:
        return negation(disjunction(self.nan, self.up, self.down))

    @property
    def positive(self) -> Truth:
        return disjunction(self.up, conjunction(self.finite, less(ZERO, self.term)))

    @property
    def negative(self) -> Truth:
        return disjunction(self.down, conjunction(self.finite, less(self.term, ZERO)))

    @property
    def zero(self) -> Truth:
        return conjunction(self.finite, equal(self.term, ZERO))


def constant(value: Fraction) -> Number:
    return Number(value, plus_zero=value >= 0)


NAN, INF = Number(ZERO, nan=True), Number(ZERO, up=True)


def negative(a: Number) -> Number:
    return Number(times(Fraction(-1), a.term), a.nan, a.down, a.up)


def add(a: Number, b: Number) -> Number:
    opposite = disjunction(conjunction(a.up, b.down), conjunction(a.down, b.up))
    nan = disjunction(a.nan, b.nan, opposite)
    up, down = (conjunction(disjunction(*sides), negation(nan)) for sides in ((a.up, b.up), (a.down, b.down)))
    return Number(plus(a.term, b.term), nan, up, down, a.plus_zero and b.plus_zero)


def subtract(a: Number, b: Number) -> Number:
    return add(a, negative(b))


def multiply(a: Number, b: Number) -> Number:
    nan = disjunction(a.nan, b.nan, conjunction(a.infinite, b.zero), conjunction(b.infinite, a.zero))
    infinite = conjunction(disjunction(a.infinite, b.infinite), negation(nan))
    alike = disjunction(conjunction(a.positive, b.positive), conjunction(a.negative, b.negative))
    up, down = conjunction(infinite, alike), conjunction(infinite, negation(alike))
    square = a is b
    return Number(
        times(a.term, b.term), nan, up, down, square or (a.plus_zero and b.plus_zero), root=a if square else None
    )


def upright(context: Context, a: Number) -> Truth:
    """Whether its sign is a plus: it is positive, or +0."""
    plus_zero = True if a.plus_zero else context.sign_of_zero(a.term)
    return disjunction(a.positive, conjunction(a.zero, plus_zero))


def divide(context: Context, a: Number, b: Number) -> Number:
    nan = disjunction(a.nan, b.nan, conjunction(a.infinite, b.infinite), conjunction(a.zero, b.zero))
    infinite = conjunction(negation(nan), disjunction(a.infinite, b.zero))
    alike = choice_of_truths(upright(context, b), a.positive, a.negative)
    term = choice(b.infinite, ZERO, context.quotient(a.term, b.term))
    up, down = conjunction(infinite, alike), conjunction(infinite, negation(alike))
    return Number(term, nan, up, down, a.plus_zero and b.plus_zero)


def where(condition: Truth, a: Number, b: Number) -> Number:
    if isinstance(condition, bool):
        return a if condition else b
    return Number(
        choice(condition, a.term, b.term),
        choice_of_truths(condition, a.nan, b.nan),
        choice_of_truths(condition, a.up, b.up),
        choice_of_truths(condition, a.down, b.down),
        a.plus_zero and b.plus_zero,
    )


def less_than(a: Number, b: Number) -> Truth:
    finite = conjunction(a.finite, b.finite, less(a.term, b.term))
    below = conjunction(a.down, negation(disjunction(b.down, b.nan)))
    above = conjunction(b.up, negation(disjunction(a.up, a.nan)))
    return disjunction(finite, below, above)


def equals(a: Number, b: Number) -> Truth:
    finite = conjunction(a.finite, b.finite, equal(a.term, b.term))
    return disjunction(finite, conjunction(a.up, b.up), conjunction(a.down, b.down))


def at_most(a: Number, b: Number) -> Truth:
    return conjunction(negation(disjunction(a.nan, b.nan)), negation(less_than(b, a)))


def magnitude(a: Number) -> Number:
    term = choice(less(a.term, ZERO), times(Fraction(-1), a.term), a.term)
    return Number(term, a.nan, a.infinite, False, plus_zero=True)


def sign(a: Number) -> Number:
    """-1, 0 or 1; torch gives 0 for what is not a number."""
    one = choice(a.positive, ONE, choice(a.negative, Fraction(-1), ZERO))
    return Number(one)


def maximum(a: Number, b: Number) -> Number:
    """The larger one; not a number where one of the two is none."""
    nan = disjunction(a.nan, b.nan)
    found = where(less_than(a, b), b, a)
    return replace(found, nan=nan, up=conjunction(found.up, negation(nan)), down=conjunction(found.down, negation(nan)))


def minimum(a: Number, b: Number) -> Number:
    return negative(maximum(negative(a), negative(b)))


def square_root(context: Context, a: Number) -> Number:
    if a.root is not None:
        return magnitude(a.root)
    return root(context, a, 2)


def root(context: Context, a: Number, degree: int) -> Number:
    """The nonnegative root; what is negative has none."""
    nan = disjunction(a.nan, a.negative)
    radical = (a.term, degree) if degree > 2 else None
    return Number(context.root(a.term, degree), nan, a.up, False, plus_zero=a.plus_zero, radical=radical)


def multiply_roots(context: Context, a: Number, b: Number) -> Number:
    """The product, as one root where both are roots of one degree: a root of 2 times a root of 4 is a root of 8."""
    found = multiply(a, b)
    if a.radical is None or b.radical is None or a.radical[1] != b.radical[1]:
        return found
    under, degree = times(a.radical[0], b.radical[0]), a.radical[1]
    return replace(found, term=context.root(under, degree), radical=(under, degree))


def power(context: Context, a: Number, exponent: Fraction) -> Number:
    """``a ** exponent`` for a fraction of small numerator and denominator; -inf to a broken power is +inf in C."""
    if exponent < 0:
        return divide(context, constant(ONE), power(context, a, -exponent))
    if not exponent:
        return constant(ONE)
    base = a
    if exponent.denominator > 1:
        base = square_root(context, a) if exponent.denominator == 2 else root(context, a, exponent.denominator)
        if exponent != Fraction(1, 2):
            base = replace(base, nan=conjunction(base.nan, negation(a.down)), up=a.infinite)
    found = base
    for _ in range(exponent.numerator - 1):
        found = multiply_roots(context, base, found)
    return found


def as_number(truth: Truth) -> Number:
    """1 where it holds, else 0."""
    return Number(choice(truth, ONE, ZERO), plus_zero=True)
