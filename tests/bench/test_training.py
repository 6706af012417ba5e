"""Whole runs are played without being disturbed, and every step of a run is accounted for."""

import math

import pytest
import torch

from experiments.bench.cases import training as case
from experiments.bench.goals import RUN_MEDIAN, RUN_P95
from experiments.bench.plan import Plan
from experiments.bench.rows import Skipped
from experiments.bench.timing import Effort
from experiments.bench.training import ends, player
from experiments.bench.training.points import steps_represented, timed_steps
from experiments.bench.training.snapshot import Snapshot
from experiments.bench.training.workloads import METHODS, WORKLOADS, Workload
from experiments.bench.workload import grouped
from ramda_verify.problems.trainings import MLP, begin, group_lasso
from ramda_verify.problems.trainings.resnet import RESNET18
from solvers import ProxGen
from solvers.regularizers.base import offers

STEPS = 9
TINY = Workload(
    "mnist",
    MLP,
    parameters=2_410,
    reg_weights={"RAMDA": 1e-3, "ProxGen": 1e-3},
    settings={"RAMDA": {"lr": 1e-1, "momentum": 0.5}, "ProxGen": {"lr": 1e-2}},
    steps=STEPS,
    quick_steps=STEPS,
)


@pytest.fixture
def brief(monkeypatch):
    monkeypatch.setattr(Plan, "point_effort", Effort(0.0, fewest=2, warm_up=1))
    return Plan(quick=True)


@pytest.mark.parametrize(
    ("steps", "milestones", "count", "expected"),
    [
        (1, [], 1, [1]),
        (2, [], 5, [1, 2]),
        (9, [3, 6], 2, [1, 2, 3, 4, 6, 7, 9]),
        (9, [9], 1, [1, 2, 9]),
        (100, [50], 5, [1, 2, 26, 50, 51, 75, 100]),
    ],
)
def test_the_steps_that_matter_are_timed(steps, milestones, count, expected):
    assert timed_steps(steps, milestones, count) == expected


@pytest.mark.parametrize(
    ("timed", "steps", "expected"), [([1], 1, [1]), ([1, 2, 9], 9, [1, 4, 4]), ([3, 4], 9, [3, 6])]
)
def test_every_step_is_represented_once(timed, steps, expected):
    assert steps_represented(timed, steps) == expected
    assert sum(expected) == steps


@pytest.mark.parametrize("method", METHODS)
def test_timing_does_not_disturb_the_run(method, brief):
    played_run = player.started(TINY, method, TINY.milestones(STEPS), 0)
    rival = player.Rival(played_run)
    alone = player.started(TINY, method, TINY.milestones(STEPS), 0)
    for _ in range(STEPS):
        for run in (played_run, alone):
            run.compute_gradients()
        rival.take_gradients()
        assert [number for number, _ in player.timings(played_run, rival, brief)] == [1]
        for run in (played_run, alone):
            run.step()
        rival.optimizer.step()
    for mine, other in zip(played_run.model.parameters(), alone.model.parameters(), strict=True):
        assert torch.equal(mine, other)
        states = played_run.optimizer.state[mine], alone.optimizer.state[other]
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.parametrize("steps", [0, 1])
@pytest.mark.parametrize("make", [METHODS["RAMDA"], ProxGen, torch.optim.AdamW])
def test_a_snapshot_brings_everything_back(make, steps):
    param = torch.nn.Parameter(torch.randn(3, 4))
    optimizer = make([param])
    param.grad = torch.randn(3, 4)
    for _ in range(steps):
        optimizer.step()
    snapshot = Snapshot(optimizer)
    before = param.detach().clone(), {key: value.clone() for key, value in optimizer.state.get(param, {}).items()}
    addresses = {key: value.data_ptr() for key, value in optimizer.state.get(param, {}).items()}
    optimizer.step()
    snapshot.restore()
    state = optimizer.state[param]
    assert torch.equal(param, before[0])
    assert state.keys() == before[1].keys()
    assert all(torch.equal(state[key], before[1][key]) for key in state)
    assert {key: value.data_ptr() for key, value in state.items()} == addresses


