"""Constants are folded where terms are put together, and what is asked twice is one variable."""

from fractions import Fraction

import pytest
import z3

from ramda_verify.proof import terms as t
from ramda_verify.proof.terms import Anatomy, Context

w, v = z3.Reals("w v")
p, q = z3.Bools("p q")
ZERO, ONE, TWO = Fraction(0), Fraction(1), Fraction(2)


def written(term):
    """What folded to a constant as it is, and a formula as z3 writes it."""
    return str(term) if isinstance(term, z3.ExprRef) else term


@pytest.mark.parametrize(
    ("rule", "neutral", "last", "name"), [(t.conjunction, True, False, "And"), (t.disjunction, False, True, "Or")]
)
def test_truths_are_folded(rule, neutral, last, name):
    for some in ([], [neutral], [neutral, neutral]):
        assert rule(*some) is neutral
    for some in ([last], [p, last], [last, p, neutral], [last, last]):
        assert rule(*some) is last
    for some in ([p], [p, neutral], [neutral, neutral, p]):
        assert rule(*some) is p
    for some in ([p, q], [neutral, p, q], [p, neutral, q]):
        assert written(rule(*some)) == f"{name}(p, q)"


def test_a_negation_of_a_constant_is_one():
    assert (t.negation(True), t.negation(False), written(t.negation(p))) == (False, True, "Not(p)")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (t.plus(ONE, TWO), Fraction(3)),
        (t.plus(ZERO, w), "w"),
        (t.plus(w, ZERO), "w"),
        (t.plus(TWO, w), "2 + w"),
        (t.plus(w, TWO), "w + 2"),
        (t.plus(w, v), "w + v"),
        (t.plus(z3.RealVal(0), TWO), "0 + 2"),
        (t.times(TWO, Fraction(3)), Fraction(6)),
        (t.times(ZERO, w), ZERO),
        (t.times(w, ZERO), ZERO),
        (t.times(ONE, w), "w"),
        (t.times(w, ONE), "w"),
        (t.times(TWO, w), "2*w"),
        (t.times(w, TWO), "2*w"),
        (t.times(w, v), "w*v"),
        (t.minus(TWO, ONE), ONE),
        (t.minus(w, v), "w + -1*v"),
        (t.minus(w, ZERO), "w"),
        (t.less(ONE, TWO), True),
        (t.less(TWO, ONE), False),
        (t.less(ONE, ONE), False),
        (t.less(w, w), False),
        (t.less(w, v), "w < v"),
        (t.equal(ONE, ONE), True),
        (t.equal(ONE, TWO), False),
        (t.equal(w + 1, w + 1), True),
        (t.equal(w, v), "w == v"),
        (t.choice(True, ONE, w), ONE),
        (t.choice(False, ONE, w), "w"),
        (t.choice(p, w, w), "w"),
        (t.choice(p, TWO, TWO), TWO),
        (t.choice(p, TWO, w), "If(p, 2, w)"),
        (t.choice_of_truths(True, p, q), "p"),
        (t.choice_of_truths(False, p, q), "q"),
        (t.choice_of_truths(p, q, q), "q"),
        (t.choice_of_truths(p, True, False), "p"),
        (t.choice_of_truths(p, False, True), "Not(p)"),
        (t.choice_of_truths(p, q, False), "And(p, q)"),
        (t.choice_of_truths(p, False, q), "And(Not(p), q)"),
        (t.choice_of_truths(p, z3.Not(q), q), "If(p, Not(q), q)"),
    ],
    ids=str,
)
def test_constants_are_folded(found, expected):
    assert written(found) == expected


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [(ONE, ONE, True), (ONE, TWO, False), (w, ONE, False), (ONE, w, False), (w, v, False), (w + v, w + v, True),
     (z3.RealVal(1), ONE, False), (w + v, v + w, False)],
)  # fmt: skip
def test_terms_are_the_same_where_they_are_written_alike(one, other, alike):
    assert t.same(one, other) is alike


