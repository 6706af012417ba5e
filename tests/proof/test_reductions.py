"""Reductions of arrays of numbers and of truth values compared with torch, along every axis."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
import z3

from ramda_verify.proof import reductions as r
from ramda_verify.proof.arrays import as_array
from ramda_verify.proof.elementwise import Unreadable
from ramda_verify.proof.evaluation import evaluate
from ramda_verify.proof.extended import Number, as_number, constant, multiply
from ramda_verify.proof.operators import OPERATIONS
from ramda_verify.proof.terms import Context

#: Arrays of torch; one with an infinity, one of truth values.
ARRAYS = [
    torch.tensor([[1.0, -2.0, 0.0], [0.5, 0.0, 4.0]], dtype=torch.float64),
    torch.tensor([[[1.0, -3.0]], [[0.0, math.inf]]], dtype=torch.float64),
    torch.tensor([2.0, -5.0, 0.25], dtype=torch.float64),
    torch.tensor(-3.0, dtype=torch.float64),
]
TRUTHS = torch.tensor([[True, False, True], [False, False, True]])


def numbers(context, array) -> torch.Tensor:
    values = [evaluate(context, n if isinstance(n, Number) else as_number(n), {}) for n in np.ravel(array)]
    return torch.tensor(values, dtype=torch.float64).reshape(np.shape(array))


def axes_of(array):
    yield None
    for axis in range(-array.ndim, array.ndim):
        yield axis
        yield [axis]
    if array.ndim > 1:
        yield [0, -1]
        yield list(range(array.ndim))


def norm_of_order(order):
    return (
        lambda context, array, dim, keepdim: r.vector_norm(context, array, order, dim, keepdim),
        lambda array, dim, keepdim: torch.linalg.vector_norm(array, order, dim=dim, keepdim=keepdim),
    )


REDUCTIONS = {
    "sum": (r.sum_over, torch.sum),
    "mean": (r.mean_over, torch.mean),
    "amax": (OPERATIONS["amax"], lambda a, dim, keepdim: a.amax([] if dim is None else dim, keepdim)),
    "amin": (OPERATIONS["amin"], lambda a, dim, keepdim: a.amin([] if dim is None else dim, keepdim)),
    **{f"norm of order {order:g}": norm_of_order(order) for order in (0, 1, 2, math.inf)},
}


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_a_reduction_is_that_of_torch_along_every_axis(name, keepdim):
    ours, of_torch = REDUCTIONS[name]
    for array in ARRAYS:
        for dim in axes_of(array):
            if keepdim and dim is None:
                continue
            context = Context()
            found = numbers(context, ours(context, array, dim=dim, keepdim=keepdim))
            torch.testing.assert_close(found, of_torch(array, dim=dim, keepdim=keepdim), msg=f"{array}, {dim}")


@pytest.mark.parametrize("name", ["sum", "amax", "amin"])
def test_a_reduction_of_truth_values(name):
    """A sum counts them; the largest is a truth value."""
    ours, of_torch = REDUCTIONS[name]
    for dim in axes_of(TRUTHS):
        context = Context()
        array = ours(context, TRUTHS, dim=dim, keepdim=False)
        torch.testing.assert_close(numbers(context, array), of_torch(TRUTHS, dim=dim, keepdim=False).double())
        assert all(isinstance(each, Number) is (name == "sum") for each in array.flat)


def test_the_extreme_of_numbers_and_truth_values_is_a_number():
    one = constant(Fraction(1, 2))
    assert [r.largest([one, True]).term, r.largest([False, one]).term] == [1, Fraction(1, 2)]
    assert [r.smallest([one, True]).term, r.smallest([False, one]).term] == [Fraction(1, 2), 0]


@pytest.mark.parametrize("name", ["max", "min"])
def test_along_an_axis_a_place_comes_with_the_extreme(name):
    context, array = Context(), ARRAYS[0]
    assert numbers(context, OPERATIONS[name](context, array)) == getattr(torch, name)(array)
    for dim in (0, 1, -1):
        for keepdim in (False, True):
            found, place = OPERATIONS[name](context, array, dim, keepdim)
            assert place is None
            torch.testing.assert_close(numbers(context, found), getattr(torch, name)(array, dim, keepdim).values)


@pytest.mark.parametrize(
    "name", ["sum", "mean", "amax", "amin", "all", "any", "count_nonzero", "norm", "linalg_vector_norm"]
)
def test_an_axis_is_not_kept_unless_it_is_asked_for(name):
    given = (2, [1]) if "norm" in name else (1,)
    assert OPERATIONS[name](Context(), ARRAYS[0], *given).shape == (2,)
    assert np.shape(OPERATIONS[name](Context(), ARRAYS[0])) == ()


def test_of_an_array_of_no_axes_none_is_kept():
    for keepdim in (False, True):
        found = r.sum_over(Context(), ARRAYS[3], 0, keepdim)
        assert (found.shape, found.item().term) == ((), -3)


@pytest.mark.parametrize("array", [TRUTHS, ARRAYS[0]])
def test_what_holds_of_all_or_any(array):
    for name in ("all", "any"):
        for dim in (None, 0, 1):
            for keepdim in (False, True) if dim is not None else (False,):
                context = Context()
                found = numbers(context, OPERATIONS[name](context, array, dim, keepdim))
                rule = getattr(torch, name)
                truth = rule(array) if dim is None else rule(array, dim, keepdim)
                assert torch.equal(found, truth.double())


@pytest.mark.parametrize("array", [TRUTHS, ARRAYS[0], ARRAYS[1]])
def test_what_is_not_zero_is_counted(array):
    for dim in (None, 0, 1, -1):
        context = Context()
        found = numbers(context, r.count_nonzero(context, array, dim))
        assert torch.equal(found, torch.count_nonzero(array, dim).double())


def test_the_older_norm_is_of_order_2_if_none_is_given():
    context, array = Context(), ARRAYS[0]
    for order in (None, 1, 2, math.inf):
        for dim in (None, [1]):
            found = numbers(context, r.older_norm(context, array, order, dim))
            torch.testing.assert_close(found, torch.norm(array, 2 if order is None else order, dim=dim))
    assert r.older_norm(context, array, 2, [0], True).shape == (1, 3)
    assert numbers(context, r.vector_norm(context, array)) == torch.linalg.vector_norm(array)


@pytest.mark.parametrize("order", [3, -1, 0.5, -math.inf])
def test_other_norms_have_no_reading(order):
    with pytest.raises(Unreadable, match="norm of order"):
        r.vector_norm(Context(), ARRAYS[0], order)


def test_sums_and_norms_of_one_entry_need_no_variable():
    context, w = Context(), Number(z3.Real("w"))
    assert r.total([w]) is w
    one = r.length(context, 2)([w])
    assert [evaluate(context, one, {"w": value}) for value in (-2.0, 3.0)] == [2, 3]
    assert not context.definitions
    root = OPERATIONS["sqrt"](context, as_array(context, r.sum_over(context, np.array([multiply(w, w)]))))[()]
    assert evaluate(context, root, {"w": -2.0}) == 2
    assert not context.definitions
    two = r.length(context, 2)([w, constant(Fraction(4))])
    assert evaluate(context, two, {"w": -3.0}) == 5


def test_the_sum_of_nothing_is_zero():
    assert r.total([]).term == 0
    assert r.sum_over(Context(), np.empty((0, 2), dtype=object)).item().term == 0
