"""ramda-verify run and check, as a user and as a program sees them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from ramda_verify import cli
from ramda_verify.cases.recorded.passes import recorded_problems
from ramda_verify.checks import ALL_CHECKS
from ramda_verify.checks.regularizer import claims
from ramda_verify.engine import suite
from ramda_verify.engine.targets import known_regularizers, known_target
from solvers import L1

STATUSES = {"pass", "fail", "skip", "inconclusive", "proved"}
FIELDS = {
    *("check", "target", "status", "cases", "problems", "recorded", "enclosed", "worst", "tolerance", "seconds"),
    *("counterexample", "detail", "scope"),
}


@pytest.fixture
def call(folder, monkeypatch):
    """Call the command line in a folder of its own; few cases, one worker."""
    monkeypatch.setitem(suite.EXAMPLES, "quick", 5)
    monkeypatch.setitem(suite.EXAMPLES, "default", 12)

    def run(*arguments):
        return CliRunner().invoke(cli.app, list(arguments), env={"COLUMNS": "200", "TERM": "dumb"})

    return run


@pytest.fixture
def first_checks_only(monkeypatch):
    """Three checks of a regularizer, where a test needs a verdict and not all of them."""
    every = suite.check_jobs
    chosen = ("contract", "prox-minimises", "prox-optimality")
    monkeypatch.setattr(
        suite, "check_jobs", lambda *given, **options: [job for job in every(*given, **options) if job.check in chosen]
    )


def test_run_writes_a_report(call, folder):
    result = call("run", "--only", "prox-minimises", "--quick", "--jobs", "1", "--seed", "3")
    assert result.exit_code == 0, result.output
    document = json.loads((folder / "report" / "report.json").read_text())
    assert document["schema"] == 1
    assert document["seed"] == 3
    assert [row["target"] for row in document["results"]] == list(known_regularizers())
    assert any(row["recorded"] for row in document["results"])
    for row in document["results"]:
        assert row.keys() == FIELDS
        assert row["status"] == "pass"
        # The simplest and five, and on large tensors the simplest and one.
        assert 0 < row["cases"] - row["recorded"] <= 6 + 2
        assert (row["recorded"] > 0) == bool(recorded_problems(known_target(row["target"])))
        assert row["problems"] >= row["cases"]
    assert {"python", "torch", "numpy", "cvxpy"} <= document["versions"].keys()
    page = (folder / "report" / "report.html").read_text()
    assert "prox-minimises" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "report.json" in result.output


def _seeds(result, document):
    """The seed as the first line on standard error, the verdict and the report have it."""
    first = re.fullmatch(r"seed (\d+) \(--seed \1 repeats this run\)", result.stderr.splitlines()[0])
    assert first is not None, result.stderr
    assert f"seed {first[1]}:" in " ".join(result.stdout.split()) or result.stdout.startswith("{")
    assert document["seed"] == int(first[1])
    return document["seed"]


def test_run_without_a_seed_draws_one_that_repeats_it(call, folder):
    def run(*seed):
        result = call("run", "--only", "value-consistency", "--quick", "--jobs", "1", *seed)
        document = json.loads((folder / "report" / "report.json").read_text())
        found = [(row["check"], row["cases"], row["worst"]) for row in document["results"]]
        assert f"Seed {document['seed']}," in (folder / "report" / "report.html").read_text()
        return _seeds(result, document), found

    fresh, other = run(), run()
    assert fresh[0] != other[0]
    assert run("--seed", str(fresh[0])) == fresh
    assert run("--seed", "0")[0] == 0
    assert run("--seed", "0")[1] != run("--seed", "1")[1]


def test_check_without_a_seed_draws_one(call, first_checks_only):
    seeds = set()
    for _ in range(2):
        result = call("check", "good.py:Ridge", "--jobs", "1", "--format", "json")
        seeds.add(_seeds(result, json.loads(result.stdout)))
    assert len(seeds) == 2
    result = call("check", "good.py:Ridge", "--jobs", "1", "--seed", "11")
    assert "--seed 11 " in " ".join(result.stdout.split())


def test_run_into_a_folder_of_choice(call, folder):
    result = call("run", "--only", "convex-claim", "--quick", "--jobs", "1", "--report", "a/b")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (folder / "a" / "b").iterdir()) == ["junit.xml", "report.html", "report.json"]


def test_run_that_finds_something_ends_with_1(call, folder, monkeypatch):
    monkeypatch.setattr(claims, "model_value", lambda x, regularizer: 1e9)
    result = call("run", "--only", "cvxpy-value", "--quick", "--jobs", "1")
    assert result.exit_code == 1, result.output
    rows = json.loads((folder / "report" / "report.json").read_text())["results"]
    assert {row["status"] for row in rows} == {"fail"}
    assert all("print(measure('cvxpy-value'" in row["counterexample"]["snippet"] for row in rows)


def test_one_failure_among_passes_ends_with_1(call, folder, monkeypatch):
    right = claims.model_value
    monkeypatch.setattr(claims, "model_value", lambda x, psi: 1e9 if isinstance(psi, L1) else right(x, psi))
    result = call("run", "--only", "cvxpy-value", "--quick", "--jobs", "1")
    assert result.exit_code == 1, result.output
    rows = json.loads((folder / "report" / "report.json").read_text())["results"]
    assert {row["target"] for row in rows if row["status"] == "fail"} == {"l1"}
    assert len(rows) > 1


def test_inconclusive_ends_with_1(call, monkeypatch):
    monkeypatch.setattr(claims, "model_value", lambda x, regularizer: float("nan"))
    result = call("run", "--only", "cvxpy-value", "--quick", "--jobs", "1")
    assert result.exit_code == 1, result.output


def test_good_regularizer(call, first_checks_only):
    result = call("check", "good.py:Ridge", "--jobs", "1")
    assert result.exit_code == 0, result.output
    assert "prox-minimises" in result.output


def test_bad_regularizer_and_its_counterexample(call, folder, first_checks_only):
    result = call("check", "bad.py:Unshrunk", "--jobs", "1")
    assert result.exit_code == 1, result.output
    assert f"load_regularizer('{folder / 'bad.py'}:Unshrunk')" in result.output
    assert "print(measure('prox-minimises'" in result.output


@pytest.mark.parametrize(
    ("target", "code", "checks"),
    [
        ("good.py:stronger", 0, {check.id for check in ALL_CHECKS if check.kind == "regularizer"}),
        ("bad.py:Unshrunk", 1, {"manners", "prox-minimises", "prox-limits", "residual-claim"}),
    ],
)
def test_json(call, target, code, checks):
    only = [word for check in sorted(checks) for word in ("--only", check)] if code else []
    result = call("check", target, "--quick", "--jobs", "1", "--format", "json", *only)
    assert result.exit_code == code, result.output
    document = json.loads(result.stdout)
    assert document["schema"] == 1
    assert {row["check"] for row in document["results"]} == checks
    assert {row["status"] for row in document["results"]} <= STATUSES
    failures = [row for row in document["results"] if row["status"] == "fail"]
    assert bool(failures) == bool(code)
    for row in failures:
        assert row["counterexample"].keys() == {"case", "violation", "note", "snippet", "entries"}
    for row in document["results"]:
        assert (row["status"] == "skip") <= bool(row["detail"])


@pytest.mark.parametrize("target", ["bad.py:Unshrunk", "bad:Unshrunk"])
def test_snippet_reproduces_in_a_fresh_python(call, target, first_checks_only, tmp_path_factory):
    """As it is printed, and wherever it is pasted."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    document = json.loads(call("check", target, "--jobs", "1", "--format", "json").stdout)
    snippet = next(r["counterexample"]["snippet"] for r in document["results"] if r["check"] == "prox-optimality")
    found = subprocess.run([sys.executable, "-c", snippet], capture_output=True, text=True, check=True, cwd=elsewhere)
    assert found.stdout.startswith("Measurement(violation=")
    violation = float(found.stdout.split("violation=")[1].split(",")[0].removeprefix("np.float64(").rstrip(")"))
    assert violation > 1e-3


