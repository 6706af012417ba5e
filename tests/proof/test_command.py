"""ramda-verify prove as a user sees it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ramda_verify.cli import app

PLUG_IN = """
import torch


class ElasticNet:
    def value(self, w):
        return w.abs().sum() + 0.5 * w.square().sum()

    def prox(self, w, step):
        return torch.sign(w) * (w.abs() - step).clamp_min(0) / (1 + 2 * step)


class Mended(ElasticNet):
    def prox(self, w, step):
        return torch.sign(w) * (w.abs() - step).clamp_min(0) / (1 + step)


class Weighted:
    def __init__(self, lam=0.5):
        if lam < 0:
            raise ValueError("lam")
        self.lam = lam

    def value(self, w):
        return self.lam * w.abs().sum()

    def prox(self, w, step):
        return torch.where(torch.as_tensor(self.lam) > 100, w, torch.sign(w) * (w.abs() - step * self.lam).clamp_min(0))


class Rounds:
    def value(self, w):
        return (w - w.round()).abs().sum()

    def prox(self, w, step):
        return w.round()
"""


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Call the command line in a folder with the plug-in above."""
    (tmp_path / "mine.py").write_text(PLUG_IN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    return lambda *arguments: CliRunner().invoke(app, ["prove", *arguments], env={"COLUMNS": "80", "TERM": "dumb"})


def snippets(output):
    """The pieces of Python in the output."""
    return re.findall(r"^import torch\n(?:.+\n)*?(?:print.*|    print.*)$", output, flags=re.M)


def test_the_library_passes_and_what_is_outside_says_so(call):
    result = call()
    assert result.exit_code == 0, result.output
    for name, verdict in (("l1", "proved"), ("group_lasso", "proved"), ("nuclear_norm", "outside")):
        assert re.search(rf"{name} +{verdict}", result.output)
    assert "svd" in result.output
    assert "rounding" in result.output
    assert max(map(len, result.output.splitlines())) <= 80


@pytest.mark.parametrize("name", ["ElasticNet", "Weighted"])
def test_a_counterexample_is_python_to_paste(call, name):
    result = call(f"mine.py:{name}")
    assert result.exit_code == 1
    assert re.search(rf"{name} +refuted", result.output)
    (snippet,) = snippets(result.output)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    run = subprocess.run([sys.executable, "-c", snippet], capture_output=True, text=True, env=environment, cwd="/")
    assert run.returncode == 0, run.stderr
    objectives = [float(text) for text in re.findall(r"^.*?\) tensor\(([-\d.e+]+)", run.stdout, flags=re.M)]
    assert objectives[1] < objectives[0]


@pytest.mark.parametrize(
    ("targets", "code"),
    [
        (("mine.py:Mended",), 0),
        (("mine.py:Mended", "l1"), 0),
        (("mine.py:Mended", "mine.py:ElasticNet"), 1),
        (("mine:Rounds",), 1),
        (("nuclear_norm",), 1),
        (("nothing",), 2),
        (("mine.py:Nothing",), 2),
        (("l1", "--report", "no/such/folder.md"), 2),
        (("l1", "--report", "."), 2),
        (("l1", "--seconds", "0"), 2),
    ],
)
def test_exit_codes(call, targets, code):
    assert call(*targets).exit_code == code


def test_the_report_is_a_table(call, tmp_path):
    assert call("mine.py:Mended", "nuclear_norm", "--report", "prove.md").exit_code == 1
    text = (tmp_path / "prove.md").read_text()
    assert re.search(r"\| Mended \| proved \| each entry \| no parameters \| [\d.]+ \|", text)
    assert re.search(r"\| nuclear_norm \| outside \|", text)
    for word in ("torch", "z3-solver", "cores", "rounding"):
        assert word in text
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != "") == ["mine.py", "prove.md"]


def test_help_names_the_exit_codes(call):
    result = call("--help")
    assert result.exit_code == 0
    assert "Exit codes" in result.output


def test_z3_is_imported_only_to_prove():
    code = "import sys, ramda_verify.commands.prove, ramda_verify.proof; print('z3' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
