"""A counterexample is one only where the object itself bears it out; and a term's value is computed a second time."""

import itertools
import math
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import pytest
import torch
import z3

from ramda_verify.proof.counterexample import MOST, _far_from, counterexamples, value_in
from ramda_verify.proof.evaluation import evaluate
from ramda_verify.proof.extended import Number
from ramda_verify.proof.question import Question
from ramda_verify.proof.replay import point_of, replay
from ramda_verify.proof.terms import Context

#: With psi = |.| the objective of z is 2*1.5 + 0.5*1.5^2 = 4.125.
VALUES = {"w": 3.0, "step": 2.0, "z": 1.5, "a": 0.5, "largest of w": 3.0}


def replayed(prox=lambda w, step: w.clone(), value=lambda w: w.abs().sum(), shape=(1,), values=VALUES, build=None):
    made = build or (lambda chosen: SimpleNamespace(prox=prox, value=value))
    return replay(made, lambda chosen: [f"a = {chosen['a']}"], shape, values, ["a"])


def test_a_point_of_lower_objective_is_a_counterexample():
    """prox leaves w = 3 where it is, at the objective 6."""
    found = replayed()
    assert found.confirmed
    assert found.counterexample.values == {"w": 3.0, "step": 2.0, "a": 0.5, "z": 1.5}
    assert "3 has the objective 6," in found.counterexample.note
    assert "z = 1.5 has 4.125" in found.counterexample.note
    assert found.counterexample.snippet.splitlines()[:4] == [
        "import torch", "a = 0.5", "w = torch.tensor([3.0], dtype=torch.float64)", "step = 2.0",
    ]  # fmt: skip
    assert found.counterexample.snippet.splitlines()[4:6] == [
        "p = regularizer.prox(w, step)", "z = torch.tensor([1.5], dtype=torch.float64)",
    ]  # fmt: skip


def test_the_better_prox_is_accused_of_nothing():
    found = replayed(prox=lambda w, step: w - 2)
    assert not found.confirmed
    assert "the objective of prox is 4," in found.reason
    assert "z = 1.5 4.125" in found.reason


EPS = torch.finfo(torch.float32).eps


@pytest.mark.parametrize(
    ("dtype", "gap", "confirmed"),
    [
        (torch.float64, 1.9e-13, False),
        (torch.float64, 2.1e-13, True),
        (torch.float32, 2 * EPS, False),
        (torch.float32, 3 * EPS, True),
    ],
)
def test_a_gap_below_rounding_is_no_counterexample(dtype, gap, confirmed):
    """All terms of both objectives sum to 2; of these 1e-13 is rounding, or the resolution of the dtype of psi."""

    def value(w):
        return torch.tensor(1 + gap if w.item() == 3 else 0.5, dtype=dtype)

    assert replayed(value=value, values={**VALUES, "step": 1.0, "z": 2.0}).confirmed is confirmed


def test_the_same_objective_accuses_nobody():
    """Not even where rounding is nothing, at zero."""
    assert not replayed(values={**VALUES, "w": 0.0, "z": 0.0}).confirmed
    assert not replayed(values={**VALUES, "z": 3.0}).confirmed


def test_a_count_is_compared_exactly():
    found = replayed(value=lambda w: torch.tensor(int(w.item() == 3)), values={**VALUES, "step": 1.0, "z": 2.0})
    assert found.confirmed
    assert "objective 1," in found.counterexample.note


@pytest.mark.parametrize("psi", [math.inf, 1e300])
def test_a_prox_outside_the_domain_is_a_counterexample(psi):
    assert replayed(value=lambda w: torch.tensor(psi if w.item() == 3 else 0.5, dtype=torch.float64)).confirmed


def test_no_z_outside_the_domain_is_a_counterexample():
    assert not replayed(value=lambda w: torch.tensor(0.5 if w.item() == 3 else math.inf, dtype=torch.float64)).confirmed


@pytest.mark.parametrize(("prox", "psi"), [(math.nan, 1.0), (math.inf, 1.0), (1.0, math.nan)])
def test_what_is_no_number_is_a_counterexample(prox, psi):
    found = replayed(prox=lambda w, step: w * 0 + prox, value=lambda w: torch.tensor(psi))
    assert found.confirmed
    assert found.counterexample.values == {"w": 3.0, "step": 2.0, "a": 0.5}
    assert found.counterexample.snippet.splitlines()[-2:] == ["print(p)", "print(regularizer.value(p))"]


def raises(*arguments):
    raise ValueError("not here")


@pytest.mark.parametrize("member", ["prox", "value"])
def test_prox_or_value_that_raises_at_w_is_a_counterexample(member):
    found = replayed(**{member: raises})
    assert found.confirmed
    assert "ValueError: not here" in found.counterexample.note
    assert found.counterexample.snippet.splitlines()[-1] == "print(regularizer.value(p))"


