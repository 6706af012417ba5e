"""The question of a proof by hand-made graphs, the cases in which it is asked, and what z3 answers."""

import time
from fractions import Fraction

import numpy as np
import pytest
import torch
import z3

from ramda_verify.proof import splitting
from ramda_verify.proof.elementwise import Unreadable
from ramda_verify.proof.extended import Number, constant
from ramda_verify.proof.forms import expanded, placed, sliced, squeezed
from ramda_verify.proof.groups import ALONG, SIZE, Coupled, Group, Part
from ramda_verify.proof.parameters import Parameter
from ramda_verify.proof.question import (
    Traced,
    _common_factor,
    entry_question,
    group_question,
    separability_question,
)
from ramda_verify.proof.ranges import Bound
from ramda_verify.proof.reading import read
from ramda_verify.proof.scaling import unit_cases
from ramda_verify.proof.splitting import Answer, _choice, ask, check
from ramda_verify.proof.terms import Anatomy, Context, boolean
from ramda_verify.proof.tracing import trace

w, z, step, a = z3.Reals("w z step a")


def traced(shape, prox, value, parameters=(), fixed=()) -> Traced:
    example = torch.linspace(0.5, 1.5, int(np.prod(shape)), dtype=torch.float64).reshape(shape)
    numbers = [torch.tensor(parameter.own, dtype=torch.float64) for parameter in parameters]
    paths = trace(prox, [example, torch.tensor(0.75, dtype=torch.float64), *numbers])
    return Traced(shape, tuple(parameters), tuple(fixed), paths, trace(value, [example, *numbers]))


def holds(question, wrong, **values) -> bool:
    """Whether what is wrong is so at these numbers, all in range."""
    solver = z3.Solver()
    solver.add(*question.conditions(wrong), *(side.condition for side in question.context.sides))
    solver.add(*(question.variables[name.replace("_", " ")] == Fraction(value) for name, value in values.items()))
    return solver.check() == z3.sat


def test_z_is_lower_where_its_objective_is():
    """psi is 1/2 w^2 and prox leaves w: its objective is step/2*w^2, against step/2*z^2 + 1/2 (z - w)^2."""
    question = entry_question(traced((1,), lambda w, step: w, lambda w: w.square().sum() / 2))
    for w_, z_, step_ in [(2, 1, 1), (2, 1, "1/4"), (2, 2, 1), (-2, -1, 1), (2, -1, 1), (0, 1, 1), (2, 1, "1/3")]:
        size, rival, length = map(Fraction, (w_, z_, step_))
        gap = length / 2 * size**2 - length / 2 * rival**2 - (rival - size) ** 2 / 2
        assert holds(question, question.lower, w=w_, z=z_, step=step_) == (gap > 0)
        assert holds(question, boolean(True), w=w_, z=z_, step=step_)
        assert holds(question, question.gap.term == z3.RealVal(gap), w=w_, z=z_, step=step_)
    assert question.undefined is False or not holds(question, question.undefined)
    assert not holds(question, boolean(True), step=0)
    assert not question.group


@pytest.mark.parametrize(
    ("prox", "value", "undefined"),
    [
        (lambda w, step: w / w, lambda w: w.sum() * 0, True),
        (lambda w, step: 1 / w, lambda w: w.sum() * 0, True),
        (lambda w, step: w, lambda w: (w / w).sum(), True),
        (lambda w, step: w, lambda w: (1 / w.abs()).sum(), False),
    ],
)
def test_a_prox_or_a_value_that_is_no_number_is_undefined(prox, value, undefined):
    """At w = 0; a value of infinity is a value."""
    question = entry_question(traced((1,), prox, value))
    assert holds(question, boolean(question.undefined), w=0, step=1) == undefined
    assert not holds(question, boolean(question.undefined), w=2, step=1)


def test_parameters_vary_in_their_ranges():
    free = Parameter("a", "a", 0.5, (Bound(">", 0.25), Bound("<=", "b")), "declared")
    fixed = Parameter("b", "b", 2.0, (Bound(">", 0.0), Bound(">", 3.0)), "declared")
    prox, value = (lambda w, step, a: w), (lambda w, a: a * w.abs().sum())
    question = entry_question(traced((1,), prox, value, [free], [fixed]))
    for number, inside in (("1/4", False), ("1/3", True), (2, True), ("2.1", False)):
        assert holds(question, boolean(True), a=number) == inside
    assert holds(question, question.lower, a=1, w=2, z=1, step=1)
    assert not holds(question, question.lower, a="1/2", w=2, z=1, step=1)


def test_a_parameter_and_a_step_that_are_not_negative_are_divided_by_as_plus_zero():
    free = Parameter("a", "a", 0.5, (Bound(">=", 0.0),), "declared")
    question = entry_question(traced((1,), lambda w, step, a: w * 0 + 1 / (a * step), lambda w, a: w.sum(), [free]))
    assert not [each for each in question.context.definitions if each.kind == "sign of zero"]


