"""Learning-rate schedulers beside Stages: the product of both, whichever is stepped first. Stages as a scheduler."""

import copy
import io
import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch.optim.lr_scheduler import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiplicativeLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)

from solvers import RAMDA, GroupLasso, NuclearNorm, ProxGen, Stages
from solvers.optimizers.parameter_group import ParameterGroup, StagedRate, rate_of
from tests.registry import optimizers

ALL = optimizers()
STEPS, MILESTONES, GAMMA = 12, [4, 8], 0.1


class Halved(LRScheduler):
    """A user's own scheduler, which multiplies the rate that it finds."""

    def get_lr(self):
        return [group["lr"] * (0.5 if self.last_epoch == 5 else 1.0) for group in self.optimizer.param_groups]


SCHEDULERS = {
    "LambdaLR": lambda o: LambdaLR(o, lambda t: 1 / (1 + t)),
    "MultiplicativeLR": lambda o: MultiplicativeLR(o, lambda t: 0.9),
    "StepLR": lambda o: StepLR(o, 3, 0.1),
    "MultiStepLR": lambda o: MultiStepLR(o, [3, 4, 8], 0.1),
    "ConstantLR": lambda o: ConstantLR(o, 0.3, 6),
    "LinearLR": lambda o: LinearLR(o, 0.1, 1.0, 6),
    "ExponentialLR": lambda o: ExponentialLR(o, 0.9),
    "PolynomialLR": lambda o: PolynomialLR(o, 10, 2.0),
    "CosineAnnealingLR": lambda o: CosineAnnealingLR(o, 10, eta_min=0.01),
    "CosineAnnealingWarmRestarts": lambda o: CosineAnnealingWarmRestarts(o, 5, eta_min=0.01),
    "CyclicLR": lambda o: CyclicLR(o, 0.05, 0.2, 3, cycle_momentum=False),
    "OneCycleLR": lambda o: OneCycleLR(o, 0.2, 20, cycle_momentum=False),
    "SequentialLR": lambda o: SequentialLR(o, [LinearLR(o, 0.1, 1.0, 3), ExponentialLR(o, 0.9)], [3]),
    "ChainedScheduler": lambda o: ChainedScheduler([ConstantLR(o, 0.3, 6), ExponentialLR(o, 0.9)], o),
    "ReduceLROnPlateau": lambda o: ReduceLROnPlateau(o, factor=0.5, patience=1),
    "a user's own": Halved,
}


def built(cls=RAMDA, lr=0.1, **settings):
    param = torch.nn.Parameter(torch.ones(2, 2))
    return param, cls([param], lr=lr, **settings)


def rates(cls, make, order, lr=0.1):
    """The rates before each of STEPS steps, and those that a step then used."""
    param, optimizer = built(cls, lr)
    made = {
        "scheduler": make,
        "stages": lambda o: Stages(o, MILESTONES, GAMMA, ramp=False),
        # torch's schedulers see whether there was another one before them.
        "nothing": lambda o: ConstantLR(o, 1.0, 1),
    }
    drivers = [made[name](optimizer) for name in order]
    shown, used = [], []
    for _ in range(STEPS):
        shown.append(float(optimizer.param_groups[0]["lr"]))
        used.append(next(iter(optimizer.slots())).settings["lr"])
        param.grad = torch.zeros(2, 2)
        optimizer.step()
        for driver in drivers:
            driver.step(1.0) if isinstance(driver, ReduceLROnPlateau) else driver.step()
    return shown, used


@pytest.mark.parametrize("order", [("scheduler", "stages"), ("stages", "scheduler")], ids=" first, then ".join)
@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("cls", optimizers(takes="eps"))
def test_the_rate_is_the_product(cls, name, order):
    alone, _ = rates(cls, SCHEDULERS[name], [each if each == "scheduler" else "nothing" for each in order])
    stage = [GAMMA ** sum(t >= m for m in MILESTONES) for t in range(STEPS)]
    shown, used = rates(cls, SCHEDULERS[name], order)
    expected = [rate * factor for rate, factor in zip(alone, stage, strict=True)]
    assert shown == pytest.approx(expected, rel=1e-12)
    assert used == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["LambdaLR", "OneCycleLR", "ExponentialLR"])