def test_printed_snippet_is_python(call, first_checks_only):
    """Its long comment too."""
    lines = call("check", "bad.py:Unshrunk", "--jobs", "1").output.splitlines()
    first = lines.index("import numpy as np")
    last = next(i for i, line in enumerate(lines) if line.startswith("# violation"))
    while lines[last + 1].startswith("#"):
        last += 1
    assert last > first
    compile("\n".join(lines[first : last + 1]), "printed", "exec")


MODULE, SCRIPT = ("-m", "ramda_verify"), (str(Path(sys.executable).parent / "ramda-verify"),)


@pytest.mark.parametrize(("command", "hidden"), [(MODULE, "solvers"), (SCRIPT, "experiments")])
def test_a_folder_of_the_users_hides_nothing_of_ours(command, hidden, folder):
    """A plug-in that imports its neighbour works, in a folder that has a package named like one of ours."""
    (folder / hidden).mkdir()
    (folder / hidden / "__init__.py").write_text("raise ImportError('not ours')")
    (folder / "neighbour.py").write_text("from good import Ridge\n")
    (folder / "plug_in.py").write_text("from neighbour import Ridge\n")
    for target in ("plug_in.py:Ridge", "plug_in:Ridge"):
        arguments = [sys.executable, *command, "check", target, "--quick", "--jobs", "1", "--seed", "1"]
        for check in ("prox-minimises", "prox-optimality"):
            arguments += ["--only", check]
        found = subprocess.run(arguments, capture_output=True, text=True, cwd=folder)
        assert found.returncode == 0, found.stdout + found.stderr