def test_a_value_that_raises_at_z_alone_accuses_nobody():
    found = replayed(value=lambda w: raises() if w.item() != 3 else w.abs().sum())
    assert (found.confirmed, "z = 1.5" in found.reason) == (False, True)


@pytest.mark.parametrize("prox", [lambda w, step: 3.0, lambda w, step: torch.ones(2)])
def test_what_is_no_tensor_of_the_shape_accuses_nobody(prox):
    found = replayed(prox=prox, value=lambda w: torch.tensor(7.0))
    assert (found.confirmed, "no tensor" in found.reason) == (False, True)


def test_parameters_that_the_class_refuses_accuse_nobody():
    found = replayed(build=raises)
    assert (found.confirmed, "refuses a = 0.5: not here" in found.reason) == (False, True)


def test_objectives_are_shown_to_the_digit_in_which_they_differ():
    found = replayed(
        value=lambda w: torch.tensor(1 + 1e-9 if w.item() == 3 else 0.5, dtype=torch.float64),
        values={**VALUES, "step": 1.0, "z": 2.0},
    )
    assert "objective 1.000000001," in found.counterexample.note
    assert found.counterexample.note.endswith("has 1")
    # Six of them at least.
    found = replayed(
        value=lambda w: torch.tensor(10 / 3 if w.item() == 3 else 0.1, dtype=torch.float64),
        values={**VALUES, "step": 1.0, "z": 2.0},
    )
    assert "objective 3.33333, z = 2 has 0.6" in found.counterexample.note


def test_a_group_is_replayed_with_all_its_entries():
    """w is (1.8, 2.4) and z (0.9, 1.2): their objectives are 2*4.2 and 2*2.1 + 0.5*1.5^2."""
    found = replayed(shape=(2, 1))
    assert "[1.8, 2.4] has the objective 8.4, z = [0.9, 1.2] has 5.325" in found.counterexample.note


@pytest.mark.parametrize("shape", [(1,), (1, 1), (2,), (2, 1), (1, 3), (4,), (5, 1)])
@pytest.mark.parametrize("size", [-2.0, 0.0, 3.5])
def test_a_point_has_the_norm_asked_for(shape, size):
    point = point_of(shape, size)
    assert (point.shape, point.dtype) == (shape, torch.float64)
    assert math.isclose(float(point.norm()), abs(size))
    assert bool((torch.sign(point) == math.copysign(1, size) * (size != 0)).all())


w, z, step = z3.Reals("w z step")


@pytest.mark.parametrize(("size", "far"), [(2.0, (4, -4, 1, -1, 0)), (-2.0, (4, -4, 1, -1, 0)), (0.0, (0, 5, -5))])
def test_far_is_twice_or_half_as_far(size, far):
    for value in far:
        assert z3.is_true(z3.simplify(z3.substitute(_far_from(w, size), (w, z3.RealVal(value)))))
    for value in () if size == 0 else (3.9, -3.9, 1.1, -1.1, 2):
        assert z3.is_false(z3.simplify(z3.substitute(_far_from(w, size), (w, z3.RealVal(value)))))


def test_values_of_a_model_are_floats():
    solver = z3.Solver()
    solver.add(w * w == 2, w < 0, 3 * z == 2)
    assert solver.check() == z3.sat
    assert value_in(solver.model(), w) == -math.sqrt(2)
    assert value_in(solver.model(), z) == 2 / 3
    assert math.isfinite(value_in(solver.model(), step))


def question(*conditions, gap=None):
    """A question whose z is lower where ``conditions`` hold; ``undefined`` where w is above 1."""
    a = z3.Real("a")
    return Question(
        Context(), {"a": a, "step": step, "w": w, "z": z}, [step > 0], Number(w), Number(w), w > 1,
        z3.And(*conditions), None if gap is None else Number(gap),
    )  # fmt: skip


def found_for(asked, wrong, own=0.25):
    solver = z3.Solver()
    solver.add(*asked.conditions(wrong))
    assert solver.check() == z3.sat
    return list(counterexamples(asked, wrong, solver.model(), {"a": own}))


def test_a_counterexample_has_plain_numbers_and_the_objects_own_parameters():
    asked = question(w * step > 2, z < -1, z3.Real("a") < 5)
    first, *more = found_for(asked, asked.lower)
    assert first == {"a": 0.25, "step": 1.0, "w": 3.0, "z": -2.0}
    # Then models that are far from all before: step and w at least twice as large, or half.
    assert len(more) == MOST - 1
    for place, later in enumerate(more, start=1):
        for before in [first, *more][:place]:
            for name in ("w", "step"):
                ratio = abs(later[name] / before[name])
                assert ratio >= 2 or ratio <= 0.5
    assert found_for(asked, asked.lower, own=7.0)[0]["a"] == 1.0


def test_where_only_one_point_is_wrong_it_is_the_only_counterexample():
    asked = question(w == 7, z == w / 14, step == 3)
    assert [(found["w"], found["z"], found["step"]) for found in found_for(asked, asked.lower)] == [(7, 0.5, 3)]


