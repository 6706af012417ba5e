"""What entrywise operations make of numbers, of truth values and of entries of a group."""

import itertools
import math
from fractions import Fraction

import pytest
import torch
import z3

from ramda_verify.proof import elementwise as e
from ramda_verify.proof import extended as x
from ramda_verify.proof.elementwise import ELEMENTWISE, Unreadable
from ramda_verify.proof.evaluation import evaluate
from ramda_verify.proof.extended import INF, NAN, Number, as_number, constant
from ramda_verify.proof.groups import ALONG, Coupled, Group, Part
from ramda_verify.proof.terms import Context
from tests.proof.test_extended import alike, as_constant

ELEMENTS = (-math.inf, -2.0, 0.0, 0.5, 1.0, math.nan, True, False)
W, ONE = Number(z3.Real("w")), constant(Fraction(1))
GROUP, _ = Group.named("g", 3)
ENTRY = Part(ALONG, constant(Fraction(1)), 0, GROUP)
#: What torch calls otherwise, or has no name for.
OF_TORCH = {
    "relu": torch.nn.functional.relu,
    "sgn": torch.sgn,
    "clamp_min": lambda a, low: torch.clamp(a, min=low),
    "clamp_max": lambda a, high: torch.clamp(a, max=high),
}
#: Operations with tests of their own below, or of angles.
APART = {"acos", "cos", "sin", "clamp", "nan_to_num", "pow", "copysign"}
SINGLE = {"neg", "abs", "square", "sqrt", "rsqrt", "reciprocal", "sign", "sgn", "relu", "isnan", "isinf", "isfinite"}
SINGLE |= {"isposinf", "isneginf", "logical_not", "bitwise_not"}


def of_torch(value) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.bool if isinstance(value, bool) else torch.float64)


def element(value):
    return value if isinstance(value, bool) else as_constant(value)


def same(rule, elements, truth: torch.Tensor) -> bool:
    """Whether the rule gives the number, or the truth value, that torch gives."""
    context = Context()
    found = rule(context, *elements)
    number = found if isinstance(found, Number) else as_number(found)
    return alike(evaluate(context, number, {}), float(truth))


@pytest.mark.parametrize("name", sorted(ELEMENTWISE.keys() - APART))
def test_numbers_and_truth_values_are_read_as_torch_takes_them(name):
    """Mixed as they come."""
    rule = OF_TORCH.get(name) or getattr(torch, name)
    kinds = [(True, False)] if name == "where" else []
    kinds += [ELEMENTS] * (1 if name in SINGLE else 2)
    compared = 0
    for values in itertools.product(*kinds):
        try:
            truth = rule(*map(of_torch, values))
        except RuntimeError:  # torch has no such operation on truth values, or on numbers
            continue
        assert same(ELEMENTWISE[name], map(element, values), truth), (values, truth)
        compared += 1
    assert compared


@pytest.mark.parametrize(("name", "rule"), [("add", torch.add), ("subtract", torch.sub), ("divide", torch.div)])
def test_sums_and_quotients_of_numbers_and_truth_values(name, rule):
    for values in itertools.product(ELEMENTS, repeat=2):
        if name == "subtract" and any(isinstance(value, bool) for value in values):
            continue  # torch has no difference of truth values
        assert same(getattr(e, name), map(element, values), rule(*map(of_torch, values))), values


@pytest.mark.parametrize("name", ["mul", "maximum", "minimum", "where", "le", "logical_or", "bitwise_xor"])
def test_truth_values_give_truth_values_and_with_numbers_numbers(name):
    """As in torch, where the sum of two of them is no number."""
    for values in itertools.product(ELEMENTS, repeat=2):
        given = (True, *values) if name == "where" else values
        try:
            truth = getattr(torch, name)(*map(of_torch, given))
        except RuntimeError:
            continue
        found = ELEMENTWISE[name](Context(), *map(element, given))
        assert isinstance(found, bool) is (truth.dtype is torch.bool), values
    assert e.add(Context(), True, True) is True
    assert e.add(Context(), True, ONE).term == 2


@pytest.mark.parametrize("name", ["bitwise_not", "bitwise_and", "bitwise_or", "bitwise_xor"])
def test_bitwise_operations_are_read_on_truth_values_alone(name):
    rest = () if name == "bitwise_not" else (True,)
    for other in (ONE, ENTRY):
        with pytest.raises(Unreadable, match="bitwise"):
            ELEMENTWISE[name](Context(), other, *rest)


@pytest.mark.parametrize("exponent", [-8.0, -3.0, -0.125, 0.0, 0.125, 0.375, 1.0, 2.0, 8.0])
def test_powers_are_read_as_torch_takes_them(exponent):
    for value in ELEMENTS:
        if value is not False or exponent >= 0:
            truth = of_torch(value).double() ** exponent
            assert same(e.power, (element(value), constant(Fraction(exponent))), truth), (value, truth)