BAD_USAGE = [
    pytest.param(["check", "good.py:Rigde"], "no 'Rigde' in good.py", id="unknown-name"),
    pytest.param(["check", "good.py"], "package.module:Name or path/file.py:Name", id="no-colon"),
    pytest.param(["check", "absent.py:Ridge"], "there is no file absent.py", id="no-file"),
    pytest.param(["check", "raises.py:Ridge"], "RuntimeError: licence expired", id="module-raises"),
    pytest.param(["check", "useless.py:NoProx"], "lacks prox", id="no-prox"),
    pytest.param(["check", "good.py:Ridge", "--format", "xml"], "--format must be text or json, got 'xml'", id="xml"),
    pytest.param(["check"], "Missing argument", id="no-target"),
    pytest.param(["check", "good.py:Ridge", "--only", "prox"], "is called 'prox'", id="only-of-check"),
    pytest.param(["check", "good.py:Ridge", "--report", "bad.py"], "cannot be written", id="report-of-check"),
    pytest.param(["run", "--quick", "--full"], "--quick and --full exclude each other", id="quick-and-full"),
    pytest.param(["run", "--only", "prox-minimizes"], "no check or target is called 'prox-minimizes'", id="only"),
    pytest.param(["run", "--only", "l1", "--report", "good.py"], "cannot be written", id="report-is-a-file"),
    pytest.param(["run", "--jobs", "-1"], "Invalid value for '--jobs'", id="jobs"),
    pytest.param(["run", "--seed", "x"], "Invalid value for '--seed'", id="seed"),
    pytest.param(["run", "--fast"], "No such option", id="option"),
    pytest.param(["try"], "No such command 'try'", id="command"),
    pytest.param(["doctor", "--format", "xml"], "--format must be text or json, got 'xml'", id="format-of-doctor"),
    pytest.param(["check", "good.py:Ridge", "--dtypes", "float32,int8"], "got 'int8'", id="dtypes"),
    pytest.param(["check", "good.py:Ridge", "--dtypes", "float64"], "got 'float64'", id="float64"),
    pytest.param(["check", "good.py:Ridge", "--dtypes", ""], "got ''", id="no-dtype"),
    pytest.param(["check", "good.py:Ridge", "--devices", "cpu", "--devices", "tpu"], "got 'tpu'", id="devices"),
    pytest.param(["check", "ends.py:Ridge"], "SystemExit: 0", id="module-ends"),
    pytest.param(["check", "vanishes.py:Ridge"], "the process ended with exit status 0", id="process-ends"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_USAGE)
def test_bad_usage(call, folder, arguments, message):
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.output.replace("│", " ").split())
    assert "Traceback" not in result.output
    assert not (folder / "report").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="cuda is refused only where there is none")
def test_an_absent_device(call):
    result = call("check", "good.py:Ridge", "--devices", "cpu,cuda")
    assert result.exit_code == 2
    assert "--devices cuda" in result.output


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_folder_without_permission(call, folder):
    (folder / "closed").mkdir(mode=0o500)
    result = call("run", "--only", "convex-claim", "--report", "closed/report")
    assert result.exit_code == 2
    assert "cannot be written" in result.output


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ([], ("run", "check")),
        (["run"], ("--quick", "--only", "--report", "--seed", "a fresh one is drawn")),
        (["check"], ("--format", "target", "--seed", "a fresh one is drawn")),
    ],
    ids=["all", "run", "check"],
)
def test_help_names_the_options(call, command, words):
    result = call(*command, "--help")
    assert result.exit_code == 0
    for word in words:
        assert word in " ".join(result.output.replace("│", " ").split())


def test_module_is_the_command():
    found = subprocess.run([sys.executable, "-m", "ramda_verify", "--help"], capture_output=True, text=True, check=True)
    for command in ("run", "check", "train", "plot"):
        assert command in found.stdout
