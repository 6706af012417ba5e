"""Recorded steps: what the file holds, that slices are true, that checks run on them and can fail on them."""

import json
import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from ramda_verify import cli
from ramda_verify.cases.recorded import PATH, all_recorded, plan, recorded
from ramda_verify.cases.recorded.plan import OPTIMIZERS
from ramda_verify.cases.recorded.recorder import _recorded_parameters, record
from ramda_verify.cases.recorded.replay import replay
from ramda_verify.cases.recorded.slices import LARGEST, chosen, cut
from ramda_verify.cases.recorded.store import METADATA, read, write
from ramda_verify.problems.trainings import TRAININGS, begin, same
from solvers import L1, GroupLasso, NuclearNorm, Zero
from solvers.optimizers.saving import INNER

STEPS = list(all_recorded().values())


def test_the_file_is_small_and_says_how_it_was_made():
    assert PATH.stat().st_size < 2_000_000
    made = read(PATH).made
    assert {"command", "date", "seed", "versions"} <= made.keys()
    assert {"torch", "numpy"} <= made["versions"].keys()


def test_everything_is_among_the_recorded():
    assert {step.training for step in STEPS} == TRAININGS.keys() - {"wide-mlp"}
    assert {step.optimizer for step in STEPS} == OPTIMIZERS.keys()
    assert {step.moment for step in STEPS} == {"first", "middle", "restart", "ramp", "last"}
    assert {step.dtype for step in STEPS} == {"float32", "bfloat16"}
    assert {type(step.regularizer) for step in STEPS} == {GroupLasso, L1, NuclearNorm}
    groupings = {step.regularizer.grouping for step in STEPS if hasattr(step.regularizer, "grouping")}
    assert groupings == {"input", "output", "channel", "filter"}
    assert {len(step.shape) for step in STEPS} == {1, 2, 4}
    assert any(step.hyper.get("momentum") == 1.0 for step in STEPS)


def test_values_of_all_sizes_are_among_the_recorded():
    tiny = float(np.finfo(np.float32).tiny)
    sizes = {name: np.concatenate([np.abs(step.arrays[name]).ravel() for step in STEPS]) for name in ("W", "B")}
    for size in sizes.values():
        assert (size == 0).any()
        assert ((size > tiny) & (size < 1e-15)).any()
        assert (size > 1e-1).any()
    # A step makes no denormal W, but what it multiplies a tiny W0 by is small.
    assert ((sizes["B"] > 0) & (sizes["B"] < tiny)).any()
    assert all(np.isfinite(value).all() for step in STEPS for value in step.arrays.values())
    assert all((step.arrays["D"] > 0).all() for step in STEPS)