def test_the_objectives_of_a_group_are_those_of_its_norms():
    """psi is the norm; prox takes half of w: step*r/2 + r^2/8 against step*|z| + 1/2 (|z| - r)^2."""
    for count in (2, 3):
        question = group_question(traced((count,), lambda w, step: w / 2, lambda w: w.norm()))
        assert question.group
        for size, rival, length in [(4, 3, 1), (4, 2, 1), (4, 0, 3), (2, "1/2", "3/2"), (0, 0, 1), (0, 1, 1)]:
            r, s, t = map(Fraction, (size, rival, length))
            gap = t * r / 2 + r**2 / 8 - t * s - (s - r) ** 2 / 2
            at = {"w": r, "z": s, "step": t, "largest_of_w": r, "largest_of_z": s}
            assert holds(question, question.lower, **at) == (gap > 0)
            assert holds(question, question.gap.term == z3.RealVal(gap), **at)
        assert not holds(question, boolean(True), w=-1)
        assert not holds(question, boolean(True), z=4, largest_of_z=1)


def test_a_factor_that_is_no_number_is_undefined():
    question = group_question(traced((2,), lambda w, step: w * (1 / (w.norm() - 1)), lambda w: w.norm()))
    assert holds(question, boolean(question.undefined), w=1)
    assert not holds(question, boolean(question.undefined), w=2)
    question = group_question(traced((2,), lambda w, step: w, lambda w: w.norm() / w.norm()))
    assert holds(question, boolean(question.undefined), w=0)


@pytest.mark.parametrize(
    ("prox", "value", "mix"),
    [
        (lambda w, step: w / 2, lambda w: w.abs().sum(), False),
        (lambda w, step: w / (1 + step), lambda w: w.square().sum() + 0 * w.sum(), False),
        (lambda w, step: w + w.flip(0) * 0 if False else w - w.sum(), lambda w: w.abs().sum(), True),
        (lambda w, step: w / 2, lambda w: w.sum().abs(), True),
        (lambda w, step: w * torch.tensor([1.0, 2.0])[: w.shape[0]], lambda w: w.abs().sum(), True),
        (lambda w, step: 1 / w, lambda w: (1 / w).sum(), False),
        (lambda w, step: w / w, lambda w: w.abs().sum(), False),
    ],
)
def test_entries_mix_where_two_give_other_than_each(prox, value, mix):
    one, two = traced((1,), prox, value), traced((2,), prox, value)
    question = separability_question(one, two)
    assert holds(question, boolean(question.lower)) == mix
    assert question.undefined is False


def test_entries_that_are_computed_alike_are_not_asked_about():
    one, two = (traced((n,), lambda w, step: w / 2, lambda w: w.abs().sum()) for n in (1, 2))
    assert separability_question(one, two).lower is False


@pytest.mark.parametrize("shape", [(2,), (1, 2)])
def test_a_result_of_another_size_has_no_reading(shape):
    """One of another form has: a value of one axis, say."""
    inputs = [np.full(shape, Number(w), dtype=object)]
    example = [torch.ones(shape, dtype=torch.float64)]
    with pytest.raises(Unreadable, match=r"shape \(\) where \(2,\)"):
        read(Context(), trace(lambda w: w.sum(), example), inputs, (2,))
    assert read(Context(), trace(lambda w: w.reshape(-1), example), inputs, (2, 1)).shape == (2, 1)
    assert read(Context(), trace(lambda w: w.sum().reshape(1), example), inputs, ()).shape == ()


GROUP, _ = Group.named("g", 2)
OTHER, _ = Group.named("h", 2)
ONE, TWO, ZERO = (constant(Fraction(n)) for n in (1, 2, 0))


@pytest.mark.parametrize(
    "entries",
    [
        [Part(ALONG, ONE, 0, GROUP), Part(ALONG, TWO, 1, GROUP)],
        [Part(ALONG, ONE, 0, GROUP), ZERO],
        [ZERO, Part(ALONG, ONE, 1, GROUP)],
        [Part(ALONG, ONE, 1, GROUP), Part(ALONG, ONE, 0, GROUP)],
        [Part(SIZE, ONE, 0, GROUP), Part(SIZE, ONE, 1, GROUP)],
        [Part(ALONG, ONE, 0, OTHER), Part(ALONG, ONE, 1, OTHER)],
        [ONE, ONE],
        [Number(w), Number(w)],
    ],
)
def test_what_is_no_multiple_of_the_group_couples(entries):
    with pytest.raises(Coupled, match="its prox"):
        _common_factor(entries, GROUP)


