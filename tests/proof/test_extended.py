"""Arithmetic of extended numbers compared with that of torch: infinities, what is no number, and both zeros."""

import itertools
import math
from fractions import Fraction

import pytest
import torch
import z3

from ramda_verify.proof import extended as x
from ramda_verify.proof.evaluation import evaluate
from ramda_verify.proof.extended import INF, NAN, Number, constant
from ramda_verify.proof.terms import Context

VALUES = (-math.inf, -2.0, 0.0, 0.5, math.inf, math.nan)
w, v = z3.Real("w"), z3.Real("v")
W, V, ONE = Number(w), Number(v), constant(Fraction(1))


def as_constant(value: float) -> Number:
    if math.isnan(value):
        return NAN
    return constant(Fraction(value)) if math.isfinite(value) else INF if value > 0 else x.negative(INF)


def as_variable(name: str) -> Number:
    return Number(z3.Real(name), *(z3.Bool(f"{name} is {kind}") for kind in ("nan", "up", "down")))


def inputs_of(**values: float) -> dict[str, float]:
    """What the variables of ``as_variable`` are for these numbers."""
    found: dict[str, float] = {}
    for name, value in values.items():
        found[name] = value if math.isfinite(value) else 7.0
        found[f"{name} is nan"], found[f"{name} is up"] = math.isnan(value), value == math.inf
        found[f"{name} is down"] = value == -math.inf
    return found


def alike(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-12) or (math.isnan(one) and math.isnan(other))


#: Rules of two numbers, and what torch has for them.
PAIRS = {
    "add": (lambda context, a, b: x.add(a, b), torch.add),
    "subtract": (lambda context, a, b: x.subtract(a, b), torch.sub),
    "multiply": (lambda context, a, b: x.multiply(a, b), torch.mul),
    "multiply roots": (x.multiply_roots, torch.mul),
    "divide": (x.divide, torch.div),
    "maximum": (lambda context, a, b: x.maximum(a, b), torch.maximum),
    "minimum": (lambda context, a, b: x.minimum(a, b), torch.minimum),
    "less than": (lambda context, a, b: x.as_number(x.less_than(a, b)), torch.lt),
    "at most": (lambda context, a, b: x.as_number(x.at_most(a, b)), torch.le),
    "equals": (lambda context, a, b: x.as_number(x.equals(a, b)), torch.eq),
    "where": (lambda context, a, b: x.where(x.less_than(a, ONE), a, b), lambda a, b: torch.where(a < 1, a, b)),
    "sign of a zero": (
        lambda context, a, b: x.where(x.upright(context, b), a, x.negative(a)),
        lambda a, b: torch.where((b > 0) | ((b == 0) & ~b.signbit()), a, -a),
    ),
}


@pytest.mark.parametrize("rule", PAIRS)
def test_two_numbers_give_what_torch_gives(rule):
    """As constants, as variables, and as one of each."""
    ours, of_torch = PAIRS[rule]
    context = Context()
    both = ours(context, as_variable("a"), as_variable("b"))
    for a, b in itertools.product(VALUES, (*VALUES, -0.0)):
        truth = float(of_torch(torch.tensor(a, dtype=torch.float64), torch.tensor(b, dtype=torch.float64)))
        readings = [evaluate(context, both, inputs_of(a=a, b=b))]
        if b != 0 or math.copysign(1, b) > 0:
            of_constants = ours(context, as_constant(a), as_constant(b))
            assert isinstance(of_constants.term, Fraction)
            readings += [
                evaluate(context, of_constants, {}),
                evaluate(context, ours(context, as_variable("a"), as_constant(b)), inputs_of(a=a)),
            ]
        readings.append(evaluate(context, ours(context, as_constant(a), as_variable("b")), inputs_of(b=b)))
        assert all(alike(reading, truth) for reading in readings), (a, b, truth, readings)