def test_a_tensor_rate_holds_the_part_of_the_others(name):
    alone, _ = rates(RAMDA, SCHEDULERS[name], ("scheduler",))
    _, used = rates(RAMDA, SCHEDULERS[name], ("stages", "scheduler"), lr=torch.tensor(0.1, dtype=torch.float64))
    stage = [GAMMA ** sum(t >= m for m in MILESTONES) for t in range(STEPS)]
    assert used == pytest.approx([rate * factor for rate, factor in zip(alone, stage, strict=True)], rel=1e-6)


def test_a_loop_that_writes_its_own_rates():
    """As people do without a scheduler: by a formula, and by multiples of what they read."""
    param, optimizer = built()
    stages = Stages(optimizer, [2], 0.1)
    for t in range(4):
        for group in optimizer.param_groups:
            group["lr"] = 0.1 / (1 + t)
        param.grad = torch.zeros(2, 2)
        optimizer.step()
        stages.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1 / 4 * 0.1)
    optimizer.param_groups[0]["lr"] *= 0.5
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1 / 4 * 0.1 * 0.5)
    optimizer.param_groups[0]["lr"] = optimizer.param_groups[0]["lr"] / 2
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1 / 4 * 0.1 * 0.25)
    optimizer.param_groups[0].update(lr=0.3)
    assert optimizer.param_groups[0].get("lr") == pytest.approx(0.03)


def test_what_is_saved_is_plain():
    param, optimizer = built()
    stages, scheduler = Stages(optimizer, [1], 0.1), ExponentialLR(optimizer, 0.5)
    for _ in range(3):
        param.grad = torch.ones(2, 2)
        optimizer.step()
        scheduler.step()
        stages.step()
    file = io.BytesIO()
    torch.save([optimizer.state_dict(), stages.state_dict(), scheduler.state_dict()], file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    _, other = built()
    other_stages, other_scheduler = Stages(other, [1], 0.1), ExponentialLR(other, 0.5)
    for into, state in zip((other, other_stages, other_scheduler), saved, strict=True):
        into.load_state_dict(state)
    assert other.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"] == pytest.approx(0.1 * 0.125 * 0.1)
    assert other_stages.steps == 3
    assert type(copy.deepcopy(optimizer.param_groups[0])) is ParameterGroup
    number = optimizer.param_groups[0]["lr"]
    assert isinstance(number, StagedRate)
    assert type(copy.copy(number)) is float


@pytest.mark.parametrize("rate", [0.5, 2, np.float32(0.5), np.float64(0.5), np.int64(2), Fraction(1, 2)], ids=repr)
def test_a_rate_of_any_kind_of_number_is_read_with_the_factor_of_the_stage(rate):
    _, optimizer = built(RAMDA, lr=rate)
    optimizer.restart(0.25)
    group = optimizer.param_groups[0]
    assert group["lr"] == group.get("lr") == float(rate) / 4
    assert rate_of(group) == rate
    group["lr"] *= 2
    assert rate_of(group) == 2 * float(rate)


def test_what_is_no_rate_is_refused_by_the_step_with_the_name_of_the_setting():
    param, optimizer = built(RAMDA)
    optimizer.restart(0.25)
    optimizer.param_groups[0]["lr"] = "fast"
    assert optimizer.param_groups[0]["lr"] == "fast"
    param.grad = torch.zeros(2, 2)
    with pytest.raises(TypeError, match="lr must be a number >= 0, got 'fast'"):
        optimizer.step()


@pytest.mark.parametrize("make", [OneCycleLR, CyclicLR], ids=["OneCycleLR", "CyclicLR"])
@pytest.mark.parametrize("cls", optimizers(takes="momentum"))
def test_momentum_is_not_cycled(cls, make):
    param, optimizer = built(cls, momentum=0.1)
    with pytest.warns(UserWarning, match=r"momentum.* stays 0.1"):
        scheduler = OneCycleLR(optimizer, 0.1, 20) if make is OneCycleLR else CyclicLR(optimizer, 0.1, 0.2, 3)
    for _ in range(10):
        param.grad = torch.zeros(2, 2)
        optimizer.step()
        scheduler.step()
        assert optimizer.param_groups[0]["momentum"] == 0.1
    optimizer.param_groups[0]["momentum"] = 0.2
    assert optimizer.param_groups[0]["momentum"] == 0.2


def test_betas_are_cycled_as_adams():
    _, optimizer = built(ProxGen)
    adam = torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))], lr=0.1)
    for made in (optimizer, adam):
        OneCycleLR(made, 0.1, 20)
    assert optimizer.param_groups[0]["betas"] == adam.param_groups[0]["betas"]


