"""The parts of the prover: constants, ranges, units, cases; and a prover that misreads, which must not prove."""

import math
import time
from fractions import Fraction

import pytest
import torch
import z3

from ramda_verify.proof import ProofVerdict, prove
from ramda_verify.proof.constants import as_fraction, read_constant
from ramda_verify.proof.evaluation import evaluate
from ramda_verify.proof.operators import OPERATIONS
from ramda_verify.proof.parameters import parameters_of
from ramda_verify.proof.ranges import Bound, found_range, parse_range
from ramda_verify.proof.scaling import unit_cases
from ramda_verify.proof.splitting import ask, check
from ramda_verify.proof.terms import Anatomy, Context, Side
from solvers import L1, GroupLasso
from tests.proof import right, wrong


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        (0.1, "1/10"),
        (0.1 * 3, "3/10"),
        (1 / 3, "1/3"),
        (1.41, "141/100"),
        (1e-12, None),
        (0.0, "0"),
        (1e300, None),
        (-2.5, "-5/2"),
    ],
)
def test_constants_are_the_fractions_that_were_meant(value, meant):
    assert as_fraction(value) == (Fraction(value) if meant is None else Fraction(meant))


@pytest.mark.parametrize(
    ("value", "degree", "under"),
    [
        (math.sqrt(2), 2, Fraction(2)),
        (-math.sqrt(3), 2, Fraction(3)),
        (54 ** (1 / 3), 3, Fraction(54)),
        (1 / math.sqrt(5), 2, Fraction(1, 5)),
        (-1 / math.sqrt(5), 2, Fraction(1, 5)),
    ],
)
def test_roots_are_read_as_roots(value, degree, under):
    context = Context()
    found = read_constant(context, value)
    assert [(each.kind, each.parts[1]) for each in context.definitions] == [("root", degree)]
    assert z3.simplify(context.definitions[0].parts[0]).as_fraction() == under
    assert math.isclose(evaluate(context, found, {}), value, rel_tol=1e-15)


def test_a_number_that_is_no_root_is_read_to_the_last_bit():
    for value in (math.pi, 1.41421356, math.sqrt(2) * (1 + 1e-14)):
        context = Context()
        assert read_constant(context, value).term == Fraction(value)
        assert not context.definitions


@pytest.mark.parametrize(
    ("accepts", "own", "bounds"),
    [
        (lambda v: v > 0, 1.0, ("> 0",)),
        (lambda v: v >= 0, 0.0, (">= 0",)),
        (lambda v: v > 2, 3.7, ("> 2",)),
        (lambda v: 0 < v <= 1, 0.3, ("> 0", "<= 1")),
        (lambda v: -1.5 <= v < 0.75, 0.3, (">= -1.5", "< 0.75")),
        (lambda v: True, 0.3, ()),
    ],
)
def test_a_range_is_found_by_trying(accepts, own, bounds):
    assert tuple(map(str, found_range(accepts, own))) == bounds


def test_the_range_is_an_interval_around_the_value():
    assert found_range(lambda value: value == 1 or value > 2, 3.0) == (Bound(">", 2.0),)
    assert found_range(lambda value: not 5 < value < 6e8, 3.0) is None


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("> 2", ("> 2",)),
        (">= 0, < 1", (">= 0", "< 1")),
        ("> lower", ("> lower",)),
        ((0, math.inf), ("> 0",)),
        ((0, 1), ("> 0", "< 1")),
    ],
)
def test_ranges_are_written_in_words(text, bounds):
    assert tuple(map(str, parse_range("a", text))) == bounds


@pytest.mark.parametrize("text", ["2", "above 2", "> 2 and < 3", 5, (1, 2, 3), ""])
def test_other_words_are_refused(text):
    with pytest.raises(ValueError, match=r"parameter_ranges.*'a'"):
        parse_range("a", text)


class Misspelt(right.SCAD):
    parameter_ranges = {"reg_wieght": ">= 0"}  # noqa: RUF012


def test_a_range_of_no_parameter_is_refused():
    with pytest.raises(ValueError, match=r"reg_wieght.*reg_weight"):
        prove(Misspelt())


def test_ranges_of_our_own_are_found():
    for regularizer in (L1(1.0), GroupLasso(0.5)):
        (found,) = parameters_of(regularizer)
        assert (found.name, found.own, found.source, found.describe()) == (
            "reg_weight", regularizer.reg_weight, "found", "reg_weight >= 0",
        )  # fmt: skip


w, z, step, gamma, lam, share = z3.Reals("w z step gamma lam share")


@pytest.mark.parametrize(
    ("conditions", "fixed"),
    [
        # w, z and lam*step have one unit, and that of the step is free.
        ([step > 0, lam >= 0, lam * step > w, w - z > lam * step], {"step": 1, "lam": 1}),
        ([step > 0, w * w > 2 * step, z > w], {"step": 1}),
        ([step > 0, w > step, w * w > step], {}),
        ([step > 0, z3.If(w > 0, w, step) > 1], {}),
        ([step > 0, z3.If(w > 0, w, step) > 0], {"step": 1}),
        ([w > z], {"w": 1}),
    ],
)
def test_units_are_chosen_where_a_question_has_none(conditions, fixed):
    cases = list(unit_cases(Anatomy(), conditions, []))
    assert {str(equation.arg(0)): equation.arg(1).as_long() for equation in cases[0]} == fixed