@pytest.mark.parametrize("rule", PAIRS)
def test_the_term_may_be_known_where_it_is_not_whether_it_counts(rule):
    ours, of_torch = PAIRS[rule]
    context = Context()
    one, other = (Number(Fraction(2), *(z3.Bool(f"{n} is {kind}") for kind in ("nan", "up", "down"))) for n in "ab")
    read = ours(context, one, other)
    for a, b in itertools.product((2.0, math.inf, -math.inf, math.nan), repeat=2):
        truth = float(of_torch(torch.tensor(a), torch.tensor(b)))
        assert alike(evaluate(context, read, inputs_of(a=a, b=b)), truth), (a, b)


def of_power(exponent: str):
    fraction = Fraction(exponent)
    return lambda context, a: x.power(context, a, fraction), lambda a: a ** float(fraction)


SINGLE = {
    "negative": (lambda context, a: x.negative(a), torch.neg),
    "magnitude": (lambda context, a: x.magnitude(a), torch.abs),
    "sign": (lambda context, a: x.sign(a), torch.sign),
    "square": (lambda context, a: x.multiply(a, a), torch.square),
    "square root": (x.square_root, torch.sqrt),
    "root of a square": (lambda context, a: x.square_root(context, x.multiply(a, a)), torch.abs),
    "cube root": (
        lambda context, a: x.root(context, a, 3),
        lambda a: torch.where(a == -math.inf, math.nan, a ** (1 / 3)),
    ),
    "positive": (lambda context, a: x.as_number(a.positive), lambda a: a > 0),
    "negative?": (lambda context, a: x.as_number(a.negative), lambda a: a < 0),
    "zero": (lambda context, a: x.as_number(a.zero), lambda a: a == 0),
    "finite": (lambda context, a: x.as_number(a.finite), torch.isfinite),
    "infinite": (lambda context, a: x.as_number(a.infinite), torch.isinf),
    **{f"to the {p}": of_power(p) for p in ("0", "1", "2", "3", "5", "-1", "-2", "-3", "1/2", "1/3", "2/3", "3/2")},
    **{f"to the {p}": of_power(p) for p in ("3/4", "5/3", "-1/2", "-2/3")},
}  # fmt: skip


@pytest.mark.parametrize("rule", SINGLE)
def test_one_number_gives_what_torch_gives(rule):
    ours, of_torch = SINGLE[rule]
    context = Context()
    read = ours(context, as_variable("a"))
    for a in (*VALUES, -0.5, 1.0, 8.0, 2.25):
        truth = float(of_torch(torch.tensor(a, dtype=torch.float64)))
        assert alike(evaluate(context, read, inputs_of(a=a)), truth), (a, truth)
        assert alike(evaluate(context, ours(context, as_constant(a)), {}), truth), (a, truth)


def possible(context: Context, *truths) -> bool:
    """Whether all of it may hold for some w and v."""
    solver = z3.Solver()
    solver.add(*(side.condition for side in context.sides), *map(z3.simplify, map(z3.And, truths)))
    return solver.check() == z3.sat


SIZE, OTHER_SIZE = x.magnitude(W), x.magnitude(V)
HELD = v > 5


@pytest.mark.parametrize(
    "below",
    [
        lambda context: SIZE,
        lambda context: x.multiply(W, W),
        lambda context: x.add(SIZE, OTHER_SIZE),
        lambda context: x.multiply(SIZE, OTHER_SIZE),
        lambda context: x.multiply(constant(Fraction(2)), SIZE),
        lambda context: x.multiply(constant(Fraction(1, 2)), SIZE),
        lambda context: x.divide(context, SIZE, constant(Fraction(2))),
        lambda context: x.divide(context, SIZE, OTHER_SIZE),
        lambda context: x.square_root(context, SIZE),
        lambda context: x.root(context, SIZE, 3),
        lambda context: x.power(context, SIZE, Fraction(3, 2)),
        lambda context: x.where(HELD, SIZE, OTHER_SIZE),
        lambda context: x.where(HELD, SIZE, constant(Fraction(0))),
        lambda context: x.as_number(w > 0),
    ],
)
def test_a_zero_that_is_known_to_be_positive_divides_to_plus_infinity(below):
    context = Context()
    under = below(context)
    found = x.divide(context, ONE, under)
    assert possible(context, found.up)
    assert not possible(context, found.down)