def test_the_factor_of_a_multiple_is_found():
    assert _common_factor([Part(ALONG, TWO, index, GROUP) for index in range(2)], GROUP).term == 2
    assert _common_factor([ZERO, ZERO], GROUP).term == 0


def cases(*conditions, sides=()):
    return [{str(e.arg(0)): e.arg(1).as_long() for e in case} for case in unit_cases(Anatomy(), conditions, sides)]


def test_units_are_1_0_or_minus_1_by_what_is_known():
    assert cases(step > 0, step > 0) == [{"step": 1}]
    assert cases(step >= 0) == [{"step": 1}, {"step": 0}]
    assert cases(z3.Not(step == 0)) == [{"step": 1}, {"step": -1}, {"step": 0}]
    # What is known to be positive is chosen first; the units of both are one.
    assert cases(w > step, step > 0) == [{"step": 1}]
    assert cases(w > step, step >= 0) == [{"step": 1}, {"step": 0}]
    assert cases(w > 2 * w * w) == [{}]
    # What is said twice, or follows, fixes no more.
    assert cases(step > 0, w > step, w < 2 * step) == [{"step": 1}]
    assert cases(step > 0, w > z, z > step, w > step) == [{"step": 1}]
    assert cases(w > 0, z >= 0) == [{"w": 1, "z": 1}, {"w": 1, "z": 0}]
    assert cases(w > step, 2 * w > step, z > step, step > 0) == [{"step": 1}]
    # Of what has one unit that of fewest cases is chosen, whatever it is called.
    assert cases(w >= 0, z > 0, w > z) == cases(w > z, z > 0) == [{"z": 1}]
    assert cases(z >= 0, w > z) == [{"z": 1}, {"z": 0}]


@pytest.mark.parametrize(
    ("condition", "fixed"),
    [
        (w * w > step, ["step"]),
        (w + z > step, ["step"]),
        (w - z > step, ["step"]),
        (w * z > step, ["step", "w"]),
        (w * w * z == step * step, ["step", "w"]),
        (z3.If(w > 0, z, step) > 0, ["step", "w"]),
        (z3.If(w > 1, z, step) > 0, ["step"]),
        (z3.If(w > z, w, step) > 0, ["step"]),
        (w * 0 > step, ["step", "w"]),
        (w + 0 > step, ["step"]),
        (w * step > 1, ["step"]),
        (w * step > z3.RealVal(1) * z3.RealVal(2), ["step"]),
        (w == step + 1, []),
        (-w > step, ["step"]),
        (z3.Or(w > z, step > 0), ["step", "w"]),
    ],
)
def test_sums_and_comparisons_join_terms_of_one_unit(condition, fixed):
    assert sorted(cases(step > 0, condition)[0]) == fixed


def test_the_simplest_choice_is_split_first():
    anatomy = Anatomy()
    simple, longer = z3.If(w > 0, w, z), z3.If(w * w + z > step, w, z)
    assert _choice([simple > longer], anatomy).eq(w > 0)
    assert _choice([longer > simple], anatomy).eq(w > 0)
    assert _choice([longer > 1], anatomy).eq(w * w + z > step)
    assert _choice([longer > 1, longer > 1, simple > 1], anatomy).eq(w > 0)
    # A choice inside a comparison comes before it.
    nested = z3.If(simple > step, w, z)
    assert _choice([nested > 1], anatomy).eq(w > 0)
    both = z3.If(z3.And(w * z > 1, z3.Or(z > 2, z3.Not(step > w * z))), w, z)
    assert _choice([both > 1], anatomy).eq(z > 2)
    assert _choice([z3.If(z3.Not(z > 2), w, z) > 1], anatomy).eq(z > 2)
    assert _choice([w > 1, z3.Or(w > 2, z > 1)], anatomy) is None
    for held in (True, False):
        assert _choice([z3.If(z3.BoolVal(held), w, z) > 1], anatomy) is None
    # Beside a choice, and within what is chosen, a comparison is none on which it depends.
    assert _choice([z3.Or(z > 2, z3.And(z > 3, longer > 1))], anatomy).eq(w * w + z > step)
    assert _choice([z3.If(z3.Or(w * z > 1, w * w + z > step), z3.If(w * w + z > step, w, z), w) > 1], anatomy).eq(
        w * z > 1
    )
    for deep in (z3.If(w * z > step, simple, z), z3.If(w * z > step, z, simple)):
        assert _choice([deep > 1], anatomy).eq(w > 0)
    chosen = z3.If(w * w + z > step, z3.And(z > 2, w > z), w * w > z)
    assert _choice([chosen], anatomy).eq(w * w + z > step)


