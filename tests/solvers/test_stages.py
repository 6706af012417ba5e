"""Stages: what a restart touches, and the ramp to the digit."""

import math

import pytest
import torch

from solvers import RAMDA, GroupLasso, ProxGen, ProxSGD, Stages
from tests.registry import optimizers

ALL, DUAL = optimizers(), optimizers(averages=True)

BAD = [
    pytest.param({"milestones": [0]}, ValueError, r"milestones\[0\] must be an integer >= 1, got 0", id="zero"),
    pytest.param({"milestones": [3, 3]}, ValueError, r"must increase strictly, got \[3, 3\]", id="equal"),
    pytest.param({"milestones": [5, 3]}, ValueError, r"must increase strictly, got \[5, 3\]", id="falling"),
    pytest.param({"milestones": [1.5]}, TypeError, r"milestones\[0\] must be an integer >= 1, got 1.5", id="half"),
    pytest.param({"milestones": [True]}, TypeError, r"milestones\[0\] must be an integer", id="bool"),
    pytest.param({"gamma": 0.0}, ValueError, r"gamma must be in \(0, 1\], got 0.0", id="gamma-zero"),
    pytest.param({"gamma": 1.5}, ValueError, r"gamma must be in \(0, 1\], got 1.5", id="gamma-large"),
    pytest.param({"gamma": math.nan}, ValueError, "gamma must be in", id="gamma-nan"),
    pytest.param({"gamma": "0.1"}, TypeError, "gamma must be a number", id="gamma-text"),
]


def built(cls, **settings):
    param = torch.nn.Parameter(torch.randn(4, 3, dtype=torch.float64))
    return param, cls([param], regularizer=GroupLasso(0.01), **settings)


def advance(param, optimizer, stages=None, steps=1):
    for _ in range(steps):
        param.grad = torch.randn_like(param)
        optimizer.step()
        if stages is not None:
            stages.step()


@pytest.mark.parametrize(("options", "error", "message"), BAD)
def test_bad_stages(options, error, message):
    _, optimizer = built(RAMDA)
    with pytest.raises(error, match=message):
        Stages(optimizer, **options)


def test_only_our_optimizers_have_stages():
    with pytest.raises(TypeError, match="optimizer must be a StructuredOptimizer or wrap one, got SGD"):
        Stages(torch.optim.SGD([torch.nn.Parameter(torch.ones(1))]))


@pytest.mark.parametrize("cls", ALL)
def test_restart_multiplies_the_rate(cls):
    param, optimizer = built(cls, lr=0.5)
    stages = Stages(optimizer, [2, 5], gamma=0.1)
    rates = []
    for _ in range(6):
        rates.append(optimizer.param_groups[0]["lr"])
        advance(param, optimizer, stages)
    assert rates == pytest.approx([0.5, 0.5, 0.05, 0.05, 0.05, 0.005], rel=1e-12)
    assert stages.stage == 2
    assert stages.in_last_stage


@pytest.mark.parametrize("cls", DUAL)
def test_restart_begins_the_sums_anew(cls):
    param, optimizer = built(cls)
    advance(param, optimizer, steps=3)
    optimizer.restart(0.5)
    state = optimizer.state[param]
    assert torch.equal(state["initial_point"], param)
    assert all(value.eq(0).all() for key, value in state.items() if key != "initial_point")
    # W0 is a copy: the next step must not drag it along.
    kept = param.detach().clone()
    advance(param, optimizer)
    assert torch.equal(state["initial_point"], kept)
    assert not torch.equal(param, kept)


def test_restart_multiplies_eps_of_ramda_only():
    _, ramda = built(RAMDA, eps=1e-3)
    ramda.restart(0.1)
    assert ramda.param_groups[0]["eps"] == pytest.approx(1e-4)
    _, proxgen = built(ProxGen, eps=1e-3)
    proxgen.restart(0.1)
    assert proxgen.param_groups[0]["eps"] == 1e-3