@pytest.mark.parametrize(
    "below",
    [
        lambda context: W,
        lambda context: x.negative(SIZE),
        lambda context: x.multiply(constant(Fraction(-1)), SIZE),
        lambda context: x.multiply(constant(Fraction(-1, 2)), SIZE),
        lambda context: x.multiply(W, OTHER_SIZE),
        lambda context: x.multiply(OTHER_SIZE, W),
        lambda context: x.multiply(W, V),
        lambda context: x.add(W, SIZE),
        lambda context: x.add(SIZE, W),
        lambda context: x.divide(context, SIZE, V),
        lambda context: x.divide(context, W, OTHER_SIZE),
        lambda context: x.divide(context, SIZE, constant(Fraction(-2))),
        lambda context: x.where(HELD, W, SIZE),
        lambda context: x.where(HELD, SIZE, W),
        lambda context: x.sign(W),
        lambda context: x.square_root(context, W),
    ],
)
def test_any_other_zero_divides_to_either_infinity(below):
    context = Context()
    under = below(context)
    found = x.divide(context, ONE, under)
    assert possible(context, found.up, under.zero)
    assert possible(context, found.down, under.zero)


def test_constants_that_are_zero_are_plus_zero():
    context = Context()
    assert x.divide(context, ONE, constant(Fraction(0))).up is True
    assert x.divide(context, W, constant(Fraction(0))).down is not True
    assert not context.definitions


def test_the_root_of_a_square_needs_no_variable():
    context = Context()
    for found in (
        x.square_root(context, x.multiply(W, W)),
        x.power(context, x.power(context, W, Fraction(2)), Fraction(1, 2)),
    ):
        assert not context.definitions
        assert found.nan is False
        assert not possible(context, found.term != z3.If(w < 0, -w, w))
    x.square_root(context, x.multiply(W, V))
    assert len(context.definitions) == 1


def test_products_of_roots_of_one_degree_are_one_root():
    context = Context()
    two, four = (x.root(context, constant(Fraction(number)), 3) for number in (2, 4))
    assert x.multiply_roots(context, two, four).term == 2
    third = x.multiply_roots(context, x.multiply_roots(context, two, two), two)
    assert third.term == 2
    fourth = x.root(context, constant(Fraction(2)), 4)
    assert x.multiply_roots(context, two, fourth).radical is None
    assert math.isclose(evaluate(context, x.multiply_roots(context, two, fourth), {}), 2 ** (7 / 12))
    assert math.isclose(evaluate(context, x.multiply_roots(context, two, W), {"w": 3.0}), 3 * 2 ** (1 / 3))
    assert math.isclose(evaluate(context, x.multiply_roots(context, W, two), {"w": 3.0}), 3 * 2 ** (1 / 3))


def test_square_roots_are_multiplied_as_they_are():
    context = Context()
    one, other = x.square_root(context, W), x.square_root(context, V)
    x.multiply_roots(context, one, other)
    assert len(context.definitions) == 2


@pytest.mark.parametrize("cosine", [-1.0, -0.7, -0.1, 0.0, 0.3, 0.9, 1.0])
@pytest.mark.parametrize(
    ("degree", "low", "high"), [(1, -1, 1), (2, 0, 1), (2, -1, 0), (3, 0.5, 1), (3, -0.5, 0.5), (3, -1, -0.5)]
)
def test_what_is_stated_of_a_part_of_an_angle_holds_of_it_alone(degree, low, high, cosine):
    """Its cosine lies in an interval on which the polynomial that makes the angle whole again is monotone."""
    context = Context()
    root = context.chebyshev_root(Fraction(cosine), degree, Fraction(low), Fraction(high))
    angles = [(sign * math.acos(cosine) + turns * 2 * math.pi) / degree for sign in (1, -1) for turns in range(3)]
    (right,) = {round(math.cos(angle), 9) for angle in angles if low - 1e-9 <= math.cos(angle) <= high + 1e-9}
    solver = z3.Solver()
    solver.add(*(side.condition for side in context.sides))
    assert solver.check() == z3.sat
    solver.add(z3.Or(root < right - 1e-7, root > right + 1e-7))
    assert solver.check() == z3.unsat