def test_groups_on_both_sides_of_the_threshold_are_among_the_recorded():
    ratios = []
    for step in STEPS:
        psi: Any = step.regularizer
        if hasattr(psi, "grouping"):
            groups = np.moveaxis(step.B, psi.groups.axis, 0).reshape(-1, step.B.size // groups_of(step))
            price = step.lam * psi.reg_weight * math.sqrt(groups.shape[1])
            ratios += [math.hypot(*group) / price for group in groups]
    found = np.array(ratios)
    assert ((found > 0.9) & (found <= 1)).any()
    assert ((found > 1) & (found < 1.1)).any()
    assert (found < 1e-6).any()
    assert (found > 10).any()


def groups_of(step):
    return step.shape[step.regularizer.groups.axis]


def test_names():
    assert recorded(STEPS[0].name) is STEPS[0]
    with pytest.raises(KeyError, match="nowhere"):
        recorded("nowhere")
    with pytest.raises(AttributeError, match="nothing"):
        _ = STEPS[0].nothing


# Recording -----------------------------------------------------------------------------------------------------------


def short_run(name, steps=12):
    """One of the recorded runs, cut short."""
    wanted = {
        f"{run.training.name}-{run.optimizer}-{run.psi}": run for run in plan.runs() if run.dtype == torch.float32
    }
    return replace(wanted[name], steps=steps)


@pytest.mark.parametrize("name", ["mlp-ramda-reading", "mlp-proxgen-nuclear", "vocabulary-proxsgd-reading"])
def test_recording_again_gives_steps_of_the_same_form(name):
    again = list(record(short_run(name), seed=0))
    assert {step.moment for step in again} == {"first", "middle", "restart", "ramp", "last"}
    for step in again:
        known = recorded(step.name)
        assert step.shape == known.shape
        assert step.arrays.keys() == known.arrays.keys()
        assert step.counters.keys() == known.counters.keys()
        assert step.hyper.keys() == known.hyper.keys()
        assert step.regularizer == known.regularizer


def test_the_file_was_made_with_the_hyperparameters_of_the_plan():
    """A first step has them as they were given; later ones have what the schedules made of them."""
    first = [step for step in STEPS if step.moment == "first"]
    assert {step.optimizer for step in first} == OPTIMIZERS.keys()
    for step in first:
        planned = OPTIMIZERS[step.optimizer].hyperparameters
        assert {name: step.hyper[name] for name in planned} == planned


def test_the_two_largest_parameters_are_recorded():
    settings = OPTIMIZERS["ramda"].hyperparameters
    run = begin(TRAININGS["convolutions"], OPTIMIZERS["ramda"].make, same(L1(1e-4)), **settings)
    sizes = {
        name: param.numel()
        for group in run.optimizer.param_groups
        if isinstance(group["regularizer"], L1)
        for name, param in zip(group["param_names"], group["params"], strict=True)
    }
    assert len(set(sizes.values())) == len(sizes) > 2
    assert list(_recorded_parameters(run)) == sorted(sizes, key=sizes.__getitem__)[:-3:-1]


@pytest.mark.parametrize(
    ("sizes", "recorded"),
    [
        ({"zero": 900, "l1": 3, "nuclear": 400}, ["nuclear", "l1"]),
        ({"l1": 3, "zero": 900, "nuclear": 401}, ["l1"]),
        ({"nuclear": 1, "l1": 5000}, ["l1", "nuclear"]),
        ({"zero": 5}, []),
    ],
)
def test_parameters_are_recorded_wherever_their_group_comes(sizes, recorded):
    """Those without a regularizer never, and with one that couples all entries those of up to 400 of them."""
    kinds = {"zero": Zero(), "l1": L1(1.0), "nuclear": NuclearNorm(1.0)}
    groups = [
        {"regularizer": kinds[name], "param_names": [name], "params": [torch.zeros(size)]}
        for name, size in sizes.items()
    ]
    run = SimpleNamespace(optimizer=SimpleNamespace(param_groups=groups))
    assert list(_recorded_parameters(run)) == recorded


def test_recording_is_decided_by_the_seed():
    one, same, other = (list(record(short_run("mlp-rmda-reading", 6), seed)) for seed in (3, 3, 4))
    for a, b, c in zip(one, same, other, strict=True):
        assert all(np.array_equal(a.arrays[key], b.arrays[key]) for key in a.arrays)
        assert not np.array_equal(a.arrays["W"], c.arrays["W"])


def test_written_and_read_again(tmp_path):
    steps = list(record(short_run("mlp-proxgen-reading", 6), seed=0))
    path = tmp_path / "steps.npz"
    write(path, type(read(PATH))(steps, {"seed": 0}))
    found = read(path)
    assert found.made == {"seed": 0}
    for mine, right in zip(found.steps, steps, strict=True):
        assert replace(mine, arrays={}) == replace(right, arrays={})
        assert all(np.array_equal(mine.arrays[key], right.arrays[key]) for key in right.arrays)
    assert [entry.name for entry in tmp_path.iterdir()] == ["steps.npz"]


@pytest.mark.parametrize(
    "entries",
    [
        {},
        {METADATA: np.array("no JSON")},
        {METADATA: np.array(json.dumps({"schema": 7, "made": {}, "steps": []}))},
        {METADATA: np.array([object()])},
    ],
    ids=["empty", "no JSON", "another schema", "a pickle"],
)
def test_other_archives_are_refused(entries, tmp_path):
    np.savez(tmp_path / "other.npz", **entries)
    with pytest.raises(ValueError, match=r"other\.npz"):
        read(tmp_path / "other.npz")


def test_what_is_no_archive_is_refused(tmp_path):
    (tmp_path / "text.npz").write_text("text")
    with pytest.raises(ValueError, match=r"text\.npz"):
        read(tmp_path / "text.npz")
    with pytest.raises(OSError, match=r"none\.npz"):
        read(tmp_path / "none.npz")


@pytest.mark.parametrize("arguments", [("steps.txt",), ("nowhere/steps.npz",), ("steps.npz", "--seed", "-1")])
def test_bad_usage_of_the_command_ends_with_2(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = CliRunner().invoke(cli.app, ["record", *arguments])
    assert found.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_a_file(tmp_path, monkeypatch):
    run = short_run("mlp-rmda-reading")
    monkeypatch.setattr(plan, "runs", lambda: iter([run]))
    found = CliRunner().invoke(cli.app, ["record", str(tmp_path / "steps.npz"), "--seed", "5"])
    assert found.exit_code == 0, found.output
    recording = read(tmp_path / "steps.npz")
    assert len(recording.steps) == 10
    assert recording.made["seed"] == 5
    assert "record steps.npz --seed 5" in recording.made["command"]


# Slices --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("regularizer", "shape"),
    [
        (GroupLasso(0.5, "input"), (9, 40)),
        (GroupLasso(0.5, "output"), (40, 9)),
        (GroupLasso(0.5, "channel"), (5, 30, 3, 3)),
        (GroupLasso(0.5, "filter"), (3, 5, 3, 3)),
        (GroupLasso(0.5, "input"), (500, 7)),
        (GroupLasso(0.5, "input"), (3, 1)),
        (L1(0.5), (9, 40)),
    ],
    ids=str,
)
def test_the_solution_of_a_slice_is_the_slice_of_the_solution(regularizer, shape):
    whole = {key: torch.randn(shape, dtype=torch.float64) for key in ("W", "G", "B")}
    whole["D"] = torch.rand(shape, dtype=torch.float64) + 0.1
    places = chosen(regularizer, whole, 1.0)
    parts = {key: cut(regularizer, value, places) for key, value in whole.items()}
    assert parts["W"].numel() <= max(LARGEST, 2 * whole["W"].numel() // len(torch.unique(places)))

    def solution(B, D):
        found = regularizer.metric_prox(B, D, 1.0)
        return found if isinstance(found, torch.Tensor) else found.point

    expected = cut(regularizer, solution(whole["B"], whole["D"]), places)
    torch.testing.assert_close(solution(parts["B"], parts["D"]), expected, rtol=1e-12, atol=0)


def test_the_groups_that_matter_are_kept():
    # Psi charges sqrt(2) for a group's norm, and a group of ones has this norm.
    W, B, G = (torch.ones(2, 30) for _ in range(3))
    B[:, :3], B[:, 3], B[:, 4], B[:, 5:] = 0.1, 1.0001, 0.9999, 5.0
    W[:, 11], W[:, 12], W[:, 13] = 9.0, 0.0, 1e-20
    G[:, 21] = 0.0
    kept = chosen(GroupLasso(1.0, "input"), {"W": W, "B": B, "G": G, "D": W}, 1.0).tolist()
    assert {3, 4, 11, 12} <= set(kept)


def test_a_tensor_with_the_nuclear_norm_stays_whole():
    whole = {key: torch.randn(5, 4) for key in ("W", "G", "B", "D")}
    assert chosen(NuclearNorm(1.0), whole, 1.0) is None
    assert cut(NuclearNorm(1.0), whole["W"], None) is whole["W"]


# Replaying -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("moment", ["first", "last"])
@pytest.mark.parametrize("dtype", [None, torch.float64])
def test_a_step_is_taken_from_the_recorded_state(optimizer, moment, dtype):
    step = next(step for step in STEPS if (step.optimizer, step.moment) == (optimizer, moment))
    made, param = replay(step, dtype=dtype)
    assert np.array_equal(param.detach().double().numpy(), step.W)
    assert np.array_equal(param.grad.double().numpy(), step.G)
    for key, value in step.state.items():
        assert np.array_equal(made.state[param][key].double().numpy(), value)
    made.step()
    assert int(made.state[param]["step"]) == step.step
    form = made.normal_form(torch.tensor(step.W), made.state[param], made.param_groups[0])
    np.testing.assert_allclose(form.B.double().numpy(), step.B, rtol=0, atol=1e-5 * np.abs(step.B).max())
    assert math.isclose(float(form.lam), step.lam, rel_tol=1e-6)


def test_an_inner_solver_remembers_nothing_before_a_recorded_step():
    """The step that makes the state leaves a memory, which is no part of what was recorded."""
    iterative = [step for step in STEPS if not hasattr(step.regularizer, "group_norms") and step.optimizer == "ramda"]
    made, param = replay(iterative[-1])
    assert not [key for key in made.state[param] if key.startswith(INNER)]
    made.step()
    assert [key for key in made.state[param] if key.startswith(INNER)]
