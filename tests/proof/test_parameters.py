"""Which numbers of an object vary in a proof, in which ranges, and the constants of a code."""

import math
from fractions import Fraction
from typing import Annotated, ClassVar

import pytest
import torch
import z3

from ramda_verify.proof.agreement import _alike, _in_range
from ramda_verify.proof.constants import as_fraction, read_constant
from ramda_verify.proof.evaluation import evaluate
from ramda_verify.proof.extended import ONE, constant, divide
from ramda_verify.proof.parameters import Parameter, parameters_of, with_values
from ramda_verify.proof.question import Traced, _bound, _is_nonnegative
from ramda_verify.proof.ranges import Bound, found_range, parse_range
from ramda_verify.proof.terms import Context


def described(thing) -> list[str]:
    return [f"{p.name}: {p.describe()}, {p.source}, own {p.own:g}" for p in parameters_of(thing)]


class Weighted:
    """Refuses negative weights, keeps ``shift`` as it comes, and its other arguments are no numbers that vary."""

    def __init__(self, weight=0.5, shift=-2.0, count: int = 3, name="x", flag=True, size=math.inf):
        if weight < 0:
            raise ValueError("weight")
        self.weight, self.shift, self.count = weight, shift, count
        self.name, self.flag, self.size = name, flag, size


def test_numbers_that_the_constructor_keeps_vary():
    assert described(Weighted()) == [
        "weight: weight >= 0, found, own 0.5",
        "shift: shift < 0 (assumed), assumed, own -2",
    ]
    assert described(Weighted(shift=0.0))[1] == "shift: shift >= 0 (assumed), assumed, own 0"
    assert described(Weighted(shift=3))[1] == "shift: shift > 0 (assumed), assumed, own 3"
    assert described(Weighted(weight=0.0))[0] == "weight: weight >= 0, found, own 0"


class CountOfAField:
    rank: int

    def __init__(self, rank=3, size: "int" = 2):
        self.rank, self.size = rank, size


class Derived:
    def __init__(self, base=1.0, other=2.0):
        self.base, self.other, self.half = base, other, base / 2


class Changed:
    """Keeps another number than it was given."""

    def __init__(self, weight=1.0):
        self.weight = min(weight, 1.0)


class Varied:
    """Every kind of argument, and after each one that varies."""

    def __init__(self, name="x", a=1.0, base=-0.5, b=1.0, holed=1.0, c=1.0):
        if 50 < holed < 5e8 or min(a, b, c) < 0:
            raise ValueError("holed")
        self.name, self.a, self.base, self.b, self.holed, self.c = name, a, base, b, holed, c
        self.half = base / 2


class Unknown:
    """An annotation that names what is nowhere says nothing."""

    __annotations__ = {"weight": "Nowhere"}

    def __init__(self, weight=0.5):
        self.weight = weight


class Frozen:
    """Takes one value only."""

    def __init__(self, weight=1.0):
        if weight != 1:
            raise ValueError("weight")
        self.weight = weight


class Holed:
    """Takes no interval."""

    def __init__(self, weight=1.0):
        if 50 < weight < 5e8:
            raise ValueError("weight")
        self.weight = weight


class NarrowAbove:
    """So narrow a range that of the tried values only the last, below, is inside."""

    def __init__(self, weight=1.0):
        if not 0.985 < weight <= 1:
            raise ValueError("weight")
        self.weight = weight


class Forgets:
    def __init__(self, weight):
        pass


@pytest.mark.parametrize("thing", [CountOfAField(), Changed(), Frozen(), Holed(), Forgets(1.0), object()])
def test_counts_and_what_is_computed_do_not_vary(thing):
    assert described(thing) == []


def test_only_what_nothing_is_computed_from_varies():
    assert [parameter.name for parameter in parameters_of(Derived())] == ["other"]
    assert [parameter.name for parameter in parameters_of(Varied())] == ["a", "b", "c"]
    assert described(Unknown()) == ["weight: weight > 0 (assumed), assumed, own 0.5"]
    assert described(NarrowAbove()) == ["weight: weight > 0.985 and weight <= 1, found, own 1"]


def test_a_declared_range_counts_before_what_is_found():
    """And that of the mapping before that of an annotation."""

    class Plain(Weighted):
        weight: Annotated[float, "> 0.25", "> 0.3"]

    assert described(Plain())[0] == "weight: weight > 0.25, declared, own 0.5"

    class Mapped(Plain):
        parameter_ranges: ClassVar = {"weight": (0.125, 2), "shift": "> -3, < 5"}

    assert described(Mapped()) == [
        "weight: weight > 0.125 and weight < 2, declared, own 0.5",
        "shift: shift > -3 and shift < 5, declared, own -2",
    ]