@pytest.mark.parametrize(("room", "least"), [("1", "1/1000"), ("1/2000", "1/1000000"), ("1/2000000", "1/1000000000")])
def test_a_gap_that_can_be_seen_is_asked_for(room, least):
    asked = question(w > 2, w < 2 + z3.RealVal(room), gap=w - 2)
    assert found_for(asked, asked.lower)[0]["w"] >= 2 + float(Fraction(least)) * (1 - 1e-6)


def test_the_largest_gap_may_be_just_the_one_asked_for():
    asked = question(w > 2, w <= 2 + z3.RealVal("1/1000"), gap=w - 2)
    assert [found["w"] for found in found_for(asked, asked.lower)] == [2.001]


def test_a_plain_number_of_a_small_gap_is_passed_over():
    asked = question(w > 0, gap=z3.If(w == 1, z3.RealVal("1/10000000"), z3.RealVal(1)))
    assert found_for(asked, asked.lower)[0]["w"] == 2


def test_a_gap_is_finite_where_it_can_be():
    asked = replace(question(w > 2), gap=Number(w - 2, up=w >= 3))
    assert 2 < found_for(asked, asked.lower)[0]["w"] < 3


def test_what_is_undefined_has_no_gap():
    asked = question(w > 2, gap=-1 - w * w)
    assert found_for(asked, asked.undefined)[0]["w"] == 2


real = z3.Real("a")
more = real + 1


@pytest.mark.parametrize(
    ("term", "value"),
    [
        (real + more + 2, 2 * -1.5 + 3),
        (real - more - 3, -4),
        (real * more * 2, 1.5),
        (-real, 1.5),
        (z3.If(real < 0, more, real), -0.5),
        (z3.If(real > 0, more, real), -1.5),
        (z3.If(more - 1 <= real, 1, z3.RealVal(0)), 1),
        (z3.If(more <= real, 1, z3.RealVal(0)), 0),
        (z3.If(real >= more - 1, 1, z3.RealVal(0)), 1),
        (z3.If(real >= -1, z3.RealVal(1), z3.RealVal(0)), 0),
        (z3.If(real < more - 1, z3.RealVal(1), z3.RealVal(0)), 0),
        (z3.If(real > more - 1, z3.RealVal(1), z3.RealVal(0)), 0),
        (z3.If(real == z3.RealVal("-3/2"), z3.RealVal(1), z3.RealVal(0)), 1),
        (z3.If(z3.And(real < 0, real > -1), z3.RealVal(1), z3.RealVal(0)), 0),
        (z3.If(z3.Or(real < 0, real > -1), z3.RealVal(1), z3.RealVal(0)), 1),
        (z3.If(z3.Not(real < 0), z3.RealVal(1), z3.RealVal(0)), 0),
        (z3.If(z3.BoolVal(True), z3.RealVal(1), z3.RealVal(0)), 1),
        (z3.If(z3.BoolVal(False), z3.RealVal(1), z3.RealVal(0)), 0),
        (Fraction(3, 4), 0.75),
    ],
)
def test_a_term_is_computed_a_second_time(term, value):
    assert evaluate(Context(), Number(term), {"a": -1.5}) == value


@pytest.mark.parametrize("a", [-4.0, -0.0, 0.0, 0.3, 5.0])
def test_variables_of_the_context_are_what_they_stand_for(a):
    context = Context()
    for kind, truth in (
        (context.quotient(Fraction(2), real), 0 if a == 0 else 2 / a),
        (context.root(real, 2), math.sqrt(max(a, 0))),
        (context.root(real, 3), max(a, 0) ** (1 / 3)),
        (context.angle(real), math.acos(min(1, max(-1, a)))),
        (z3.If(context.sign_of_zero(real), z3.RealVal(1), z3.RealVal(0)), float(math.copysign(1, a) > 0)),
    ):
        assert math.isclose(evaluate(context, Number(kind), {"a": a}), truth, rel_tol=1e-14)


@pytest.mark.parametrize(("degree", "ends"), [(1, (1, -1)), (2, (1, 0, -1)), (3, (1, 0.5, -0.5, -1))])
def test_a_root_of_a_chebyshev_polynomial_lies_in_its_interval(degree, ends):
    for high, low in itertools.pairwise(map(Fraction, ends)):
        for cosine in (-1.0, -0.4, 0.0, 0.7, 1.0):
            context = Context()
            root = context.chebyshev_root(real, degree, low, high)
            tau = evaluate(context, Number(root), {"a": cosine})
            assert low - 1e-9 <= tau <= high + 1e-9
            assert math.isclose(math.cos(degree * math.acos(max(-1, min(1, tau)))), cosine, abs_tol=1e-7)
        for outside in (-1.1, 1.1):
            assert evaluate(context, Number(root), {"a": outside}) == high