@pytest.mark.parametrize("cls", optimizers(averages=True))
@pytest.mark.parametrize("first", [0.0, 0.1, 1.0])
def test_warm_up_leaves_eps_t_and_acceptance(cls, first):
    """eps_t is scaled by the largest rate so far, not by the first one, which may be 0."""
    torch.manual_seed(0)
    param = torch.nn.Parameter(torch.randn(4, 5, dtype=torch.float64))
    optimizer = cls([param], lr=0.1, regularizer=NuclearNorm(1e-2))
    scheduler = LambdaLR(optimizer, lambda t: min(1.0, first + t / 5))
    with optimizer.diagnostics.recorded() as reports:
        for _ in range(12):
            param.grad = torch.randn_like(param)
            optimizer.step()
            scheduler.step()
    assert optimizer.unaccepted_steps == 0
    counted = [report for report in reports if report.blocks[0].backend != "none"]
    assert len(counted) == (11 if first == 0 else 12)
    assert [report.step for report in counted] == list(range(1, len(counted) + 1))
    assert all(report.tolerance > 0 for report in counted)
    assert counted[-1].tolerance == pytest.approx(1e-3 * 0.1 / len(counted))


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("regularizer", [None, GroupLasso(1e-2), NuclearNorm(1e-2)], ids=["none", "group", "nuclear"])
@pytest.mark.parametrize("backend", ["auto", "plain"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("steps", [0, 3])
def test_a_rate_of_zero_moves_nothing(cls, regularizer, backend, dtype, steps):
    """Bit for bit, at the start and in the middle, with and without a gradient; averages of gradients go on."""
    torch.manual_seed(0)
    param = torch.nn.Parameter(torch.randn(8, 8).to(dtype))
    optimizer = cls([param], lr=0.1, regularizer=regularizer, backend=backend, weight_decay=0.1)
    for _ in range(steps):
        param.grad = torch.randn_like(param)
        optimizer.step()
    before, structured = param.detach().clone(), optimizer.structured_iterate()[param]
    optimizer.param_groups[0]["lr"] = 0.0
    for gradient in (torch.zeros_like(param), torch.randn_like(param)):
        param.grad = gradient
        optimizer.step()
    assert torch.equal(param, before)
    assert torch.equal(optimizer.structured_iterate()[param], structured)
    assert optimizer.unaccepted_steps == 0


def test_stages_in_a_sequence_count_from_where_they_take_over():
    param, optimizer = built(momentum=0.1)
    stages = Stages(optimizer, [3], gamma=0.1)
    sequence = SequentialLR(optimizer, [LinearLR(optimizer, 0.1, 1.0, 4), stages], [4])
    rates = []
    for _ in range(10):
        rates.append(round(float(optimizer.param_groups[0]["lr"]), 6))
        param.grad = torch.zeros(2, 2)
        optimizer.step()
        sequence.step()
    assert rates == [0.01, 0.0325, 0.055, 0.0775, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01]
    assert stages.steps == 6
    assert optimizer.param_groups[0]["momentum"] == pytest.approx(0.1 * math.sqrt(4))


def test_a_group_added_after_stages():
    param, optimizer = built(momentum=0.1)
    stages = Stages(optimizer, [2], gamma=0.1)
    late = torch.nn.Parameter(torch.ones(3))
    for t in range(5):
        if t == 3:
            optimizer.add_param_group({"params": [late], "momentum": 0.2})
        for each in (param, late):
            each.grad = torch.ones_like(each)
        optimizer.step()
        stages.step()
    first, second = optimizer.param_groups
    assert (first["lr"], second["lr"]) == (pytest.approx(0.01), 0.1)
    assert (first["momentum"], second["momentum"]) == (pytest.approx(0.1 * 2), pytest.approx(0.2 * 2))
    assert int(optimizer.state[late]["step"]) == 2


def test_a_group_added_between_two_stages_of_a_sequence():
    """Which has no initial rate: it keeps its own, and takes part in the restarts to come."""
    param, optimizer = built()
    sequence = SequentialLR(optimizer, [Stages(optimizer, ramp=False), Stages(optimizer, [1], ramp=False)], [2])
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(3))], "lr": 0.3})
    for _ in range(3):
        param.grad = torch.ones_like(param)
        optimizer.step()
        sequence.step()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.01, 0.03])


