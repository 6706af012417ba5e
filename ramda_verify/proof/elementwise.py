"""What torch's entrywise operations do to one element: a number, a truth value, or a multiple of a group's entry."""

from collections.abc import Callable
from fractions import Fraction

from ramda_verify.proof import angles
from ramda_verify.proof import extended as x
from ramda_verify.proof import groups as g
from ramda_verify.proof.extended import ONE, ZERO, Number, as_number, constant
from ramda_verify.proof.groups import Coupled, Element, Part
from ramda_verify.proof.terms import Context, Truth, choice_of_truths, conjunction, disjunction, negation

#: The largest numerator and denominator of an exponent.
MAX_EXPONENT = 8


class Unreadable(Exception):
    """An operation that has no reading in real arithmetic; the message names it."""


def number(element: Element) -> Number:
    """An element as a number: truth values count 0 and 1."""
    if isinstance(element, Part):
        raise Coupled("it looks at single entries of a group")
    return element if isinstance(element, Number) else as_number(element)


def truth(element: Element) -> Truth:
    """An element as a truth value: numbers hold where they are not zero."""
    if isinstance(element, Part):
        raise Coupled("it looks at single entries of a group")
    return negation(element.zero) if isinstance(element, Number) else element


def _are_truths(*elements: Element) -> bool:
    """Whether torch gives a truth value for their sum (either) and product (both)."""
    return not any(isinstance(element, Number | Part) for element in elements)


def add(context: Context, a: Element, b: Element) -> Element:
    if isinstance(a, Part) or isinstance(b, Part):
        return g.summed(a, b)
    if _are_truths(a, b):
        return disjunction(a, b)
    return angles.with_sum(x.add(number(a), number(b)), number(a), number(b))


def negate(context: Context, a: Element) -> Element:
    return multiply(context, constant(-ONE), a)


def subtract(context: Context, a: Element, b: Element) -> Element:
    return add(context, a, negate(context, b))


def multiply(context: Context, a: Element, b: Element) -> Element:
    if isinstance(a, Part) or isinstance(b, Part):
        part, factor = (a, b) if isinstance(a, Part) else (b, a)
        assert isinstance(part, Part)
        return g.scaled(part, factor if isinstance(factor, Part) else number(factor))
    if _are_truths(a, b):
        return conjunction(a, b)
    one, other = number(a), number(b)
    found = x.multiply_roots(context, one, other)
    return angles.with_multiple(angles.with_multiple(found, one, other), other, one)


def divide(context: Context, a: Element, b: Element) -> Element:
    if isinstance(a, Part) or isinstance(b, Part):
        return g.divided(context, a, b if isinstance(b, Part) else number(b))
    if isinstance(b, Number) and isinstance(b.term, Fraction) and b.finite is True and b.term != 0:
        return multiply(context, a, constant(1 / b.term))
    return x.divide(context, number(a), number(b))


def magnitude(context: Context, a: Element) -> Element:
    return g.size(a) if isinstance(a, Part) else x.magnitude(number(a))


def square(context: Context, a: Element) -> Element:
    return multiply(context, a, a)


def square_root(context: Context, a: Element) -> Element:
    return g.root_of(context, a) if isinstance(a, Part) else x.square_root(context, number(a))


def reciprocal(context: Context, a: Element) -> Element:
    return divide(context, constant(ONE), a)


def power(context: Context, a: Element, exponent: Element) -> Element:
    fixed = exponent.term if isinstance(exponent, Number) and exponent.finite is True else None
    if not isinstance(fixed, Fraction):
        raise Unreadable("a power whose exponent is no constant")
    if fixed.denominator > MAX_EXPONENT or abs(fixed.numerator) > MAX_EXPONENT:
        raise Unreadable(f"a power of exponent {float(fixed):g}")
    if isinstance(a, Part):
        if fixed not in (1, 2, Fraction(1, 2)):
            raise Coupled(f"it raises single entries to the power {float(fixed):g}")
        return a if fixed == 1 else square(context, a) if fixed == 2 else g.root_of(context, a)
    return x.power(context, number(a), fixed)


def where(context: Context, condition: Element, a: Element, b: Element) -> Element:
    held = truth(condition)
    if isinstance(a, Part) or isinstance(b, Part):
        return g.chosen(held, a, b)
    if isinstance(a, Number) or isinstance(b, Number):
        return x.where(held, number(a), number(b))
    return choice_of_truths(held, a, b)


def sign(context: Context, a: Element) -> Element:
    return x.sign(number(a))


def relu(context: Context, a: Element) -> Element:
    return x.maximum(number(a), constant(ZERO))


def maximum(context: Context, a: Element, b: Element) -> Element:
    return disjunction(a, b) if _are_truths(a, b) else x.maximum(number(a), number(b))


def minimum(context: Context, a: Element, b: Element) -> Element:
    return conjunction(a, b) if _are_truths(a, b) else x.minimum(number(a), number(b))


