"""Entries of a group: what is a function of its norm, compared with a tensor, and what is none."""

import math
from fractions import Fraction

import pytest
import torch
import z3

from ramda_verify.proof import elementwise as e
from ramda_verify.proof import extended as x
from ramda_verify.proof import groups as g
from ramda_verify.proof import reductions as r
from ramda_verify.proof.evaluation import evaluate
from ramda_verify.proof.extended import Number, constant
from ramda_verify.proof.groups import ALONG, SIZE, SQUARE, Coupled, Group, Part
from ramda_verify.proof.scaling import unit_cases
from ramda_verify.proof.terms import Anatomy, Context

GROUP, FACTS = Group.named("r", 3)
OTHER, _ = Group.named("s", 3)
VECTORS = [
    torch.tensor(entries, dtype=torch.float64) for entries in ((1.0, -2.0, 2.0), (0.0, 0.0, 0.0), (3.0, 0.0, 0.0))
]
ONE, TWO, ZERO = (constant(Fraction(number)) for number in (1, 2, 0))
MINUS, A = constant(Fraction(-2)), Number(z3.Real("a"))


def entry(index=0, *, kind=ALONG, coefficient=ONE, group=GROUP):
    return Part(kind, coefficient, index, group)


def entries(**which):
    return [entry(index, **which) for index in range(3)]


def squares(context, parts):
    return [e.square(context, part) for part in parts]


def times(context, parts, factor):
    return [e.multiply(context, part, factor) for part in parts]


def value(context, number, w: torch.Tensor, **more: float) -> float:
    norm = float(w.norm())
    return evaluate(context, number, {"r": norm, "largest of r": float(w.abs().max()), **more})