def test_a_run_has_two_rows_a_method(brief):
    rows = list(case.training_case("training-mnist", TINY, brief))
    expected = [measure[method].name for method in METHODS for measure in (RUN_MEDIAN, RUN_P95)]
    assert [row.measure for row in rows] == expected
    for row in rows:
        assert row.goal == "at most 2"
        assert row.low <= row.ratio <= row.high
        assert row.detail["restarts_after"] == [3, 6]
        assert {entry["step"] for entry in row.detail["timed"]} >= {1, 2, 3, 4, 6, 7, 9}


def test_median_and_percentile_count_steps_not_points():
    played = player.Played(100, [1, 2, 100], [1, 89, 10], zero_shares=[0.0, 0.5, 1.0])
    played.samples[1] = [{"ours": [ratio] * 3, "theirs": [1.0] * 3} for ratio in (50.0, 1.0, 4.0)]
    median, percentile = case.run_rows("training-mnist", "RAMDA", TINY, played, 1, Plan())
    assert (median.ratio, percentile.ratio) == (1.0, 4.0)
    assert (median.holds, percentile.holds) == (True, False)


def test_on_a_gpu_runs_are_skipped():
    plan = Plan(device=torch.device("meta"))
    for found in (case.training_case("training-mnist", TINY, plan), case.ends_case("training-ends", plan)):
        (entry,) = found
        assert isinstance(entry, Skipped)


@pytest.fixture(params=METHODS)
def ended(request, brief):
    return ends.EndedRun(TINY, request.param, brief)


@pytest.mark.filterwarnings("ignore:.*became zero as a whole")
@pytest.mark.parametrize(("state", "nonzero"), [("all groups zero", 0), ("one group nonzero", 1)])
def test_states_with_no_and_with_one_nonzero_group(ended, state, nonzero):
    ended.put(state)
    found = {}
    ended.run.optimizer.observers.append(lambda param, w_hat: found.update({param: w_hat}))
    ended.run.optimizer.step()
    for group in ended.run.optimizer.param_groups:
        psi = group["regularizer"]
        if grouped(psi) and offers(psi, "structure"):
            assert {int(psi.structure(found[param]).sum()) for param in group["params"]} == {nonzero}


def test_the_other_ends(ended):
    optimizer = ended.run.optimizer
    weights = [param.detach() for param in ended.run.model.parameters() if param.ndim == 2]
    before = [param.clone() for param in weights]
    ended.put("W denormal")
    assert all(0 < float(param.abs().max()) < torch.finfo(torch.float32).tiny for param in weights)
    ended.put("W0 = 0")
    assert all(torch.equal(param, kept) for param, kept in zip(weights, before, strict=True))
    assert not any(state.get("initial_point", torch.zeros(1)).any() for state in optimizer.state.values())
    ended.put("after 1e5 steps")
    assert {int(state["step"]) for state in optimizer.state.values()} == {100_000}
    for state in optimizer.state.values():
        # alpha = sum of lr*sqrt(t), lr = 0.1 * 0.1^2 after two restarts.
        assert "weight_sum" not in state or math.isclose(float(state["weight_sum"]), 1e-3 * 2 / 3 * 1e5**1.5)
    ended.put("all groups zero")
    ended.put("W0 = 0")
    assert all(torch.equal(param, kept) for param, kept in zip(weights, before, strict=True))


def test_parameters_are_counted_right():
    for workload in (*WORKLOADS, TINY):
        with torch.device("meta"):
            model = workload.training.build() if workload.training is not RESNET18 else None
        if model is not None:
            assert sum(param.numel() for param in model.parameters()) == workload.parameters


def test_most_channels_of_resnet18_are_dead():
    (workload,) = (entry for entry in WORKLOADS if entry.training is RESNET18)
    run = begin(RESNET18, METHODS["RAMDA"], group_lasso(1e-4))
    assert sum(param.numel() for param in run.model.parameters()) == workload.parameters
    run.compute_gradients()
    dead = total = 0
    for name, param in run.model.named_parameters():
        if param.ndim >= 2 and name != "conv1.weight":
            unread = ~(param.grad != 0).movedim(1, 0).flatten(1).any(dim=1)
            dead, total = dead + int(unread.sum()), total + unread.numel()
    assert 0.68 < dead / total < 0.72