def test_units_of_quotients_follow_from_their_sides():
    context = Context()
    quotient = context.quotient(w, gamma)
    cases = list(unit_cases(Anatomy(), [gamma > 0, quotient > 1], context.sides))
    assert [[str(equation) for equation in case] for case in cases] == [["gamma == 1"]]


@pytest.mark.parametrize("seed", range(12))
def test_units_and_cases_change_no_answer(seed):
    """Random homogeneous questions, answered whole and in cases of chosen units."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*choices):
        return choices[int(torch.randint(len(choices), (), generator=generator))]

    length = [w, z, lam * step, -w, 2 * z, z3.If(w > z, w, z), z3.If(w > 0, w, -w)]
    square = [draw(*length) * draw(*length) for _ in range(3)]
    conditions = [step > 0, lam >= 0, draw(*length) > draw(*length), square[0] > square[1] + square[2]]
    conditions.append(draw(*length) < draw(*length))
    whole = check(conditions, 20).verdict
    assert whole in ("sat", "unsat")
    by_cases = set()
    for equations in unit_cases(Anatomy(), conditions, []):
        by_cases.add(check([*conditions, *equations], 20).verdict)
    assert ("sat" in by_cases) == (whole == "sat")


def test_a_question_is_split_where_the_whole_is_not_answered(monkeypatch):
    """With no time for the whole, the cases alone find the answer."""
    monkeypatch.setattr("ramda_verify.proof.splitting.FIRST_TRY", 0.0)
    monkeypatch.setattr("ramda_verify.proof.splitting.LATER_TRIES", 0.0)
    size = z3.If(w > 0, w, -w)
    deadline = time.monotonic() + 30
    assert ask([size < 0], [], deadline).verdict == "unsat"
    assert ask([size > 1, w < 0, size * size < 4], [], deadline).verdict == "sat"
    assert ask([z3.If(size > 1, size, 1) < 1], [], deadline).verdict == "unsat"


def test_no_time_is_no_answer():
    assert ask([w > 0, z3.If(w > 1, w, 1) < 1], [], time.monotonic() - 1).verdict == "unknown"


def test_side_conditions_of_what_is_mentioned_are_kept():
    sides = [
        Side("a", z3.Real("a") * w == 1),
        Side("b", z3.Real("b") == z3.Real("a") + 1),
        Side("c", z3.Real("c") == 0),
    ]
    assert ask([z3.Real("b") < 1, w > 0], sides, time.monotonic() + 10).verdict == "unsat"
    assert ask([z3.Real("b") < 1, w < 0], sides, time.monotonic() + 10).verdict == "sat"


def taken_for(name):
    return lambda context, *arguments, **more: OPERATIONS[name](context, *arguments, **more)


def _swapped(where):
    return lambda context, held, yes, no: where(context, held, no, yes)


#: (operation, what it is taken for, a class that uses it)
MISREADINGS = [
    ("clamp", lambda context, array, *bounds: OPERATIONS["relu"](context, array), right.DistanceToInterval()),
    ("clamp", lambda context, array, *bounds: OPERATIONS["relu"](context, array), wrong.OpenBox()),
    ("sign", taken_for("neg"), right.CappedL1()),
    ("gt", taken_for("lt"), right.L0()),
    ("relu", taken_for("abs"), right.NonnegativeL1()),
    ("le", taken_for("gt"), right.Huber()),
    ("rsub", taken_for("sub"), right.GroupL2()),
    ("mul", taken_for("add"), wrong.StepTwice()),
    ("where", _swapped(OPERATIONS["where"]), wrong.WrongAboveAValue()),
]


@pytest.mark.parametrize(("name", "misread", "regularizer"), MISREADINGS)
def test_a_prover_that_misreads_neither_proves_nor_accuses(name, misread, regularizer, monkeypatch):
    """The reading is compared with the class before z3 is asked."""
    monkeypatch.setitem(OPERATIONS, name, misread)
    proof = prove(regularizer)
    assert proof.verdict in (ProofVerdict.NOT_PROVABLE, ProofVerdict.OUTSIDE), proof


def test_a_counterexample_that_the_class_does_not_bear_out_accuses_nobody(monkeypatch):
    values = {"w": 1.0, "step": 1.0, "z": 0.0, "reg_weight": 0.5}
    monkeypatch.setattr("ramda_verify.proof.counterexample._plainest", lambda *rest: values)
    monkeypatch.setattr("ramda_verify.proof.counterexample.MOST", 1)
    proof = prove(wrong.WrongAtOnePoint())
    assert proof.verdict is ProofVerdict.UNDECIDED
    assert "float64" in proof.detail
