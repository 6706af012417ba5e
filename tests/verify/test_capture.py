"""What a step starts from, read off a parameter, its group and its state."""

import math

import numpy as np
import pytest
import torch

from ramda_verify.cases.recorded.capture import before_step, counters_of, tensors_of
from solvers import L1
from solvers.optimizers.saving import INNER

#: A state with a sum of the method, two counters, and what an inner solver keeps of either kind.
STATE = {
    "sum": torch.tensor([3.0, 4.0], dtype=torch.float64),
    "step": torch.tensor(5.0),
    "restarts": 2,
    f"{INNER}point": torch.ones(2),
    f"{INNER}theta": 0.5,
}


def started(group=None, state=STATE, dtype=torch.float32):
    param = torch.nn.Parameter(torch.tensor([1.0, -2.0], dtype=dtype))
    param.grad = torch.tensor([0.5, 0.25], dtype=dtype)
    return before_step("ramda", "layer.weight", param, {"regularizer": L1(0.5), **(group or {})}, state)


def test_a_state_is_its_sums_and_its_counters_without_those_of_an_inner_solver():
    sums = tensors_of(STATE)
    assert {name: value.tolist() for name, value in sums.items()} == {"sum": [3.0, 4.0]}
    assert sums["sum"].dtype == np.float32
    assert counters_of(STATE) == {"step": 5.0, "restarts": 2.0}
    assert all(type(value) is float for value in counters_of(STATE).values())


@pytest.mark.parametrize(("dtype", "name"), [(torch.float32, "float32"), (torch.bfloat16, "bfloat16")])
def test_a_step_that_has_not_been_taken(dtype, name):
    found = started(dtype=dtype)
    assert (found.name, found.parameter, found.optimizer, found.dtype) == ("layer.weight",) * 2 + ("ramda", name)
    assert (found.training, found.moment, found.step, found.regularizer) == ("", "", 0, L1(0.5))
    assert math.isnan(found.lam)
    assert found.counters == {"step": 5.0, "restarts": 2.0}
    expected = {"W": [1.0, -2.0], "G": [0.5, 0.25], "sum": [3.0, 4.0]}
    assert {key: value.tolist() for key, value in found.arrays.items()} == expected
    assert {value.dtype for value in found.arrays.values()} == {np.dtype(np.float32)}


def test_what_is_captured_is_a_copy():
    param = torch.nn.Parameter(torch.ones(2))
    param.grad = torch.zeros(2)
    found = before_step("rmda", "w", param, {"regularizer": L1(1.0)}, {})
    with torch.no_grad():
        param.fill_(7.0)
    assert found.W.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("group", "kept"),
    [
        ({"lr": 0.1, "momentum": 0.5, "maximize": True}, {"lr": 0.1, "momentum": 0.5}),
        ({"lr": 0.0, "momentum": 0.0, "eps": 0.0}, {"lr": 0.0, "momentum": 0.0, "eps": 0.0}),
        ({"betas": (0.9, 0.99)}, {"betas": [0.9, 0.99]}),
        ({"weight_decay": 0.25, "amsgrad": True}, {"weight_decay": 0.25, "amsgrad": True}),
        ({"weight_decay": 0.0, "amsgrad": False}, {}),
    ],
    ids=["numbers", "zeros", "a pair", "options", "options that are off"],
)
def test_hyperparameters_are_kept_even_where_zero_and_options_where_they_are_on(group, kept):
    assert started(group).hyper == kept