@pytest.mark.parametrize("cls", optimizers(averages=False))
def test_restart_keeps_averages_of_the_others(cls):
    param, optimizer = built(cls)
    advance(param, optimizer, steps=2)
    before = {key: value.clone() for key, value in optimizer.state[param].items()}
    optimizer.restart(0.5)
    assert all(torch.equal(value, before[key]) for key, value in optimizer.state[param].items())


def test_restart_before_the_first_step_and_without_gradient():
    param, optimizer = built(RAMDA)
    optimizer.restart(0.5)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.005)
    advance(param, optimizer)
    assert int(optimizer.state[param]["step"]) == 1


@pytest.mark.parametrize("gamma", [0.0, -1.0, math.nan, "1"])
def test_bad_gamma_of_restart(gamma):
    _, optimizer = built(RAMDA)
    with pytest.raises((ValueError, TypeError), match="gamma must be"):
        optimizer.restart(gamma)
    assert optimizer.param_groups[0]["lr"] == 1e-2


@pytest.mark.parametrize("cls", DUAL)
@pytest.mark.parametrize("milestones", [[], [3], [2, 4]])
def test_ramp_to_the_digit(cls, milestones):
    c = 0.3
    param, optimizer = built(cls, momentum=c)
    stages = Stages(optimizer, milestones)
    last = milestones[-1] if milestones else 0
    used = []
    for _ in range(last + 14):
        used.append(optimizer.param_groups[0]["momentum"])
        advance(param, optimizer, stages)
    ramp = [min(c * math.sqrt(i), 1.0) for i in range(1, 15)]
    assert used == [c] * last + ramp
    assert used[-1] == 1.0


@pytest.mark.parametrize("cls", DUAL)
def test_stages_of_a_resumed_run_leave_its_momentum_until_the_next_step(cls):
    param, optimizer = built(cls, momentum=0.2)
    advance(param, optimizer, Stages(optimizer), steps=8)
    saved = optimizer.param_groups[0]["momentum"]
    assert saved > 0.2
    Stages(optimizer)
    assert optimizer.param_groups[0]["momentum"] == saved


def test_no_ramp_when_told_so_and_none_for_proxsgd():
    for cls, ramp in ((RAMDA, False), (ProxSGD, True)):
        param, optimizer = built(cls, momentum=0.3)
        advance(param, optimizer, Stages(optimizer, [], ramp=ramp), steps=20)
        assert optimizer.param_groups[0]["momentum"] == 0.3


def test_each_group_ramps_from_its_own_momentum():
    params = [torch.nn.Parameter(torch.randn(2, 2)) for _ in range(2)]
    optimizer = RAMDA([{"params": params[:1], "momentum": 0.1}, {"params": params[1:], "momentum": 0.4}])
    stages = Stages(optimizer)
    for _ in range(3):
        stages.step()
    assert [group["momentum"] for group in optimizer.param_groups] == [0.1 * 2.0, 0.4 * 2.0]


def test_w_is_what_once_the_ramp_is_done():
    param, optimizer = built(RAMDA, momentum=0.5)
    advance(param, optimizer, Stages(optimizer), steps=5)
    assert torch.equal(optimizer.structured_iterate()[param], param)


def test_state_dict_continues_where_it_was():
    param, optimizer = built(RAMDA, momentum=0.2)
    stages = Stages(optimizer, [3, 6], gamma=0.5)
    advance(param, optimizer, stages, steps=8)
    saved = stages.state_dict()
    fresh = Stages(optimizer, [3, 6], gamma=0.5)
    fresh.load_state_dict(saved)
    assert (fresh.steps, fresh.stage) == (8, 2)
    assert fresh.state_dict() == saved
    assert optimizer.param_groups[0]["initial_momentum"] == 0.2
    assert optimizer.param_groups[0]["momentum"] == pytest.approx(0.2 * 3**0.5)
