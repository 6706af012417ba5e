"""What the contract asks of value and prox before anything else is asked, and of psi in either layout of a weight."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ramda_verify.checks import BY_ID, measure
from ramda_verify.checks.regularizer.contract import kind_of_prox, kind_of_value
from ramda_verify.checks.regularizer.layout_claim import in_other_order
from solvers import GroupLasso
from tests.judges.regularizers import Made, zero


def contract(regularizer, shape=(2, 3)):
    return measure("contract", regularizer=regularizer, shape=shape)


@pytest.mark.parametrize(
    ("regularizer", "words"),
    [
        (Made(lambda w, more: w.sum()), "value(w) cannot be called with these arguments: missing"),
        (Made(lambda: 0.0), "value(w) cannot be called with these arguments: too many"),
        (Made(zero, lambda w: w), "prox(w, step) cannot be called with these arguments: too many"),
        (Made(lambda w: float(w.sum())), "value must return a 0-d tensor, got float"),
        (Made(zero, lambda w, step: w.float()), "prox returned dtype torch.float32 for dtype torch.float64"),
        (Made(zero, lambda w, step: w / 0), "prox returned [[inf, inf, inf], [inf, inf, inf]] for [[1.0, 1.0, 1.0]"),
    ],
)
def test_a_breach_of_the_contract_is_infinite_and_named(regularizer, words):
    found = contract(regularizer)
    assert found.violation == np.inf
    assert words in found.note


@pytest.mark.parametrize("value", [zero, torch.sum, lambda w, more=1: w.sum()], ids=["plain", "builtin", "default"])
def test_what_can_be_called_is_called(value):
    """A function that is built in, such as torch.sum, has no signature to look at."""
    assert contract(Made(value)).violation == 0


def test_both_are_asked_about_ones_of_the_shape_and_a_step_that_is_a_number_above_zero():
    asked = []

    def value(w):
        asked.append(w.clone())
        w[:] = 0  # which is a matter of manners
        return w.sum()

    def prox(w, step):
        asked.append(w.clone())
        assert step > 0
        return w

    assert contract(Made(value, prox), (4, 1)).violation == 0
    assert [w.tolist() for w in asked] == [np.ones((4, 1)).tolist()] * 2


W = torch.ones(2, 3, dtype=torch.float64)


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        (W + 1, None),
        (3.0, "prox must return a tensor, got float"),
        (W.T, "prox returned shape torch.Size([3, 2]) for shape torch.Size([2, 3])"),
        (W.half(), "prox returned dtype torch.float16 for dtype torch.float64"),
        (W.to("meta"), "prox returned device meta for device cpu"),
        (W.index_fill(1, torch.tensor([1]), torch.nan), "prox returned [[1.0, nan, 1.0], [1.0, nan, 1.0]] for [[1.0,"),
        (W.index_fill(1, torch.tensor([1]), -torch.inf), "prox returned [[1.0, -inf, 1.0], [1.0, -inf, 1.0]] for"),
    ],
)
def test_a_prox_is_of_the_kind_of_its_input(found, fault):
    said = kind_of_prox(found, W)
    assert said is None if fault is None else said.startswith(fault)


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        (torch.tensor(1.0), None),
        (torch.tensor(3), None),
        (torch.tensor(torch.inf), None),
        (torch.tensor(torch.nan), "value returned NaN"),
        (torch.tensor([1.0]), "value must return a 0-d tensor, got shape (1,)"),
        (torch.tensor(1j), "value must return a 0-d tensor, got shape ()"),
        (1.0, "value must return a 0-d tensor, got float"),
        (None, "value must return a 0-d tensor, got NoneType"),
    ],
)
def test_a_value_is_a_real_0d_tensor_and_no_nan(found, fault):
    assert kind_of_value(found) == fault


def dense(weight, order, groups):
    """The matrix (out, in, *kernel) that a weight stands for, block by block."""
    first, second = weight.shape[0] // groups, weight.shape[1]
    out, into = (first, second) if order == "out_in" else (second, first)
    found = np.zeros((groups * out, groups * into, *weight.shape[2:]))
    for block in range(groups):
        part = weight[block * first : (block + 1) * first]
        place = np.s_[block * out : (block + 1) * out, block * into : (block + 1) * into]
        found[place] = part if order == "out_in" else part.swapaxes(0, 1)
    return found


@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("rest", [(4,), (1,), (2, 3), (3, 2, 2)])
def test_the_other_order_is_the_same_linear_map(groups, rest):
    w = 1.0 + np.arange(6.0 * np.prod(rest)).reshape(6, *rest)
    other = in_other_order(w, groups)
    assert other.shape == (groups * rest[0], 6 // groups, *rest[1:])
    assert np.array_equal(dense(other, "in_out", groups), dense(w, "out_in", groups))


def laid_out(answers):
    """psi is one number or the other by the order of the layout; an error is raised, and None is none."""

    def for_layout(layout, shape):
        answer = answers[layout.order]
        if isinstance(answer, Exception):
            raise answer
        return None if answer is None else Made(lambda w: torch.tensor(answer))

    return Made(zero, for_layout=for_layout)


@pytest.mark.parametrize(
    ("here", "there", "expected"),
    [
        (3.0, 1.0, 0.5),
        (1.0, 3.0, 0.5),
        (-1.0, 3.0, 1.0),
        (3.0, -1.0, 1.0),
        (2.0, 2.0, 0.0),
        (0.0, 0.0, 0.0),
        (np.inf, np.inf, 0.0),
        (np.inf, 1.0, np.inf),
        (None, 1.0, 0.0),
        (1.0, None, 0.0),
        (ValueError("another"), 1.0, 0.0),
        (1.0, ValueError("another"), 0.0),
    ],
)
def test_psi_of_a_map_is_one_number_in_both_orders(here, there, expected):
    found = measure(
        "layout-claim", regularizer=laid_out({"out_in": here, "in_out": there}), w=np.ones((2, 2)), conv_groups=1
    )
    assert found.violation == expected
    if expected:
        assert found.note == f"psi is {here:.9g} for (out, in) and {there:.9g} for (in, out)"


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("grouping", ["input", "output"])
def test_a_layout_is_asked_for_with_the_weight_that_lies_so(groups, grouping):
    """Groups of inputs are rows in one order and columns in the other; who keeps to one of them is found out."""
    w = np.random.default_rng(0).standard_normal((4, 3, 2))
    right, asked = GroupLasso(1.0, grouping), []

    def for_layout(layout, shape):
        asked.append((layout.order, layout.conv_groups, tuple(shape)))
        return right.for_layout(layout, shape)

    for told, wrong in ((for_layout, False), (lambda layout, shape: right, True)):
        found = measure("layout-claim", regularizer=Made(zero, for_layout=told), w=w, conv_groups=groups)
        assert (found.violation > 1e-3) == wrong
        assert wrong or found.violation <= 1e-15
    assert asked == [("out_in", groups, (4, 3, 2)), ("in_out", groups, (3 * groups, 4 // groups, 2))]


@pytest.mark.parametrize(("length", "groups"), [(2, {1, 2}), (6, {1, 2, 3}), (9, {1, 3}), (5, {1})])
def test_blocks_divide_the_first_axis_of_a_weight_with_two_axes_or_more(length, groups):
    regularizer, drawn = Made(zero, shapes=[(length,), (length, 1)]), set()

    @settings(max_examples=200)
    @given(BY_ID["layout-claim"].cases(SimpleNamespace(instances=st.just(regularizer))))
    def draw(case):
        drawn.add((case["conv_groups"], case["w"].shape))

    draw()
    assert drawn == {(g, (length, 1)) for g in groups}


def test_shapes_are_those_of_the_regularizer():
    regularizer, drawn = Made(zero, shapes=[(7,), (2, 5)]), []

    @settings(max_examples=60)
    @given(BY_ID["contract"].cases(SimpleNamespace(instances=st.just(regularizer))))
    def draw(case):
        drawn.append((case["regularizer"], case["shape"]))

    draw()
    assert set(drawn) == {(regularizer, (7,)), (regularizer, (2, 5))}