def test_a_range_of_every_number_is_said_to_be_one():
    assert Parameter("a", "a", 1.0, (), "declared").describe() == "every a"


def test_a_copy_has_other_values_past_the_constructor():
    one = Weighted()
    other = with_values(one, {"weight": -1.0})
    assert (other.weight, other.shift, one.weight) == (-1.0, -2.0, 0.5)


@pytest.mark.parametrize(
    ("accepts", "own", "bounds"),
    [
        (lambda v: v < -1, -3.0, ["< -1"]),
        (lambda v: v <= -1, -3.0, ["<= -1"]),
        (lambda v: abs(v) <= 2e8, 1.0, [">= -2e+08", "<= 2e+08"]),
        (lambda v: v > 1 / 3, 1.0, ["> 0.333333"]),
        (lambda v: v != 5e8 + 1, 1.0, []),
        (lambda v: v > -1e9, 1.0, ["> -1e+09"]),
        (lambda v: 0 < v < 1, 0.25, ["> 0", "< 1"]),
        (lambda v: 1 < v < 4, 3.0, ["> 1", "< 4"]),
    ],
)
def test_ends_of_a_range_are_simple_numbers(accepts, own, bounds):
    found = found_range(accepts, own)
    assert found is not None
    assert [str(bound) for bound in found] == bounds


@pytest.mark.parametrize("refused", [0.0, 1.0, 3.001, 2.999, 4.0, 2.0, 103.0, -97.0, 1e8 + 3, 3 - 1e8])
def test_no_hole_of_a_range_is_overlooked_near_the_value(refused):
    """At 0 and 1, and at powers of ten from the object's own value, on either side."""
    assert found_range(lambda value: abs(value - refused) > 1e-6, 3.0) is None


@pytest.mark.parametrize("share", [1e-6, 1e-3, 0.1, 0.37, 0.5, 0.81, 0.999])
def test_no_hole_of_a_range_is_overlooked_far_from_the_value(share):
    hole = 1000 * share
    assert found_range(lambda v: 0 <= v <= 1000 and abs(v - hole) > 1e-9 * hole, 999.5) is None


@pytest.mark.parametrize("refused", [0.0, 1.0])
def test_a_hole_at_0_or_1_is_not_overlooked_wherever_the_range_ends(refused):
    assert found_range(lambda v: v > -7 and abs(v - refused) > 1e-6, 3.0) is None
    assert found_range(lambda v: v > -7, 3.0) == (Bound(">", -7.0),)


def test_beyond_the_ends_nothing_is_tried():
    """That 0 and 1 are refused says nothing of a range above 2."""
    assert found_range(lambda value: value > 2, 2.0005) == (Bound(">", 2.0),)
    assert found_range(lambda value: -7 < value < -2, -3.0) == (Bound(">", -7.0), Bound("<", -2.0))


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ((-math.inf, 3), (Bound("<", 3.0),)),
        ((-math.inf, math.inf), ()),
        ("<=2.5", (Bound("<=", 2.5),)),
        (" >  b ", (Bound(">", "b"),)),
        ("> 1, < other, <= 7", (Bound(">", 1.0), Bound("<", "other"), Bound("<=", 7.0))),
    ],
)
def test_a_range_is_read(text, bounds):
    assert parse_range("a", text) == bounds


def traced(*parameters, fixed=()):
    return Traced((2, 3), parameters, tuple(fixed), [], [])


def test_ranges_that_name_other_parameters_hold_of_what_is_sampled():
    for relation, value, held in (
        (">", 2.0, True), (">", 1.0, False), (">=", 1.0, True), (">=", 0.5, False),
        ("<", 0.5, True), ("<", 1.0, False), ("<=", 1.0, True), ("<=", 2.0, False),
    ):  # fmt: skip
        named = Parameter("a", "a", 1.0, (Bound(">", 9.0), Bound(relation, "b")), "declared")
        other = Parameter("b", "b", 1.0, (), "declared")
        assert _in_range(traced(named, other), {"a": value, "b": 1.0}) is held
        # The other one may be fixed, or have the range.
        assert _in_range(traced(named, fixed=[other]), {"a": value}) is held
        assert _in_range(traced(other, fixed=[named]), {"b": 2 - value}) is held
    assert traced().count == 6


