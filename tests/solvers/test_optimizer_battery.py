"""The battery by which torch tests its own optimizers, run on ours.

Modelled on test/test_optim.py of torch. Where ours depart from it, and why:

- sparse gradients and complex parameters are refused by name (a regularizer is defined on real dense tensors);
- there are no flags foreach, fused and differentiable: ``backend`` takes their place, and a step is not differentiable;
- ``capturable`` needs a kernel, so it is refused at the first step where a parameter has none (memory with gaps);
- a step from a zero gradient moves the parameters by rounding at most (B/D is not W bit for bit), unless lr is 0.
"""

import copy
import inspect

import numpy as np
import pytest
import torch

from solvers import ProxGen
from tests.registry import OPTIMIZERS, advance, bad_settings, built, good_settings

each = pytest.mark.parametrize("row", OPTIMIZERS, ids=lambda row: row.cls.__name__)
every = pytest.mark.parametrize(("cls", "settings"), list(good_settings()))


@every
def test_a_loss_goes_the_right_way(cls, settings):
    """Down, or up where the group maximizes."""
    params, optimizer = built(cls, settings)
    target = [torch.randn_like(param) for param in params]

    def closure():
        optimizer.zero_grad()
        loss = sum((param - goal).square().sum() for param, goal in zip(params, target, strict=True))
        loss.backward()
        return loss

    first = float(optimizer.step(closure).detach())
    for _ in range(20):
        last = float(optimizer.step(closure).detach())
    assert (last > first) if settings.get("maximize") else (last < first)


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dtypes_of_parameter_and_sums(cls, settings, dtype):
    params, optimizer = built(cls, settings, dtype)
    advance(params, optimizer)
    for param in params:
        assert param.dtype == dtype
        assert bool(torch.isfinite(param).all())
        assert all(value.dtype == torch.float32 for value in optimizer.state[param].values() if value.ndim)


@every
def test_contiguous_or_not(cls, settings):
    """The order of the axes in memory does not change the numbers; a parameter with gaps steps as well."""
    params, optimizer = built(cls, settings)
    laid = [torch.nn.Parameter(param.detach().t().contiguous().t()) for param in params]
    wide = torch.zeros(6, 10, dtype=torch.float64)
    wide[:, ::2] = laid[0].detach()
    laid[0] = torch.nn.Parameter(wide[:, ::2])
    other = cls(list(zip(("weight", "other"), laid, strict=True)), **settings)
    advance(params, optimizer)
    advance(laid, other)
    for mine, theirs in zip(params, laid, strict=True):
        torch.testing.assert_close(mine.detach(), theirs.detach(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("cls", "settings", "error", "message"), list(bad_settings()))
def test_bad_settings(cls, settings, error, message):
    with pytest.raises(error, match=message):
        cls([torch.nn.Parameter(torch.ones(2, 2))], **settings)


@pytest.mark.parametrize(("cls", "settings", "error", "message"), list(bad_settings()))
def test_bad_settings_between_steps_touch_nothing(cls, settings, error, message):
    ((name, value),) = settings.items()
    params, optimizer = built(cls, {"lr": 1e-2})
    advance(params, optimizer)
    kept, before = [param.detach().clone() for param in params], copy.deepcopy(dict(optimizer.state))
    if name == "solve_every":
        optimizer.solve_every = value
    else:
        optimizer.param_groups[0][name] = value
    with pytest.raises(error, match=message):
        advance(params, optimizer, 1)
    assert all(torch.equal(param, old) for param, old in zip(params, kept, strict=True))
    assert all(
        torch.equal(a, b)
        for mine, old in zip(optimizer.state.values(), before.values(), strict=True)
        for a, b in zip(mine.values(), old.values(), strict=True)
    )


@each
@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        (torch.ones(2), TypeError, "iterable"),
        ({torch.nn.Parameter(torch.ones(2))}, TypeError, "ordered collection, got a set"),
        ([{"params": {torch.nn.Parameter(torch.ones(2))}}], TypeError, "ordered collection, got a set"),
        ([], ValueError, "empty parameter list"),
        ([torch.ones(2, requires_grad=True) * 2], ValueError, "non-leaf"),
        ([{"lr": 0.1}], KeyError, "params"),
    ],
    ids=["tensor", "set", "set-in-a-group", "none", "non-leaf", "no-params"],
)
def test_bad_params(row, params, error, message):
    with pytest.raises(error, match=message):
        row.cls(params)


@each
def test_a_parameter_in_two_groups(row):
    param = torch.nn.Parameter(torch.ones(2))
    with pytest.raises(ValueError, match="more than one parameter group"):
        row.cls([{"params": [param]}, {"params": [param]}])


@each
def test_lazy_parameters_ask_for_a_forward_pass(row):
    lazy = torch.nn.LazyLinear(3)
    with pytest.raises(ValueError, match=r"params\[0\] .*forward pass"):
        row.cls(lazy.parameters())


