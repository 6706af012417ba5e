"""Cosines of sums and multiples of arccosines: which of them are read, and that each is what Python computes."""

import math
from fractions import Fraction

import pytest
import z3

from ramda_verify.proof import elementwise as e
from ramda_verify.proof.angles import Angle, chebyshev, cosine, multiple_of_pi, sine, with_multiple, with_sum
from ramda_verify.proof.evaluation import evaluate
from ramda_verify.proof.extended import INF, NAN, Number, constant
from ramda_verify.proof.terms import Context

W, V, TWO = Number(z3.Real("w")), Number(z3.Real("v")), constant(Fraction(2))


def angle_of(turns, share) -> Number:
    """``turns*pi + share*arccos(w)``, and a number that nothing is known of."""
    return Number(z3.Real("angle"), angle=Angle(Fraction(turns), Fraction(share), W))


#: Shares p/q, and turns for which q*turns is a multiple of p: of these the cosine is a polynomial.
SHARES = [Fraction(p, q) for q in (1, 2, 3) for p in (1, 2, 3, 4) if math.gcd(p, q) == 1]


@pytest.mark.parametrize("share", [sign * share for share in SHARES for sign in (1, -1)], ids=str)
def test_the_cosine_of_a_share_of_an_arccosine(share):
    """Turned by every multiple of what makes it whole again, forwards and backwards."""
    for count in range(-1, 6):
        turns = share * count
        for w in (-0.6, 0.25):
            context = Context()
            truth = float(turns) * math.pi + float(share) * math.acos(w)
            found = cosine(context, angle_of(turns, share))
            assert found is not None
            assert math.isclose(evaluate(context, found, {"w": w}), math.cos(truth), abs_tol=1e-9), (turns, w)
            found = sine(context, angle_of(turns + Fraction(1, 2), share))
            assert found is not None
            assert math.isclose(evaluate(context, found, {"w": w}), math.cos(truth), abs_tol=1e-9), (turns, w)


@pytest.mark.parametrize(
    "angle",
    [
        angle_of(0, Fraction(1, 4)),
        angle_of(0, 5),
        angle_of(0, Fraction(5, 3)),
        angle_of(Fraction(1, 3), 1),
        angle_of(Fraction(1, 2), Fraction(2, 3)),
        angle_of(Fraction(1, 2), Fraction(-2, 3)),
        angle_of(1, 0),
        Number(z3.Real("angle"), angle=Angle(Fraction(1, 3))),
        W,
    ],
    ids=["quarter", "5", "5/3", "pi/3", "pi/2", "backwards", "none left", "no arccosine", "no angle"],
)
def test_other_cosines_have_no_reading(angle):
    assert cosine(Context(), angle) is None
    turned = angle if angle.angle is None else Number(angle.term, angle=Angle(
        angle.angle.turns + Fraction(1, 2), angle.angle.share, angle.angle.cosine
    ))  # fmt: skip
    assert sine(Context(), turned) is None


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_a_root_is_looked_for_between_the_cosines_of_the_ends_of_its_angle(parts):
    """The arccosine is between 0 and pi."""
    for count in range(-1, 2 * parts):
        context = Context()
        cosine(context, angle_of(Fraction(count, parts), Fraction(1, parts)))
        ((_, _, (_, degree, *ends)),) = context.definitions
        expected = sorted(math.cos(math.pi * place / parts) for place in (count, count + 1))
        assert degree == parts
        assert [float(end) for end in ends] == pytest.approx(expected, abs=1e-12)


def test_a_cosine_is_no_number_where_its_angle_is_none():
    context = Context()
    for rule in (e.ELEMENTWISE["cos"], e.ELEMENTWISE["sin"]):
        angle = e.arc_cosine(context, W)
        if rule is e.ELEMENTWISE["sin"]:
            angle = e.add(context, angle, Number(Fraction(11, 7), angle=Angle(Fraction(1, 2))))
        for w in (-1.0001, 1.0001):
            assert math.isnan(evaluate(context, rule(context, angle), {"w": w}))
        for w in (-1.0, 0.5, 1.0):
            assert math.isclose(evaluate(context, rule(context, angle), {"w": w}), w, abs_tol=1e-12)