def ignoring_nan(choose: Callable[[Number, Number], Number]) -> Callable[..., Element]:
    """fmax and fmin: the other number where one is none."""

    def pick(context: Context, a: Element, b: Element) -> Element:
        one, other = number(a), number(b)
        return x.where(one.nan, other, x.where(other.nan, one, choose(one, other)))

    return pick


def clamp(context: Context, a: Element, low: Element | None = None, high: Element | None = None) -> Element:
    """``min(max(a, low), high)``: the upper bound wins where the two cross, as in torch."""
    found = number(a)
    if low is not None:
        found = x.maximum(found, number(low))
    return found if high is None else x.minimum(found, number(high))


def arc_cosine(context: Context, a: Element) -> Element:
    return angles.arccosine(context, number(a))


def circular(rule: Callable[[Context, Number], Number | None], name: str) -> Callable[..., Element]:
    """cos and sin of what is an angle by its arccosine."""

    def apply(context: Context, a: Element) -> Element:
        found = rule(context, number(a))
        if found is None:
            raise Unreadable(f"the {name} of what is no simple part of an arccosine")
        return found

    return apply


def heaviside(context: Context, a: Element, at_zero: Element) -> Element:
    one = number(a)
    return x.where(one.zero, number(at_zero), as_number(one.positive))


def copy_sign(context: Context, a: Element, b: Element) -> Element:
    size, other = x.magnitude(number(a)), number(b)
    return x.where(x.upright(context, other), size, x.negative(size))


def hypotenuse(context: Context, a: Element, b: Element) -> Element:
    """An infinite side counts even where the other is no number, as in C."""
    one, other = number(a), number(b)
    found = x.square_root(context, x.add(x.multiply(one, one), x.multiply(other, other)))
    return x.where(disjunction(one.infinite, other.infinite), x.INF, found)


def replace_nan(context: Context, a: Element, nan: Element | None = None) -> Element:
    """``nan_to_num``, but for infinities, which torch turns into the largest number of the dtype."""
    found = number(a)
    if found.infinite is not False:
        raise Unreadable("nan_to_num of what may be infinite")
    return x.where(found.nan, constant(ZERO) if nan is None else number(nan), found)


def compared(relation: Callable[[Number, Number], Truth]) -> Callable[..., Element]:
    def compare(context: Context, a: Element, b: Element) -> Element:
        return relation(number(a), number(b))

    return compare


def logical(rule: Callable[..., Truth], *, only_truths: bool) -> Callable[..., Element]:
    """A rule of truth values; bitwise operations mean the same only where both are truth values already."""

    def apply(context: Context, *elements: Element) -> Element:
        if only_truths and any(isinstance(element, Number | Part) for element in elements):
            raise Unreadable("a bitwise operation on numbers")
        return rule(*map(truth, elements))

    return apply


def differ(one: Truth, other: Truth) -> Truth:
    return choice_of_truths(one, negation(other), other)


def asked(question: Callable[[Number], Truth]) -> Callable[..., Element]:
    def ask(context: Context, a: Element) -> Element:
        return question(number(a))

    return ask


ELEMENTWISE: dict[str, Callable[..., Element]] = {
    "neg": negate,
    "abs": magnitude,
    "square": square,
    "sqrt": square_root,
    "rsqrt": lambda context, a: reciprocal(context, square_root(context, a)),
    "reciprocal": reciprocal,
    "sign": sign,
    "sgn": sign,
    "relu": relu,
    "isnan": asked(lambda a: a.nan),
    "isinf": asked(lambda a: a.infinite),
    "isfinite": asked(lambda a: a.finite),
    "isposinf": asked(lambda a: a.up),
    "isneginf": asked(lambda a: a.down),
    "logical_not": logical(negation, only_truths=False),
    "bitwise_not": logical(negation, only_truths=True),
    "nan_to_num": replace_nan,
    "mul": multiply,
    "maximum": maximum,
    "minimum": minimum,
    "fmax": ignoring_nan(x.maximum),
    "fmin": ignoring_nan(x.minimum),
    "pow": power,
    "hypot": hypotenuse,
    "acos": arc_cosine,
    "cos": circular(angles.cosine, "cosine"),
    "sin": circular(angles.sine, "sine"),
    "heaviside": heaviside,
    "copysign": copy_sign,
    "lt": compared(x.less_than),
    "le": compared(x.at_most),
    "gt": compared(lambda a, b: x.less_than(b, a)),
    "ge": compared(lambda a, b: x.at_most(b, a)),
    "eq": compared(x.equals),
    "ne": compared(lambda a, b: negation(x.equals(a, b))),
    "logical_and": logical(conjunction, only_truths=False),
    "logical_or": logical(disjunction, only_truths=False),
    "logical_xor": logical(differ, only_truths=False),
    "bitwise_and": logical(conjunction, only_truths=True),
    "bitwise_or": logical(disjunction, only_truths=True),
    "bitwise_xor": logical(differ, only_truths=True),
    "where": where,
    "clamp": clamp,
    "clamp_min": lambda context, a, low: clamp(context, a, low),
    "clamp_max": lambda context, a, high: clamp(context, a, None, high),
}
