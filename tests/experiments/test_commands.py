"""The commands ``train`` and ``plot`` as a user meets them: exit codes, messages, files."""

import json

import pytest
import typer
from typer.testing import CliRunner

from experiments import commands, summary
from experiments.runner import RunFailedError
from experiments.tasks import TASKS

application = typer.Typer()
application.command("train")(commands.train)
application.command("plot")(commands.plot)


def invoke(*arguments):
    found = CliRunner().invoke(application, [str(argument) for argument in arguments], env={"COLUMNS": "400"})
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    return found


def train_digits(folder, *more):
    return invoke("train", "digits-logistic", "--epochs", 2, "--device", "cpu", "--run-dir", folder, *more)


def test_train_then_plot(tmp_path):
    for optimizer in ("ramda", "proxsgd"):
        found = train_digits(tmp_path / optimizer, "--optimizer", optimizer)
        assert found.exit_code == 0, found.output
        assert "zero groups" in found.output
    found = invoke("plot", tmp_path / "ramda", tmp_path / "proxsgd", "--out", tmp_path / "figures")
    assert found.exit_code == 0, found.output
    assert (tmp_path / "figures" / "comparison.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "figures" / "comparison.pdf").read_bytes().startswith(b"%PDF")


BAD_TRAINING = [
    pytest.param(["cifar"], "mnist-logistic", id="unknown task"),
    pytest.param(["digits-logistic", "--optimizer", "adam"], "'ramda'", id="unknown optimizer"),
    pytest.param(["digits-logistic", "--device", "toaster"], "device must be", id="no such device"),
    pytest.param(["digits-logistic", "--device", "meta"], "device must be", id="device of another kind"),
    pytest.param(["digits-logistic", "--device", "cuda:99"], "CUDA devices are visible", id="absent device"),
    pytest.param(["digits-logistic", "--epochs", "0"], "epochs must be an integer >= 1", id="epochs 0"),
    pytest.param(["digits-logistic", "--epochs", "many"], "epochs", id="epochs not a number"),
    pytest.param(["digits-logistic", "--threads", "0"], "threads must be", id="threads 0"),
    pytest.param(["digits-logistic", "--seed", "-1"], "seed must be", id="negative seed"),
    pytest.param(["mnist-logistic"], "mnist.npz", id="missing data"),
    pytest.param(["digits-logistic", "--run-dir", "a-file/run"], "cannot be written", id="unwritable run folder"),
    pytest.param(["digits-logistic", "--momentum", "1"], "No such option", id="unknown option"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_TRAINING)
def test_train_refuses(tmp_path, arguments, message):
    (tmp_path / "a-file").write_text("")
    found = invoke("train", *arguments)
    assert found.exit_code == 2, found.output
    assert message in found.output
    assert "Traceback" not in found.output
    assert not (tmp_path / "runs").exists(), "nothing may be made before the input is found good"


def test_train_refuses_to_replace_a_finished_run(tmp_path):
    assert train_digits(tmp_path / "run").exit_code == 0
    found = train_digits(tmp_path / "run")
    assert found.exit_code == 2
    assert "--overwrite" in found.output
    assert train_digits(tmp_path / "run", "--overwrite").exit_code == 0


def test_train_that_fails_exits_with_1(tmp_path, monkeypatch):
    def fail(plan, on_epoch):
        raise RunFailedError("F is nan after epoch 1")

    monkeypatch.setattr("experiments.runner.run", fail)
    found = train_digits(tmp_path / "run")
    assert found.exit_code == 1
    assert "F is nan after epoch 1" in found.output


def test_plot_refuses(tmp_path):
    found = invoke("plot", tmp_path / "nothing")
    assert found.exit_code == 2
    assert "not the folder of a finished run" in found.output
    assert invoke("plot").exit_code == 2


def test_plot_refuses_runs_of_two_problems(tmp_path, monkeypatch):
    assert train_digits(tmp_path / "one").exit_code == 0
    text = (tmp_path / "one" / "result.json").read_text()
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "log.jsonl").write_text((tmp_path / "one" / "log.jsonl").read_text())
    (tmp_path / "two" / "result.json").write_text(text.replace('"digits-logistic"', '"another_task"'))
    found = invoke("plot", tmp_path / "one", tmp_path / "two")
    assert found.exit_code == 2
    assert "same problem" in found.output


def test_summary_of_runs(tmp_path):
    for optimizer in ("ramda", "rmda"):
        assert train_digits(tmp_path / optimizer, "--optimizer", optimizer).exit_code == 0
    summary.main([tmp_path / "ramda", tmp_path / "rmda"], tmp_path / "table", "digits")
    rows = json.loads((tmp_path / "table" / "digits.json").read_text())["runs"]
    assert [row["optimizer"] for row in rows] == ["RAMDA", "RMDA"]
    assert (tmp_path / "table" / "digits.md").read_text().count("\n| R") == 2
    assert (tmp_path / "table" / "digits.png").exists()


def test_help_names_the_tasks():
    assert all(task in invoke("train", "--help").output for task in TASKS)