@pytest.mark.parametrize("a", [INF, NAN, Number(Fraction(1, 2), down=True)], ids=["inf", "nan", "-inf"])
def test_what_is_no_finite_number_has_no_arccosine(a):
    assert e.arc_cosine(Context(), a).nan is True


def parts_of(number: Number):
    angle = number.angle
    return None if angle is None else (angle.turns, angle.share, angle.cosine)


FOUND = Number(z3.Real("found"))
TURN = Number(z3.Real("turn"), angle=Angle(Fraction(1, 3)))
OF_V = Number(z3.Real("of v"), angle=Angle(Fraction(0), Fraction(1), V))


@pytest.mark.parametrize(
    ("one", "other", "sum_of_both"),
    [
        (angle_of(Fraction(1, 2), 2), TURN, (Fraction(5, 6), 2, W)),
        (angle_of(Fraction(1, 2), 2), angle_of(1, Fraction(1, 3)), (Fraction(3, 2), Fraction(7, 3), W)),
        (TURN, TURN, (Fraction(2, 3), 0, None)),
        (angle_of(0, 1), OF_V, None),
        (angle_of(0, 1), V, None),
        (TURN, V, None),
        (V, W, None),
    ],
)
def test_a_sum_is_an_angle_where_both_are_of_one_cosine(one, other, sum_of_both):
    for a, b in ((one, other), (other, one)):
        found = with_sum(FOUND, a, b)
        assert parts_of(found) == sum_of_both
        assert found.term is FOUND.term


def test_a_multiple_of_an_angle_by_a_constant_is_one():
    angle = angle_of(Fraction(1, 2), Fraction(2, 3))
    assert parts_of(with_multiple(FOUND, angle, constant(Fraction(-3)))) == (Fraction(-3, 2), -2, W)
    unknown = Number(Fraction(3), up=z3.Bool("up"))
    for one, factor in ((W, TWO), (angle, W), (angle, unknown), (angle, INF), (angle, NAN)):
        assert with_multiple(FOUND, one, factor).angle is None


def test_constants_near_a_multiple_of_pi_are_angles():
    """Up to four roundings, and 24 parts."""
    for turns in (Fraction(1), Fraction(-2, 3), Fraction(5, 24), Fraction(1, 24), Fraction(23, 24)):
        found = multiple_of_pi(float(turns) * math.pi)
        assert found is not None
        assert (found.turns, found.share, found.cosine) == (turns, 0, None)
    for roundings in (-4, 4):
        assert multiple_of_pi(math.pi + roundings * math.ulp(math.pi)) is not None
    for value in (0.0, 3.1415, math.pi / 25, math.pi - 5 * math.ulp(math.pi), math.pi + 5 * math.ulp(math.pi)):
        assert multiple_of_pi(value) is None


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_chebyshev_polynomials(degree):
    for tau in (Fraction(-1), Fraction(-3, 5), Fraction(0), Fraction(1, 3), Fraction(2)):
        polynomials = {1: tau, 2: 2 * tau**2 - 1, 3: 4 * tau**3 - 3 * tau, 4: 8 * tau**4 - 8 * tau**2 + 1}
        assert chebyshev(degree, tau) == polynomials[degree]


def test_all_that_is_told_of_an_angle_is_its_range():
    """From 0 to 4, of which pi is the largest one that occurs."""
    context = Context()
    angle = context.angle(z3.Real("w"))
    for value, possible in ((0.0, True), (math.pi, True), (-1e-9, False), (4.1, False)):
        solver = z3.Solver()
        solver.add(*(side.condition for side in context.sides), angle == Fraction(value))
        assert (solver.check() == z3.sat) is possible