def test_a_case_that_is_absurd_or_answered_is_left(monkeypatch):
    """With no time for the whole, the cases alone find the answer, with the sides of what they mention."""
    monkeypatch.setattr(splitting, "FIRST_TRY", 0.0)
    monkeypatch.setattr(splitting, "LATER_TRIES", 0.0)
    context = Context()
    quotient = context.quotient(w, z)
    size = z3.If(quotient < 0, -quotient, quotient)
    deadline = time.monotonic() + 20
    assert ask([size < 0], context.sides, deadline).verdict == "unsat"
    assert ask([size > 2, w * w < z * z, z > 1], context.sides, deadline).verdict == "unsat"
    assert ask([size > 2, w > 0, z > 1], context.sides, deadline).verdict == "sat"
    found = ask([size > 2, w < 0, z > 1], context.sides, deadline)
    assert found.verdict == "sat"
    assert z3.is_true(found.model.eval(w < -2, model_completion=True))
    inner = z3.If(z3.If(w > 0, w, -w) > 1, z, 2 * z)
    assert ask([inner > 1, z < 0], [], deadline).verdict == "unsat"
    assert ask([inner > 1, 2 * z < 2, w > 1], [], deadline).verdict == "unsat"
    assert ask([inner > 1, 2 * z < 2, w > -1], [], deadline).verdict == "sat"
    # Of a comparison that is possible by itself either side may be absurd with what is chosen.
    for one, other in ((1, 2), (2, 1)):
        assert ask([z3.If(w > 3, z3.RealVal(one), z3.RealVal(other)) > 1], [], deadline).verdict == "sat"


def test_an_answer_has_a_model_where_there_is_one():
    assert check([w > 1, w < 0], 5) == Answer("unsat")
    found = check([w > 1, w < 2, z == 3], 5)
    assert (found.verdict, str(found.model[z])) == ("sat", "3")
    assert check([w > 1], 5, "smt").verdict == "sat"
    for seconds in (0, -1):
        assert check([w > 1], seconds) == Answer("unknown")
    assert ask([w > 1], [], time.monotonic() + 5).model is not None


def test_what_z3_gives_up_is_no_answer(monkeypatch):
    def gives_up(solver):
        raise z3.Z3Exception("canceled")

    monkeypatch.setattr(z3.Solver, "check", gives_up)
    assert check([w > 1], 5) == Answer("unknown")


def numbers(*shape):
    return np.arange(np.prod(shape)).reshape(shape).astype(object)


def alike(found, truth: torch.Tensor) -> bool:
    return np.shape(found) == tuple(truth.shape) and np.array_equal(
        np.asarray(found, dtype=float), truth.double().numpy()
    )


@pytest.mark.parametrize("shape", [(2, 3), (1, 3), (4, 2, 3), (2, -1), (-1, 3), (5, -1, -1)])
def test_arrays_are_expanded_as_in_torch(shape):
    array = numbers(1, 3) if -1 not in shape and shape[-2] == 1 else numbers(2, 3)
    assert alike(expanded(array, shape), torch.tensor(array.astype(float)).expand(shape))


@pytest.mark.parametrize("dim", [None, 0, 1, -1, 2, (0, 2), [1], (-1, 1)])
@pytest.mark.parametrize("shape", [(1, 3, 1), (2, 1, 1), (1, 1, 1)])
def test_arrays_are_squeezed_as_in_torch(shape, dim):
    tensor = torch.tensor(numbers(*shape).astype(float))
    truth = tensor.squeeze() if dim is None else tensor.squeeze(tuple(dim) if isinstance(dim, list) else dim)
    assert alike(squeezed(numbers(*shape), dim), truth)


@pytest.mark.parametrize("dim", [0, 1, -1])
@pytest.mark.parametrize(("start", "end", "step"), [(0, 2, 1), (1, None, 1), (None, 2**62, 2), (-2, -1, 1), (0, 0, 1)])
def test_slices_are_read_and_written_as_in_torch(dim, start, end, step):
    array, truth = numbers(3, 4), torch.tensor(numbers(3, 4).astype(float))
    end_ = truth.shape[dim] if end is None else min(end, truth.shape[dim])
    index = [slice(None), slice(None)]
    index[dim] = slice(start, end_, step)
    assert alike(sliced(array, dim, start, end, step), truth[tuple(index)])
    source = -1 - numbers(*truth[tuple(index)].shape)
    truth[tuple(index)] = torch.tensor(source.astype(float))
    found = placed(Context(), array, source, dim, index[dim])
    assert alike(found, truth)
    assert alike(array, torch.tensor(numbers(3, 4).astype(float)))


def test_one_place_of_a_vector_is_written():
    found = placed(Context(), numbers(3), np.array(9, dtype=object), 0, 1)
    assert list(found) == [0, 9, 2]
    found = placed(Context(), numbers(2, 2), np.array(9, dtype=object), 1, 0)
    assert found.tolist() == [[9, 1], [9, 3]]