@pytest.mark.parametrize("exponent", [*map(Fraction, ("9", "-9", "1/9", "9/8", "-1/9"))], ids=str)
def test_powers_of_large_fractions_have_no_reading(exponent):
    with pytest.raises(Unreadable, match="power"):
        e.power(Context(), ONE, constant(exponent))


@pytest.mark.parametrize("exponent", [W, INF, NAN, True, ENTRY, Number(Fraction(2), up=z3.Bool("up"))])
def test_powers_with_no_constant_for_an_exponent_have_no_reading(exponent):
    with pytest.raises(Unreadable, match="constant"):
        e.power(Context(), ONE, exponent)


@pytest.mark.parametrize(
    "bounds", [(-1.0, 1.0), (None, 0.25), (0.25, None), (2.0, 1.0), (math.nan, 1.0), (0.0, math.nan)]
)
def test_the_upper_bound_wins(bounds):
    for value in ELEMENTS[:-2]:
        low, high = (None if bound is None else of_torch(bound) for bound in bounds)
        truth = torch.clamp(of_torch(value), low, high)
        read = [None if bound is None else element(bound) for bound in bounds]
        assert same(e.clamp, (element(value), *read), truth), (value, truth)


def test_only_what_is_no_number_is_replaced():
    context = Context()
    assert e.replace_nan(context, NAN).term == 0
    assert e.replace_nan(context, NAN, constant(Fraction(3))).term == 3
    assert e.replace_nan(context, ONE, constant(Fraction(3))).term == 1
    assert e.replace_nan(context, True).term == 1
    for infinite in (INF, x.negative(INF), x.divide(context, ONE, W)):
        with pytest.raises(Unreadable, match="infinite"):
            e.replace_nan(context, infinite)


@pytest.mark.parametrize("value", ELEMENTS)
def test_a_sign_is_copied(value):
    for other in (-math.inf, -2.0, 0.0, 0.5, True, False):
        truth = torch.copysign(of_torch(value).double(), of_torch(other).double())
        assert same(e.copy_sign, (element(value), element(other)), truth), other
    read = e.copy_sign(Context(), element(value), W)
    for other in (-1.0, -0.0, 0.0, 2.0):
        context = Context()
        read = e.copy_sign(context, element(value), W)
        truth = torch.copysign(of_torch(value).double(), of_torch(other))
        assert alike(evaluate(context, read, {"w": other}), float(truth)), other


def test_a_zero_of_either_sign_copies_both():
    context = Context()
    found = e.copy_sign(context, ONE, W)
    for sign in (1, -1):
        solver = z3.Solver()
        solver.add(z3.Real("w") == 0, found.term == sign)
        assert solver.check() == z3.sat


@pytest.mark.parametrize("rule", [e.number, e.truth])
def test_an_entry_of_a_group_is_neither_number_nor_truth(rule):
    with pytest.raises(Coupled):
        rule(ENTRY)


@pytest.mark.parametrize(
    "name", ["sign", "relu", "maximum", "minimum", "fmax", "lt", "eq", "isnan", "clamp", "hypot", "logical_not", "cos"]
)
def test_looking_at_an_entry_of_a_group_couples(name):
    rest = () if name in ("sign", "relu", "isnan", "logical_not", "cos") else (ONE,)
    for arguments in ((ENTRY, *rest), (*rest, ENTRY)):
        with pytest.raises(Coupled):
            ELEMENTWISE[name](Context(), *arguments)


def test_the_cosine_of_no_angle_has_no_reading():
    for name in ("cos", "sin"):
        with pytest.raises(Unreadable, match="arccosine"):
            ELEMENTWISE[name](Context(), W)


def test_a_quotient_by_a_constant_stays_an_angle():
    """So that its cosine is that of a third of an arccosine; what is infinite is no constant."""
    context = Context()
    angle = e.arc_cosine(context, W)
    for by in (3, -3):
        third = e.divide(context, angle, constant(Fraction(by)))
        read = evaluate(context, ELEMENTWISE["cos"](context, third), {"w": -0.5})
        assert math.isclose(read, math.cos(math.acos(-0.5) / by))
    assert e.divide(context, angle, NAN).nan is True
    assert e.divide(context, ONE, constant(Fraction(0))).up is True
    unknown = Number(Fraction(3), up=z3.Bool("up"))
    quotient = e.divide(context, ONE, unknown)
    assert [evaluate(context, quotient, {"up": up}) for up in (False, True)] == [1 / 3, 0]