def test_what_is_asked_twice_is_one_variable_with_its_sides_once():
    context = Context()
    for ask in (
        lambda: context.quotient(w, v), lambda: context.quotient(ONE, v), lambda: context.root(w, 2),
        lambda: context.root(w, 3), lambda: context.angle(w), lambda: context.chebyshev_root(w, 3, ZERO, ONE),
        lambda: context.chebyshev_root(w, 3, -ONE, ONE), lambda: context.sign_of_zero(w), lambda: context.root(TWO, 2),
    ):  # fmt: skip
        defined = len(context.definitions)
        first = ask()
        sides = len(context.sides)
        assert ask().eq(first)
        assert (len(context.sides), len(context.definitions)) == (sides, defined + 1)
    assert len({str(definition.variable) for definition in context.definitions}) == 9


def test_quotients_by_constants_need_no_variable():
    context = Context()
    assert context.quotient(w, ZERO) == 0
    assert written(context.quotient(w, TWO)) == "1/2*w"
    assert context.quotient(ZERO, w) == 0
    itself = context.quotient(w, w)
    for value in (0, 3):
        assert z3.simplify(z3.substitute(itself, (w, z3.RealVal(value)))).eq(z3.RealVal(min(value, 1)))
    assert not context.definitions


def test_a_comparison_with_a_constant_holds_on_one_side():
    for value in (0, 1, 2):
        held = [t.less(w, ONE), t.less(ONE, w), t.equal(w, ONE), t.equal(ONE, w)]
        found = [z3.is_true(z3.simplify(z3.substitute(each, (w, z3.RealVal(value))))) for each in held]
        assert found == [value < 1, value > 1, value == 1, value == 1]


def values(sides, *held) -> z3.CheckSatResult:
    solver = z3.Solver()
    solver.add(*(side.condition for side in sides), *held)
    return solver.check() == z3.sat


@pytest.mark.parametrize("degree", [2, 3])
def test_a_root_is_what_its_sides_say(degree):
    context = Context()
    root = context.root(w, degree)
    half = Fraction(1, 2)
    for value, truth in ((0, 0), (1, 1), (2**degree, 2), (half**degree, half), (-1, 0), (-8, 0), (-half, 0)):
        assert values(context.sides, w == value, root == truth)
        assert not values(context.sides, w == value, root != truth)


@pytest.mark.parametrize(("degree", "low", "high"), [(1, -1, 1), (2, 0, 1), (3, Fraction(-1, 2), Fraction(1, 2))])
def test_a_part_of_what_is_no_angle_is_the_end_of_its_interval(degree, low, high):
    context = Context()
    root = context.chebyshev_root(w, degree, Fraction(low), Fraction(high))
    for value in (Fraction(-3, 2), Fraction(-101, 100), Fraction(101, 100), Fraction(3, 2)):
        assert values(context.sides, w == value, root == high)
        assert not values(context.sides, w == value, root != high)


def test_a_quotient_is_what_its_sides_say():
    context = Context()
    quotient = context.quotient(w, v)
    for above, below, truth in ((6, 3, 2), (0, 5, 0), (5, 0, 0), (-4, 2, -2)):
        assert values(context.sides, w == above, v == below, quotient == truth)
        assert not values(context.sides, w == above, v == below, quotient != truth)


def test_names_are_those_of_real_variables():
    anatomy = Anatomy()
    assert anatomy.names(z3.If(z3.And(p, w > 2), w * v, z3.RealVal(7)) + 3 > v) == {"w", "v"}
    assert anatomy.names(p) == anatomy.names(z3.RealVal(2)) == anatomy.names(z3.BoolVal(True)) == frozenset()
    assert anatomy.names(w) == {"w"}


def test_choices_are_found_however_deep():
    anatomy = Anatomy()
    inside = z3.If(w > 0, w, v)
    for term, found in ((inside, True), (z3.Not(2 * inside + v > 1), True), (w + v > 1, False), (p, False)):
        assert anatomy.has_choice(term) is found


def test_the_size_of_a_term_counts_each_part_once():
    assert Anatomy().size(w) == 1
    assert Anatomy().size(w * w) == 2
    assert Anatomy().size((w + v) * (w + v) + w) == 5
