"""Optional parts of the package: what each needs, and the line that says which is missing."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ramda_verify.output.extras import EXTRAS, is_there, missing_modules

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def packages(requirements: list[str]) -> list[str]:
    return [re.split(r"[\s<>=!~;\[]", requirement)[0] for requirement in requirements]


def test_extras_are_those_of_the_project() -> None:
    declared = {name: packages(entries) for name, entries in PROJECT["optional-dependencies"].items()}
    dev = PROJECT["optional-dependencies"]["dev"]
    assert {name: list(modules) for name, modules in EXTRAS.items()} == {
        name: found for name, found in declared.items() if name != "dev"
    }
    assert dev[0] == f"ramda-verify[{','.join(EXTRAS)}]"


def test_extras_are_complete_here() -> None:
    assert {extra: missing_modules(extra) for extra in EXTRAS} == dict.fromkeys(EXTRAS, ())


def test_a_hidden_module_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert missing_modules("train") == ("scikit-learn",)
    assert not is_there("no_such_module_of_anybody")


def without(modules: tuple[str, ...], program: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """A process in which these modules cannot be imported."""
    hidden = f"import sys; sys.modules.update(dict.fromkeys({modules!r}))\n"
    return subprocess.run([sys.executable, "-c", hidden + program], capture_output=True, text=True, cwd=folder)


COMMANDS = [
    ("hypothesis", ["check", "good.py:Ridge"], "check", "verify"),
    ("cvxpy", ["run"], "run", "verify"),
    ("z3", ["prove", "l1"], "prove", "verify"),
    ("matplotlib", ["bench", "--quick"], "bench", "bench"),
    ("sklearn", ["train", "digits-logistic"], "train", "train"),
    ("matplotlib", ["plot", "runs"], "plot", "train"),
    ("threadpoolctl", ["paper"], "paper", "train"),
    ("scipy", ["record", "steps.npz"], "record", "verify"),
]


@pytest.mark.parametrize(("module", "arguments", "command", "extra"), COMMANDS)
def test_a_command_says_which_extra_is_missing(module, arguments, command, extra, folder):
    program = f"sys.argv[1:] = {arguments!r}\nfrom ramda_verify.cli import main\nmain()"
    found = without((module,), program, folder)
    assert found.returncode == 2
    (line,) = found.stderr.splitlines()
    assert line.startswith(f"ramda-verify {command} ")
    assert f"'ramda-verify[{extra}]'" in line
    assert f"({next(name for name, imported in EXTRAS[extra].items() if imported == module)} is missing)" in line


#: What is imported with an extra, or several, and without all that they do not name.
PARTS = [
    ((), ("solvers", "ramda_verify", "ramda_verify.cli", "experiments.commands", "paper_checks.commands")),
    (("train",), ("experiments.runner", "experiments.plots", "experiments.summary", "experiments.starting_weights")),
    (("verify",), ("ramda_verify.commands.watched", "ramda_verify.output.html", "ramda_verify.proof.prover")),
    (("verify",), ("ramda_verify.api", "ramda_verify.cases.recorded.plan", "ramda_verify.cases.recorded.recorder")),
    (("bench",), ("experiments.bench.cases.registry", "experiments.bench.document", "experiments.bench.pictures")),
    (("verify", "train"), ("paper_checks.registry", "paper_checks.report")),
]


@pytest.mark.parametrize(("extras", "modules"), PARTS)
def test_parts_need_no_more_than_their_extras(extras, modules, tmp_path):
    allowed = {module for extra in extras for module in EXTRAS[extra].values()}
    others = {module for modules_of in EXTRAS.values() for module in modules_of.values()} - allowed
    found = without((*others, "pytest", "transformers", "triton"), f"import {', '.join(modules)}", tmp_path)
    assert found.returncode == 0, found.stderr


def test_doctor_needs_no_extra(tmp_path):
    hidden = tuple({module for modules in EXTRAS.values() for module in modules.values()})
    program = "sys.argv[1:] = ['doctor']\nfrom ramda_verify.cli import main\nmain()"
    found = without(hidden, program, tmp_path)
    assert found.returncode == 0, found.stderr
    for extra, modules in EXTRAS.items():
        assert f"extra {extra}: {next(iter(modules))}" in found.stdout
        assert f"'ramda-verify[{extra}]'" in found.stdout
