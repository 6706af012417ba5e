"""Runs on the digits: what they leave behind, that a seed fixes them, that measured numbers are right."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from experiments.run_folder import LOG, RESULT, LogEntry, RunFolder, read_run
from experiments.runner import RunFailedError, prepare, run
from experiments.settings import OPTIMIZERS, read_settings
from experiments.support import SupportTracker
from experiments.tasks import TASKS
from experiments.tasks.logistic import evaluate
from ramda_verify.oracles.logistic_certificate import certify
from solvers import RAMDA, GroupLasso

RESULT_KEYS = {
    "task",
    "optimizer",
    "settings",
    "seed",
    "device",
    "steps",
    "test_accuracy",
    "objective",
    "groups",
    "zero_groups",
    "support",
    "support_stable_from_step",
    "identified_from_step",
    "differing_groups",
    "certified",
    "seconds",
    "versions",
    "machine",
}
LOG_KEYS = {
    "epoch",
    "step",
    "lr",
    "momentum",
    "objective",
    "objective_gap",
    "stationarity",
    "test_accuracy",
    "test_accuracy_of_average",
    "support_size",
    "differing_groups",
    "seconds",
}


def short_run(folder, optimizer="ramda", **options):
    return run(prepare("digits-logistic", optimizer, epochs=2, device="cpu", run_dir=folder, **options))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_leaves_a_result_and_a_log(tmp_path, optimizer):
    returned = short_run(tmp_path / "run", optimizer)
    result, log = read_run(tmp_path / "run")
    assert result == json.loads(json.dumps(returned))
    assert set(result) >= RESULT_KEYS
    assert [entry["epoch"] for entry in log] == [1, 2]
    assert set(log[-1]) == LOG_KEYS
    assert result["zero_groups"] == 64 - len(result["support"])
    assert {group["index"] for group in result["differing_groups"]} == set(result["support"]) ^ set(
        result["certified"]["support"]
    )
    assert log[-1]["differing_groups"] == len(result["differing_groups"])
    assert 1 <= result["support_stable_from_step"] <= result["steps"]
    assert result["objective_gap"] > 0


def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(entry) for key, entry in value.items() if "seconds" not in key}
    return [without_times(entry) for entry in value] if isinstance(value, list) else value


def test_a_seed_fixes_the_run(tmp_path):
    results = [short_run(tmp_path / str(index), seed=seed) for index, seed in enumerate((3, 3, 4))]
    logs = [read_run(tmp_path / str(index))[1] for index in range(3)]
    assert without_times(results[0]) == without_times(results[1])
    assert without_times(logs[0]) == without_times(logs[1])
    assert results[0]["objective"] != results[2]["objective"]


def test_evaluation_agrees_with_the_certificate():
    generator = np.random.default_rng(0)
    features, labels = generator.standard_normal((50, 6)), generator.integers(0, 3, 50)
    weight, bias = generator.standard_normal((3, 6)), generator.standard_normal(3)
    weight[:, [1, 4]] = 0
    truth = certify(features, labels, reg_weight=0.1, weight=weight, bias=bias)
    w, b, x, y = (torch.from_numpy(array) for array in (weight, bias, features, labels))
    found = evaluate(w, b, x, y, GroupLasso(0.1), chunk=7)
    assert found.objective == pytest.approx(truth.objective, rel=1e-13)
    assert found.stationarity == pytest.approx(truth.residual, rel=1e-12)


def test_support_tracker_counts_steps():
    param, expected = torch.zeros(2, 3), torch.tensor([True, False, True])
    tracker = SupportTracker(GroupLasso(1.0), param, expected)
    assert tracker.stable_from is None
    for nonzero in ([1, 1, 1], [1, 0, 1], [1, 1, 1], [1, 0, 1], [1, 0, 1]):
        tracker.observe(torch.zeros(1), torch.ones(1))
        tracker.observe(param, torch.tensor([nonzero, nonzero], dtype=torch.float32))
    assert tracker.steps == 5
    assert tracker.stable_from == 4
    assert tracker.identified_from == 4
    assert tracker.nonzero() == [0, 2]
    tracker.observe(param, torch.zeros(2, 3))
    assert tracker.stable_from == 6
    assert tracker.identified_from is None
    assert tracker.differing() == [0, 2]


def test_observers_see_the_structured_iterate():
    param = torch.nn.Parameter(torch.ones(2, 3))
    optimizer = RAMDA([param], regularizer=GroupLasso(1e-2))
    seen = []
    optimizer.observers.append(lambda which, structured: seen.append((which, structured)))
    param.grad = torch.tensor([[1.0, 1e-3, 2.0], [0.5, 1e-3, 1.0]])
    optimizer.step()
    assert seen[0][0] is param
    assert torch.equal(seen[0][1], optimizer.structured_iterate()[param])


def test_milestones_keep_their_share_of_the_run():
    settings = read_settings("mnist-logistic", "ramda")
    assert settings.with_epochs(50).milestones == (10, 20, 30, 40)
    assert settings.with_epochs(2).milestones == (1,)
    assert settings.with_epochs(1).milestones == ()
    assert settings.with_epochs(None) == settings


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_config_builds_its_optimizer(task, optimizer):
    settings = read_settings(task, optimizer)
    assert settings.milestones == tuple(sorted(settings.milestones))
    assert settings.milestones[-1] < settings.epochs
    TASKS[task].optimizer(torch.nn.Linear(4, 3), settings)


def test_finished_run_is_kept_unless_told_otherwise(tmp_path):
    short_run(tmp_path / "run")
    before = (tmp_path / "run" / "result.json").read_bytes()
    with pytest.raises(FileExistsError, match="--overwrite"):
        short_run(tmp_path / "run")
    assert (tmp_path / "run" / "result.json").read_bytes() == before
    short_run(tmp_path / "run", overwrite=True)


def test_failed_run_leaves_no_result(tmp_path):
    plan = prepare("digits-logistic", epochs=2, device="cpu", run_dir=tmp_path / "run")
    settings = replace(plan.settings, optimizer="proxsgd", hyperparameters={"lr": 1e38, "momentum": 1.0})
    with pytest.raises(RunFailedError):
        run(replace(plan, settings=settings))
    assert not (tmp_path / "run" / "result.json").exists()


def test_threads_are_given_back(tmp_path):
    before = torch.get_num_threads()
    short_run(tmp_path / "run", threads=before + 1)
    assert torch.get_num_threads() == before


def test_read_run_refuses_an_unfinished_one(tmp_path):
    with RunFolder(tmp_path / "run") as folder:
        folder.log(dict.fromkeys(LogEntry.__struct_fields__, 1))
    with pytest.raises(ValueError, match="not the folder of a finished run"):
        read_run(tmp_path / "run")


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        (RESULT, lambda text: text[:-30], "result.json"),
        (RESULT, lambda text: text.replace('"seed": 0', '"seed": "0"'), r"result.json.*int.*seed"),
        (RESULT, lambda text: text.replace('"schema": 1', '"schema": 2'), r"result.json.*schema 1.*2"),
        (RESULT, lambda text: text.replace('"groups"', '"group"'), r"result.json.*group"),
        (LOG, lambda text: text.splitlines()[0][:-30], "line 1 of log.jsonl"),
        (LOG, lambda text: text.replace('"epoch": 1', '"epoch": 1.5'), r"line 1 of log.jsonl.*int.*epoch"),
        (LOG, lambda text: "", "log.jsonl is empty"),
    ],
)
def test_read_run_refuses_another_document(tmp_path, file, change, words):
    short_run(tmp_path / "run")
    path = tmp_path / "run" / file
    path.write_text(change(path.read_text()))
    with pytest.raises(ValueError, match=words):
        read_run(tmp_path / "run")


def test_a_run_without_a_version_is_read(tmp_path):
    short_run(tmp_path / "run")
    result, log = read_run(tmp_path / "run")
    path = tmp_path / "run" / RESULT
    path.write_text(path.read_text().replace('"schema": 1,', "", 1))
    assert read_run(tmp_path / "run") == (result, log)
