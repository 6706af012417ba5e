"""What the optimizers refuse: hyperparameters, parameters, gradients, checkpoints; and that nothing is touched then."""

import copy
import math

import pytest
import torch

from solvers import GroupLasso, NuclearNorm
from tests.registry import bad_settings, optimizers

ALL = optimizers()


BAD_PARAMETERS = [
    pytest.param(
        [torch.ones(2, dtype=torch.int64)], TypeError, r"parameter params\[0\] must be a dense real", id="int"
    ),
    pytest.param([torch.ones(2, dtype=torch.complex64)], TypeError, "must be a dense real", id="complex"),
    pytest.param([torch.ones(2).to_sparse()], TypeError, "must be a dense real", id="sparse"),
    pytest.param(["weight"], TypeError, "must be a torch.Tensor, got str", id="text"),
    pytest.param([("head.bias", torch.ones(3))], ValueError, "parameter head.bias cannot have", id="vector-in-groups"),
]


@pytest.mark.parametrize(("cls", "settings", "error", "message"), list(bad_settings(options=True)))
def test_bad_hyperparameter(cls, settings, error, message):
    with pytest.raises(error, match=message):
        cls([torch.nn.Parameter(torch.ones(2, 2))], **settings)


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize(("params", "error", "message"), BAD_PARAMETERS)
def test_bad_parameter(cls, params, error, message):
    with pytest.raises(error, match=message):
        cls(params, regularizer=GroupLasso(0.1))


@pytest.mark.parametrize("cls", ALL)
def test_bad_hyperparameter_of_one_group(cls):
    params = [torch.nn.Parameter(torch.ones(2, 2)) for _ in range(2)]
    with pytest.raises(ValueError, match="lr must be finite and >= 0, got -1"):
        cls([{"params": params[:1]}, {"params": params[1:], "lr": -1}])


@pytest.mark.parametrize("cls", ALL)
def test_refused_group_is_not_added(cls):
    made = cls([torch.nn.Parameter(torch.ones(2, 2))])
    for group in ({"params": torch.ones(2), "regularizer": NuclearNorm(1.0)}, {"params": torch.ones(2), "lr": -1}):
        with pytest.raises(ValueError, match=r"cannot have the regularizer|lr must be"):
            made.add_param_group(group)
    assert len(made.param_groups) == 1


def snapshot(optimizer):
    params = [param.detach().clone() for group in optimizer.param_groups for param in group["params"]]
    return params, copy.deepcopy(optimizer.state_dict())


def same(a, b):
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


BAD_GRADIENTS = [
    pytest.param(torch.tensor([[1.0, math.nan], [0, 0]]), "layer.weight has NaN or infinite entries", id="nan"),
    pytest.param(torch.tensor([[1.0, math.inf], [0, 0]]), "layer.weight has NaN or infinite", id="infinite"),
    pytest.param(torch.tensor([[1.0, -math.inf], [0, 0]]), "layer.weight has NaN or infinite", id="minus-infinite"),
    pytest.param(torch.ones(2, 2).to_sparse(), "layer.weight must be dense, got torch.sparse_coo", id="sparse"),
]


@pytest.mark.filterwarnings("ignore:.*became zero as a whole")
@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize(("gradient", "message"), BAD_GRADIENTS)
@pytest.mark.parametrize("steps", [0, 2])
def test_bad_gradient_touches_nothing(cls, gradient, message, steps):
    good, hit = (torch.nn.Parameter(torch.randn(2, 2)) for _ in range(2))
    optimizer = cls([("fine", good), ("layer.weight", hit)], regularizer=GroupLasso(0.01))
    for _ in range(steps):
        good.grad, hit.grad = torch.randn(2, 2), torch.randn(2, 2)
        optimizer.step()
    before = snapshot(optimizer)
    good.grad, hit.grad = torch.randn(2, 2), gradient
    with pytest.raises(ValueError, match=f"the gradient of parameter {message}"):
        optimizer.step()
    assert same(snapshot(optimizer), before)
    # And the run goes on as if nothing had been.
    hit.grad = torch.zeros(2, 2)
    optimizer.step()
    assert int(optimizer.state[hit]["step"]) == steps + 1


@pytest.mark.parametrize("cls", ALL)
def test_unnamed_parameter_is_named_by_its_place(cls):
    params = [torch.nn.Parameter(torch.ones(2, 3)) for _ in range(2)]
    optimizer = cls(params)
    params[0].grad, params[1].grad = torch.ones(2, 3), torch.full((2, 3), math.nan)
    with pytest.raises(ValueError, match=r"params\[1\] of shape \(2, 3\) has NaN .*\(1 such parameters\)"):
        optimizer.step()


@pytest.mark.parametrize("cls", ALL)
def test_other_regularizer_in_checkpoint(cls):
    saved = cls([torch.nn.Parameter(torch.ones(2, 2))], regularizer=GroupLasso(0.5)).state_dict()
    param = torch.nn.Parameter(torch.ones(2, 2))
    other = cls([param], regularizer=GroupLasso(0.25))
    param.grad = torch.ones(2, 2)
    other.step()
    before = snapshot(other)
    with pytest.raises(ValueError, match=r"saved with the regularizer GroupLasso\(reg_weight=0.5.*this optimizer has"):
        other.load_state_dict(saved)
    assert same(snapshot(other), before)
    assert other.param_groups[0]["regularizer"] == GroupLasso(0.25)


@pytest.mark.parametrize("cls", ALL)
def test_checkpoint_of_another_number_of_parameters(cls):
    params = [torch.nn.Parameter(torch.ones(2, 2)) for _ in range(2)]
    saved = cls(params).state_dict()
    one = cls(params[:1])
    before = snapshot(one)
    with pytest.raises(ValueError, match="doesn't match the size"):
        one.load_state_dict(saved)
    two_groups = cls([{"params": params[:1]}, {"params": params[1:]}])
    with pytest.raises(ValueError, match="different number of parameter groups"):
        one.load_state_dict(two_groups.state_dict())
    assert same(snapshot(one), before)