def test_last_rates_of_a_tensor_rate_are_products():
    param, optimizer = built(lr=torch.tensor(0.5))
    stages = Stages(optimizer, [2], gamma=0.1)
    shown = []
    for _ in range(3):
        param.grad = torch.ones_like(param)
        optimizer.step()
        stages.step()
        shown += stages.get_last_lr()
    assert shown == pytest.approx([0.5, 0.05, 0.05])


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
def test_stages_built_at_a_count_do_not_restart_again(steps):
    """``last_epoch`` as torch's schedulers take it, on an optimizer whose state is loaded: also at a milestone."""
    runs = []
    for resumed in (False, True):
        torch.manual_seed(0)
        param, optimizer = built(momentum=0.1)
        stages = Stages(optimizer, [2, 3], gamma=0.5)
        for t in range(7):
            if resumed and t == steps:
                saved, kept = copy.deepcopy(optimizer.state_dict()), param.detach().clone()
                param, optimizer = built(momentum=0.1)
                param.data.copy_(kept)
                optimizer.load_state_dict(saved)
                stages = Stages(optimizer, [2, 3], gamma=0.5, last_epoch=steps - 1)
                assert stages.steps == steps
            param.grad = torch.full((2, 2), float(t))
            optimizer.step()
            stages.step()
        runs.append(param.detach())
    assert torch.equal(*runs)


def test_resumed_stages_ramp_on():
    """Also where the optimizer was loaded before Stages were built."""
    runs = []
    for resumed in (False, True):
        torch.manual_seed(0)
        param, optimizer = built(momentum=0.1)
        stages = Stages(optimizer, [2], gamma=0.5)
        for t in range(8):
            if resumed and t == 4:
                saved, kept = [copy.deepcopy(made.state_dict()) for made in (optimizer, stages)], param.detach().clone()
                param, optimizer = built(momentum=0.1)
                param.data.copy_(kept)
                optimizer.load_state_dict(saved[0])
                stages = Stages(optimizer, [2], gamma=0.5)
                stages.load_state_dict(saved[1])
            param.grad = torch.full((2, 2), float(t))
            optimizer.step()
            stages.step()
        runs.append(param.detach())
    assert torch.equal(*runs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"milestones": [2, 6]}, r"milestones.*\[3, 6\].*\[2, 6\]"),
        ({"milestones": [3, 4, 6]}, r"milestones.*\[3, 6\].*\[3, 4, 6\]"),
        ({"gamma": 0.2}, "gamma .*0.1.*0.2"),
        ({"ramp": False}, "ramp .*True.*False"),
    ],
)
def test_stages_saved_with_other_settings_are_refused(options, message):
    _, optimizer = built()
    stages = Stages(optimizer, [3, 6])
    with warnings.catch_warnings(action="ignore"):
        for _ in range(4):
            stages.step()
    other = Stages(built()[1], **{"milestones": [3, 6], **options})
    with pytest.raises(ValueError, match=message):
        other.load_state_dict(stages.state_dict())
    assert other.steps == 0


def test_milestones_to_come_may_change():
    stages = Stages(built()[1], [3, 6])
    other = Stages(built()[1], [3, 9])
    saved = {**stages.state_dict(), "last_epoch": 4}
    with pytest.warns(UserWarning, match=r"\[3, 6\].*\[3, 9\]"):
        other.load_state_dict(saved)
    assert (other.steps, other.milestones) == (4, [3, 9])


def test_a_state_from_before_stages_were_a_scheduler():
    _, optimizer = built(momentum=0.1)
    stages = Stages(optimizer, [3])
    stages.load_state_dict({"steps": 5, "initial_momentum": [0.3]})
    assert stages.steps == 5
    assert optimizer.param_groups[0]["initial_momentum"] == 0.3