#: What is read of the entries, and of the tensor.
READINGS = {
    "norm": (lambda c, w: r.length(c, 2)(w), lambda w: w.norm()),
    "largest": (lambda c, w: r.length(c, math.inf)(w), lambda w: w.abs().max()),
    "largest size": (lambda c, w: r.largest([e.magnitude(c, p) for p in w]), lambda w: w.abs().max()),
    "larger size": (lambda c, w: r.largest(times(c, [g.size(p) for p in w], TWO)), lambda w: 2 * w.abs().max()),
    "sum of squares": (lambda c, w: r.total(squares(c, w)), lambda w: w.square().sum()),
    "thrice the squares": (
        lambda c, w: r.total(times(c, squares(c, w), constant(Fraction(3)))),
        lambda w: 3 * w.square().sum(),
    ),
    "twice the squares": (lambda c, w: r.total(times(c, squares(c, w), TWO)), lambda w: 2 * w.square().sum()),
    "none of the squares": (lambda c, w: r.total(times(c, squares(c, w), ZERO)), lambda w: 0 * w.square().sum()),
    "less the squares": (lambda c, w: r.total(times(c, squares(c, w), MINUS)), lambda w: -2 * w.square().sum()),
    "squares of multiples": (lambda c, w: r.total(squares(c, times(c, w, MINUS))), lambda w: 4 * w.square().sum()),
    "products of multiples": (
        lambda c, w: r.total([e.multiply(c, g.scaled(p, MINUS), g.scaled(p, TWO)) for p in w]),
        lambda w: -4 * w.square().sum(),
    ),
    "squares of sizes": (lambda c, w: r.total(squares(c, [g.size(p) for p in w])), lambda w: w.square().sum()),
    "roots of squares": (
        lambda c, w: r.largest([e.square_root(c, p) for p in times(c, squares(c, w), constant(Fraction(4)))]),
        lambda w: 2 * w.abs().max(),
    ),
    "sizes of squares": (lambda c, w: r.total([g.size(p) for p in squares(c, w)]), lambda w: w.square().sum()),
    "norm of multiples": (lambda c, w: r.length(c, 2)(times(c, w, MINUS)), lambda w: 2 * w.norm()),
    "norm of sizes": (lambda c, w: r.length(c, 2)([g.size(p) for p in w]), lambda w: w.norm()),
    "largest of multiples": (lambda c, w: r.length(c, math.inf)(times(c, w, MINUS)), lambda w: 2 * w.abs().max()),
    "norm of halves": (lambda c, w: r.length(c, 2)([e.divide(c, p, TWO) for p in w]), lambda w: w.norm() / 2),
    "norm of a sum": (
        lambda c, w: r.length(c, 2)([e.add(c, p, e.multiply(c, p, TWO)) for p in w]),
        lambda w: 3 * w.norm(),
    ),
    "norm with zero": (
        lambda c, w: r.length(c, 2)([e.add(c, ZERO, e.add(c, p, ZERO)) for p in w]),
        lambda w: w.norm(),
    ),
    "norm of a negative": (
        lambda c, w: r.length(c, 2)([g.negated(p) for p in times(c, w, TWO)]),
        lambda w: 2 * w.norm(),
    ),
    "negative plus itself": (
        lambda c, w: r.length(c, 2)([e.add(c, g.negated(p), e.multiply(c, TWO, p)) for p in w]),
        lambda w: w.norm(),
    ),
    "power 1": (lambda c, w: r.length(c, 2)([e.power(c, p, ONE) for p in w]), lambda w: w.norm()),
    "power 2": (lambda c, w: r.total([e.power(c, p, TWO) for p in w]), lambda w: w.square().sum()),
    "power 1/2": (
        lambda c, w: r.largest([e.power(c, p, constant(Fraction(1, 2))) for p in squares(c, w)]),
        lambda w: w.abs().max(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", READINGS)
def test_functions_of_a_group_are_read_as_torch_computes(name):
    ours, of_torch = READINGS[name]
    context = Context()
    found = ours(context, entries())
    for w in VECTORS:
        assert math.isclose(value(context, found, w), float(of_torch(w)), rel_tol=1e-12)


@pytest.mark.parametrize("held", [True, False])
def test_a_choice_between_a_multiple_and_zero(held):
    """Zero may stand on either side."""
    context, w = Context(), VECTORS[0]
    condition = z3.Bool("held")
    for read, share in (
        ([e.where(context, condition, p, ZERO) for p in entries()], 1 if held else 0),
        ([e.where(context, condition, ZERO, p) for p in entries()], 0 if held else 1),
        ([e.where(context, condition, p, e.multiply(context, p, TWO)) for p in entries()], 1 if held else 2),
    ):
        found = r.length(context, 2)(read)
        assert value(context, found, w, held=held) == share * 3


@pytest.mark.parametrize("a", [-2.0, 0.5])
def test_entries_are_divided_by_what_is_one_number_for_all(a):
    context = Context()
    found = r.length(context, 2)([e.divide(context, part, A) for part in entries()])
    assert math.isclose(value(context, found, VECTORS[0], a=a), 3 / abs(a))


#: What is no function of the norm of a group.
COUPLED = {
    "another entry": lambda c: e.multiply(c, entry(), entry(1)),
    "another group": lambda c: e.multiply(c, entry(), entry(group=OTHER)),
    "an entry times its size": lambda c: e.multiply(c, entry(), entry(kind=SIZE)),
    "a square times itself": lambda c: e.multiply(c, entry(kind=SQUARE), entry(kind=SQUARE)),
    "division by an entry": lambda c: e.divide(c, ONE, entry()),
    "division of entries": lambda c: e.divide(c, entry(), entry()),
    "a sum with a number": lambda c: e.add(c, entry(), ONE),
    "a sum with what may be zero": lambda c: e.add(c, A, entry()),
    "a sum with a truth value": lambda c: e.add(c, entry(), False),
    "a sum with another entry": lambda c: e.add(c, entry(), entry(1)),
    "a sum with another group": lambda c: e.add(c, entry(), entry(group=OTHER)),
    "a sum with a size": lambda c: e.add(c, entry(), entry(kind=SIZE)),
    "a choice with a number": lambda c: e.where(c, z3.Bool("held"), ONE, entry()),
    "the root of an entry": lambda c: e.square_root(c, entry()),
    "the root of a size": lambda c: e.square_root(c, entry(kind=SIZE)),
    "the root of a negative square": lambda c: e.square_root(c, entry(kind=SQUARE, coefficient=A)),
    "the cube": lambda c: e.power(c, entry(), constant(Fraction(3))),
    "power 0": lambda c: e.power(c, entry(), ZERO),
    "the sum of entries": lambda c: r.total(entries()),
    "the sum of sizes": lambda c: r.total(entries(kind=SIZE)),
    "a part of the sum": lambda c: r.total(entries(kind=SQUARE)[:2]),
    "the sum with a number": lambda c: r.total([*entries(kind=SQUARE), ONE]),
    "one entry and a number": lambda c: r.total([entry(kind=SQUARE), ONE]),
    "one entry thrice": lambda c: r.total([entry(kind=SQUARE)] * 3),
    "an entry too many": lambda c: r.total([*entries(kind=SQUARE), entry(3, kind=SQUARE)]),
    "two groups": lambda c: r.total([*entries(kind=SQUARE)[:2], entry(2, kind=SQUARE, group=OTHER)]),
    "two kinds": lambda c: r.length(c, 2)([*entries()[:2], entry(2, kind=SIZE)]),
    "two weights": lambda c: r.length(c, 2)([*entries()[:2], entry(2, coefficient=TWO)]),
    "norm and number": lambda c: r.length(c, 2)([*entries(), ONE]),
    "the norm of squares": lambda c: r.length(c, 2)(entries(kind=SQUARE)),
    "order 1": lambda c: r.length(c, 1)(entries()),
    "order 3": lambda c: r.length(c, 3)(entries()),
    "order 0": lambda c: r.length(c, 0)(entries()),
    "the largest entry": lambda c: r.largest(entries()),
    "the largest square": lambda c: r.largest(entries(kind=SQUARE)),
    "the largest of negative sizes": lambda c: r.largest(entries(kind=SIZE, coefficient=A)),
    "the smallest size": lambda c: r.smallest(entries(kind=SIZE)),
    "the larger of an entry and a number": lambda c: r.largest([entry(kind=SIZE), ONE]),
    "the larger of a number and an entry": lambda c: r.largest([ONE, entry(kind=SIZE)]),
}


@pytest.mark.parametrize("name", COUPLED)
def test_other_functions_couple(name):
    with pytest.raises(Coupled):
        COUPLED[name](Context())


def test_a_reduction_of_one_entry_is_that_entry():
    """Along an axis of length 1."""
    context, one = Context(), entry(1, kind=SIZE, coefficient=TWO)
    for rule in (r.total, r.largest, r.smallest):
        assert rule([one]) is one
    found = r.length(context, 2)([entry(1, coefficient=MINUS)])
    assert (found.kind, found.index, found.coefficient.term) == (SIZE, 1, 2)


@pytest.mark.parametrize(
    "parts",
    [
        lambda c: squares(c, entries()),
        lambda c: squares(c, times(c, entries(), A)),
        lambda c: [g.scaled(p, entry(p.index, coefficient=constant(Fraction(1)))) for p in entries()],
    ],
)
def test_the_root_of_a_sum_of_squares_needs_no_variable(parts):
    context = Context()
    found = e.square_root(context, r.total(parts(context)))
    assert not context.definitions
    assert value(context, found, VECTORS[0], a=-1.0) == 3


def test_the_norm_of_a_group_divides_to_plus_infinity():
    context = Context()
    for size in (GROUP.norm, GROUP.largest):
        assert value(context, x.divide(context, ONE, size), VECTORS[1]) == math.inf
    assert not [each for each in context.definitions if each.kind == "sign of zero"]


@pytest.mark.parametrize(
    ("norm", "largest", "possible"),
    [
        (3, 2, True),
        (0, 0, True),
        (3, 3, True),
        (3, 1.75, True),
        (3, 1.73, False),
        (3, 3.01, False),
        (-1, -1, False),
        (0, 1, False),
        (1, 0, False),
    ],
)
def test_the_largest_entry_is_a_share_of_the_norm(norm, largest, possible):
    """At least a root of 1/3 of it, where there are three."""
    solver = z3.Solver()
    solver.add(*FACTS, z3.Real("r") == norm, z3.Real("largest of r") == largest)
    assert (solver.check() == z3.sat) == possible


def test_the_sizes_of_a_group_are_known_not_to_be_negative():
    """So that no case of units asks about negative ones."""
    cases = list(unit_cases(Anatomy(), FACTS, []))
    assert [[str(equation) for equation in case] for case in cases] == [["largest of r == 1"], ["largest of r == 0"]]
    assert any(fact.eq(z3.Real("r") >= 0) for fact in FACTS)


def test_numbers_are_alike_where_all_of_them_is():
    w, some, other = z3.Real("w"), z3.Bool("some"), z3.Bool("other")
    one = Number(w + 1, some, other, False)
    assert g.alike(one, Number(w + 1, z3.Bool("some"), z3.Bool("other"), False))
    for different in (
        Number(w + 2, some, other, False),
        Number(w + 1, other, other, False),
        Number(w + 1, some, some, False),
        Number(w + 1, some, other, True),
        Number(w + 1, some, other, some),
        Number(w + 1, False, other, False),
        Number(w + 1, some, True, False),
    ):
        assert not g.alike(one, different)
        assert not g.alike(different, one)
