"""The README does what it says: its Python runs, its example of a wrong prox is caught and mended."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ramda_verify.output.legend import LEGEND

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
EXAMPLES = [block for block in BLOCKS if not block.startswith("# my_regularizer.py")]
(PLUG_IN,) = [block for block in BLOCKS if block.startswith("# my_regularizer.py")]


def test_training_example_is_accurate_and_sparse(capsys: pytest.CaptureFixture[str]) -> None:
    scope: dict[str, object] = {}
    exec(EXAMPLES[0], scope)
    assert scope["accuracy"] > 0.9
    assert scope["level"] > 0.3
    assert "GroupLasso(reg_weight=0.001, grouping='input')" in capsys.readouterr().out


def test_subproblem_example_converges(capsys: pytest.CaptureFixture[str]) -> None:
    exec(EXAMPLES[1], {})
    assert capsys.readouterr().out.startswith("CONVERGED ")


def test_weight_example_prints_a_range(capsys: pytest.CaptureFixture[str]) -> None:
    exec(EXAMPLES[3], {})
    assert "start between" in capsys.readouterr().out


def test_enclosure_example_proves_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = [block for block in EXAMPLES if "enclose(" in block]
    exec(example, {})
    shown = capsys.readouterr().out
    assert shown.startswith("proved with ")
    assert shown.endswith("within 1e-15 of the exact solution: True\n")


def test_the_legend_of_the_reports_is_that_of_the_readme() -> None:
    section = README.read_text(encoding="utf-8").split("## What a verdict means")[1].split("\n## ")[0]
    named = re.findall(r"^\| (\w+) \(", section, flags=re.MULTILINE)
    assert named == list(LEGEND)


@pytest.mark.parametrize(("mended", "status"), [(False, 1), (True, 0)])
def test_plug_in_example(tmp_path: Path, mended: bool, status: int) -> None:
    text = PLUG_IN.replace("(1 + 2 * step)", "(1 + step)") if mended else PLUG_IN
    (tmp_path / "my_regularizer.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "ramda_verify", "check", "my_regularizer.py:ElasticNet", "--quick", "--jobs", "1"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == status, ended.stdout + ended.stderr
    assert ("my_regularizer.py:ElasticNet')" in ended.stdout) != mended
    assert ("shrinks by 1/(1 + 2 step) where 1/(1 + step) minimises" in " ".join(ended.stdout.split())) != mended


def test_every_command_of_the_table_exists() -> None:
    named = set(re.findall(r"^\| `ramda-verify (\w+)", README.read_text(encoding="utf-8"), flags=re.MULTILINE))
    shown = subprocess.run([sys.executable, "-m", "ramda_verify", "--help"], capture_output=True, text=True, check=True)
    assert named >= {"run", "check", "paper", "train", "plot"}
    assert all(re.search(rf"\b{name}\b", shown.stdout) for name in named)