@pytest.mark.parametrize(
    ("one", "other", "scale", "dtype", "expected"),
    [
        (1.0, 1 + 0.9e-10, 1.0, torch.float64, True),
        (1.0, 1 + 1.1e-10, 1.0, torch.float64, False),
        (1.0, 1 - 1.1e-10, 1.0, torch.float64, False),
        (1.0, 1 + 1.9e-10, 2.0, torch.float64, True),
        (1.0, 1 + 7e-6, 1.0, torch.float32, True),
        (1.0, 1 + 8e-6, 1.0, torch.float32, False),
        (1.0, 1 + 1.1e-10, 1.0, torch.int64, False),
        (1.0, 1.0, 0.0, torch.int64, True),
        (math.inf, math.inf, 1.0, torch.float64, True),
        (math.inf, -math.inf, 1.0, torch.float64, False),
        (math.inf, 1.0, math.inf, torch.float64, False),
        (1.0, math.inf, math.inf, torch.float64, False),
        (math.nan, math.nan, 1.0, torch.float64, True),
        (math.nan, 1.0, 1.0, torch.float64, False),
        (1.0, math.nan, 1.0, torch.float64, False),
    ],
)
def test_a_reading_and_the_class_agree_up_to_rounding(one, other, scale, dtype, expected):
    """1e-10 of the size, or 64 roundings of the dtype of what the class gives."""
    assert _alike(one, other, scale, dtype) is expected


@pytest.mark.parametrize("relation", [">", ">=", "<", "<="])
def test_a_bound_is_asked_as_it_is_written(relation):
    a, b = z3.Reals("a b")
    for limit, meant in ((0.1, Fraction(1, 10)), ("b", Fraction(1, 10))):
        condition = _bound("a", Bound(relation, limit), {"a": a, "b": b})
        for value in (Fraction(0), meant, Fraction(1)):
            at = z3.substitute(condition, (a, z3.RealVal(value)), (b, z3.RealVal(meant)))
            held = {">": value > meant, ">=": value >= meant, "<": value < meant, "<=": value <= meant}[relation]
            assert z3.is_true(z3.simplify(at)) is held
    with pytest.raises(ValueError, match="'c'"):
        _bound("a", Bound(relation, "c"), {"a": a, "b": b})


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ([Bound(">", 0.0)], True),
        ([Bound(">=", 0.0)], True),
        ([Bound("<", 3.0), Bound(">", 2.0)], True),
        ([Bound(">", -1.0)], False),
        ([Bound("<", 3.0)], False),
        ([Bound("<=", 0.0)], False),
        ([Bound(">", "b")], False),
        ([], False),
    ],
)
def test_a_parameter_with_a_lower_bound_is_not_negative(bounds, expected):
    assert _is_nonnegative(Parameter("a", "a", 1.0, tuple(bounds), "declared")) is expected


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        (0.3 * (1 + 3 * 2.0**-53), "3/10"),
        (0.1 + 0.2, "3/10"),
        (1 / 999_983, "1/999983"),
        (1 / 1_000_003, None),
        (123456.789, "123456789/1000"),
        (0.3 + 5 * math.ulp(0.3), None),
        (0.3 - 5 * math.ulp(0.3), None),
        (0.3 - 3 * math.ulp(0.3), "3/10"),
        (0.3 + 4 * math.ulp(0.3), "3/10"),
        (0.3 - 4 * math.ulp(0.3), "3/10"),
        (5e-324, None),
    ],
)
def test_a_constant_is_a_simple_fraction_up_to_four_roundings(value, meant):
    assert as_fraction(value) == Fraction(value if meant is None else meant)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 0.0, -0.5, math.pi, -math.sqrt(2), 1e-30])
def test_a_constant_is_read_as_its_value(value):
    context = Context()
    read = evaluate(context, read_constant(context, value), {})
    assert math.isclose(read, value, rel_tol=1e-15) or (math.isnan(read) and math.isnan(value))


@pytest.mark.parametrize(
    ("value", "root"),
    [
        (math.sqrt(997), True),
        (-math.sqrt(997), True),
        (1 / math.sqrt(997), True),
        (math.sqrt(1000), True),
        (math.sqrt(1001), False),
        (1 / math.sqrt(1001), False),
        (999 ** (1 / 3), True),
        (1003 ** (1 / 3), False),
        (2 ** (1 / 4), False),
        (math.sqrt(2) + 3 * math.ulp(1.4), True),
        (math.sqrt(2) + 6 * math.ulp(1.4), False),
    ],
)
def test_roots_of_fractions_up_to_a_thousand_are_read_as_roots(value, root):
    context = Context()
    read_constant(context, value)
    assert [each.kind for each in context.definitions] == ["root"] * root


def test_multiples_of_pi_are_read_as_angles():
    context = Context()
    for value in (math.pi, -2 * math.pi / 3, math.pi / 6):
        angle = read_constant(context, value).angle
        assert angle is not None
        assert math.isclose(float(angle.turns) * math.pi, value)
    assert read_constant(context, 3.1415).angle is None


def test_a_constant_zero_divides_to_plus_infinity_unless_it_is_minus_zero():
    context = Context()
    assert divide(context, constant(ONE), read_constant(context, 0.0)).up is True
    # What is not known of -0.0 is not assumed.
    assert divide(context, constant(ONE), read_constant(context, -0.0)).up is not True