@each
def test_empty_parameters_are_stepped_over(row):
    """As shards of a tensor may be."""
    full, empty = torch.nn.Parameter(torch.randn(3, 2)), torch.nn.Parameter(torch.zeros(0, 2))
    optimizer = row.cls([full, empty], regularizer=GROUPED)
    before = full.detach().clone()
    full.grad, empty.grad = torch.randn(3, 2), torch.zeros(0, 2)
    optimizer.step()
    assert not torch.equal(full, before)
    assert optimizer.structured_iterate()[empty].shape == (0, 2)
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))


GROUPED = OPTIMIZERS[0].good["group LASSO"]["regularizer"]


@each
def test_no_gradients_no_step(row):
    params, optimizer = built(row.cls, {})
    before = [param.detach().clone() for param in params]
    optimizer.step()
    assert all(torch.equal(param, old) for param, old in zip(params, before, strict=True))
    assert not optimizer.state


@each
def test_a_zero_gradient_moves_by_rounding_at_most(row):
    params, optimizer = built(row.cls, {"lr": 1e-2})
    before = [param.detach().clone() for param in params]
    for param in params:
        param.grad = torch.zeros_like(param)
    optimizer.step()
    for param, old in zip(params, before, strict=True):
        torch.testing.assert_close(param.detach(), old, rtol=1e-14, atol=0)


@each
def test_hooks_around_a_step(row):
    params, optimizer = built(row.cls, {})
    seen = []
    handles = [
        optimizer.register_step_pre_hook(lambda made, args, kwargs: seen.append("before")),
        optimizer.register_step_post_hook(lambda made, args, kwargs: seen.append("after")),
    ]
    advance(params, optimizer, 1)
    for handle in handles:
        handle.remove()
    advance(params, optimizer, 1)
    assert seen == ["before", "after"]


@every
@pytest.mark.parametrize("default", [torch.float64, torch.float16], ids=str)
def test_the_default_dtype_has_no_say(cls, settings, default):
    params, optimizer = built(cls, settings, torch.float32)
    others, other = built(cls, settings, torch.float32)
    advance(params, optimizer)
    torch.set_default_dtype(default)
    try:
        advance(others, other)
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(params, others, strict=True))


@each
@pytest.mark.parametrize("backend", ["plain", "auto"])
def test_a_layer_is_frozen_for_a_while(row, backend):
    """Its parameters and sums stay as they are meanwhile."""
    params, optimizer = built(row.cls, {"lr": 1e-2, "backend": backend})
    advance(params, optimizer)
    frozen, before = params[0], copy.deepcopy(optimizer.state[params[0]])
    point, frozen.grad = frozen.detach().clone(), None
    frozen.requires_grad_(False)
    advance(params[1:], optimizer)
    assert torch.equal(frozen, point)
    assert all(torch.equal(value, before[name]) for name, value in optimizer.state[frozen].items())
    frozen.requires_grad_(True)
    advance(params, optimizer)
    assert not torch.equal(frozen, point)


@each
def test_it_prints_and_keeps_its_defaults(row):
    _, optimizer = built(row.cls, {"lr": 0.25})
    assert row.cls.__name__ in repr(optimizer)
    assert "lr: 0.25" in repr(optimizer)
    options = inspect.signature(row.cls).parameters
    assert {"lr", "regularizer"} <= set(options)
    assert optimizer.defaults["lr"] == 0.25


@each
def test_a_group_may_set_what_it_likes(row):
    params = [torch.nn.Parameter(torch.ones(2, 2)) for _ in range(2)]
    optimizer = row.cls(
        [{"params": params[:1], "lr": np.float64(0.5), "name": "a tag"}, {"params": params[1:]}], lr=0.1
    )
    for param in params:
        param.grad = torch.ones(2, 2)
    optimizer.step()
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.1]
    assert optimizer.param_groups[0]["name"] == "a tag"


@each
def test_misspelt_and_foreign_keys_of_a_group(row):
    param = torch.nn.Parameter(torch.ones(2, 2))
    with pytest.raises(ValueError, match=r"'regulariser'.*'regularizer'"):
        row.cls([{"params": [param], "regulariser": GROUPED}])
    with pytest.warns(UserWarning, match="nesterov"):
        row.cls([{"params": [param], "nesterov": True}])


@each
@pytest.mark.parametrize(
    ("key", "meant"),
    [("regularisation", "regularizer"), ("regularization", "regularizer"), ("learning_rate", "lr"), ("LR", "lr")],
)
def test_other_words_for_a_hyperparameter(row, key, meant):
    with pytest.raises(ValueError, match=f"'{key}'.*'{meant}'"):
        row.cls([{"params": [torch.nn.Parameter(torch.ones(2, 2))], key: 0.1}])


