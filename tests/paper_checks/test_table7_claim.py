"""Table 7: which runs are judged, which are made, and what passes."""

import json

import pytest

from experiments.run_folder import read_run
from paper_checks import table7_mnist
from paper_checks.claim import Settings
from ramda_verify.engine.record import Verdict


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("RAMDA_CACHE", str(tmp_path / "optima"))
    monkeypatch.setenv("RAMDA_DATA", str(tmp_path / "no-data-here"))
    return Settings(runs=tmp_path / "runs")


def full(settings, **more):
    return Settings(full=True, runs=settings.runs, **more)


def test_skips_without_full_and_without_data(settings):
    evidence = table7_mnist.check(settings)
    assert evidence.verdict is Verdict.SKIP
    assert "--full" in evidence.detail
    evidence = table7_mnist.check(full(settings))
    assert evidence.verdict is Verdict.SKIP
    assert "mnist.npz" in evidence.detail
    assert not settings.runs.exists()


def test_data_that_are_not_mnist_are_inconclusive(settings, tmp_path):
    (tmp_path / "mnist.npz").write_bytes(b"no archive")
    evidence = table7_mnist.check(full(settings, data_dir=tmp_path))
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "mnist.npz" in evidence.detail


def test_trains_judges_and_judges_again_without_training(settings, monkeypatch):
    said: list[str] = []
    evidence = table7_mnist.check(full(settings, progress=said.append), task="digits-logistic", epochs=2)
    # The digits are not MNIST: the numbers are far off, and are said to be.
    assert evidence.verdict is Verdict.FAIL
    assert "epoch 2 of 2" in said
    assert evidence.picture is not None
    monkeypatch.setattr(table7_mnist, "train", None)
    again = table7_mnist.check(settings, task="digits-logistic", epochs=2)
    assert again.numbers == evidence.numbers
    # A run of another length is not the paper's.
    other = table7_mnist.check(settings, task="digits-logistic", epochs=3)
    assert other.verdict is Verdict.INCONCLUSIVE
    assert "epochs" in other.detail


@pytest.mark.parametrize(
    ("zero_groups", "accuracy", "verdict"),
    [
        (450, 91.35, Verdict.PASS),
        (452, 91.16, Verdict.PASS),
        (453, 91.35, Verdict.FAIL),
        (447, 91.35, Verdict.FAIL),
        (450, 91.14, Verdict.FAIL),
        (450, 91.56, Verdict.FAIL),
        (450, float("nan"), Verdict.FAIL),
    ],
)
def test_both_sides_of_the_tolerances(settings, monkeypatch, zero_groups, accuracy, verdict):
    monkeypatch.setattr(table7_mnist, "_picture", lambda folder: None)
    result = {
        "zero_groups": zero_groups,
        "groups": 784,
        "test_accuracy": accuracy,
        "certified": {"zero_groups": 450},
        "differing_groups": [],
        "objective_gap": 0.0,
        "seed": 0,
        "settings": {"epochs": 500},
        "seconds": 1.0,
    }
    assert table7_mnist.judge(result, settings.runs).verdict is verdict


def test_a_broken_run_folder_is_inconclusive(settings):
    folder = settings.runs / "mnist-logistic-ramda-seed0"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps({}))
    with pytest.raises(ValueError, match="not the folder"):
        read_run(folder)
    assert table7_mnist.check(settings).verdict is Verdict.INCONCLUSIVE