@each
@pytest.mark.parametrize("key", ["solve_every", "backend", "capturable", "reg_weight", "grouping"])
def test_a_group_has_no_options_of_the_whole_optimizer_or_of_a_regularizer(row, key):
    with pytest.warns(UserWarning, match=f"'{key}'.*no effect"):
        row.cls([{"params": [torch.nn.Parameter(torch.ones(2, 2))], key: 1}])


@each
def test_keys_that_schedulers_write_are_no_misspelt_ones(row):
    """As in groups that were taken from another optimizer."""
    keys = ("initial_lr", "max_lr", "min_lr", "swa_lr", "max_momentum", "base_momentum", "initial_momentum")
    param = torch.nn.Parameter(torch.ones(2, 2))
    optimizer = row.cls([{"params": [param], **dict.fromkeys(keys, 0.5)}])
    advance([param], optimizer, 1)
    assert all(optimizer.param_groups[0][key] == 0.5 for key in keys)


@each
@pytest.mark.parametrize("way", ["written", "loaded"])
def test_a_misspelt_key_that_a_group_gains_touches_nothing(row, way):
    params, optimizer = built(row.cls, {"regularizer": GROUPED})
    advance(params, optimizer)
    before = optimizer.state[params[0]][row.sums].clone()
    if way == "written":
        optimizer.param_groups[0]["regulariser"] = None
    else:
        saved = optimizer.state_dict()
        saved["param_groups"][0]["regulariser"] = None
        optimizer.load_state_dict(saved)
    with pytest.raises(ValueError, match=r"'regulariser'.*'regularizer'"):
        advance(params, optimizer, 1)
    assert torch.equal(optimizer.state[params[0]][row.sums], before)
    del optimizer.param_groups[0]["regulariser"]
    optimizer.param_groups[0]["a tag"] = "of the user's"
    advance(params, optimizer, 1)
    assert int(optimizer.state[params[0]]["step"]) == 4


def test_tensors_of_betas_are_read_at_every_step():
    first = torch.tensor(0.5)
    params, optimizer = built(ProxGen, {"betas": (first, 0.9)})
    advance(params, optimizer, 1)
    first.fill_(0.25)
    assert next(iter(optimizer.slots())).settings["betas"] == (0.25, 0.9)


@each
def test_no_regularizer_from_now_on(row):
    """None in a group means what it means in the constructor."""
    params, optimizer = built(row.cls, {"regularizer": GROUPED})
    advance(params, optimizer)
    optimizer.param_groups[0]["regularizer"] = None
    advance(params, optimizer, 1)
    assert int(optimizer.state[params[0]]["step"]) == 4
    assert optimizer.state_dict()["param_groups"][0]["regularizer"]["class"].endswith("Zero")


@each
@pytest.mark.parametrize(
    ("value", "error", "message"),
    [(1.0, TypeError, "regularizer .*1.0"), (type(GROUPED), TypeError, "the class GroupLasso")],
    ids=["number", "class"],
)
def test_a_bad_regularizer_between_steps_touches_nothing(row, value, error, message):
    params, optimizer = built(row.cls, {"regularizer": GROUPED})
    advance(params, optimizer)
    before = optimizer.state[params[0]][row.sums].clone()
    optimizer.param_groups[0]["regularizer"] = value
    with pytest.raises(error, match=message):
        advance(params, optimizer, 1)
    assert torch.equal(optimizer.state[params[0]][row.sums], before)


@each
def test_a_regularizer_that_does_not_fit_between_steps_touches_nothing(row):
    param = torch.nn.Parameter(torch.randn(3))
    optimizer = row.cls([("bias", param)])
    advance([param], optimizer)
    before = optimizer.state[param][row.sums].clone()
    optimizer.param_groups[0]["regularizer"] = GROUPED
    with pytest.raises(ValueError, match="parameter bias cannot have"):
        advance([param], optimizer, 1)
    assert torch.equal(optimizer.state[param][row.sums], before)


@each
def test_the_model_changes_its_dtype_between_steps(row):
    model = torch.nn.Linear(3, 2)
    optimizer = row.cls(model.parameters(), regularizer=None)
    for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.float32):
        model.to(dtype)
        optimizer.zero_grad()
        model(torch.ones(1, 3, dtype=dtype)).sum().backward()
        optimizer.step()
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        assert optimizer.state[model.weight][row.sums].dtype == wide
    assert int(optimizer.state[model.weight]["step"]) == 4
    assert bool(torch.isfinite(model.weight).all())


@each
def test_maximizing_is_minimizing_the_negative(row):
    runs = []
    for sign, maximize in ((1.0, True), (-1.0, False)):
        params, optimizer = built(row.cls, {"regularizer": GROUPED, "maximize": maximize})
        for _ in range(3):
            for param in params:
                param.grad = sign * (param.detach() - 1)
            optimizer.step()
        runs.append(params)
    assert all(torch.equal(one, other) for one, other in zip(*runs, strict=True))
