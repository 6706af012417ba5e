"""ramda-verify bench as a user sees it: refusals, a small run from end to end, the files that it writes."""

import json

import pytest
import torch
from typer.testing import CliRunner

from experiments.bench import plan, runner
from experiments.bench.cases import registry, steps
from experiments.bench.document import REQUIRED
from experiments.bench.goals import BOUNDS, MEASURES, goal_of
from experiments.bench.pictures import draw
from experiments.bench.plan import Case, Plan
from experiments.bench.rows import Goal, Skipped
from experiments.bench.shapes import Entry, ParameterList
from experiments.bench.timing import Effort
from experiments.bench.training.workloads import WORKLOADS
from ramda_verify import cli
from tests.bench.samples import document, row

TINY = ParameterList("tiny", (Entry("weight", (20, 30), "input"), Entry("bias", (20,))))
BRIEF = Effort(0.0, fewest=2, warm_up=1)


def bench(*arguments, width="120"):
    found = CliRunner().invoke(cli.complete(), ["bench", *map(str, arguments)], env={"COLUMNS": width, "TERM": "dumb"})
    return found, " ".join(found.output.replace("│", " ").split())


@pytest.fixture
def tiny(monkeypatch):
    """One case that takes no time, called tiny."""
    monkeypatch.setattr(Plan, "effort", BRIEF)
    monkeypatch.setattr(steps, "COPY_BYTES", 2**16)
    case = Case("tiny", TINY.title, lambda plan: steps.step_case("tiny", TINY, plan), quick=True)
    monkeypatch.setattr(registry, "CASES", (case,))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--only", "resnet51"), ("resnet51", "four-layers", "matrix-8192")),
        (("--device", "tpu"), ("--device", "tpu", "cpu or cuda")),
        (("--threads", "0"), ("--threads", "at least 1", "0")),
        (("--reference", "nowhere"), ("--reference", "ismoptgroup/RAMDA", "nowhere")),
        (("--proxssi", "nowhere"), ("--proxssi", "proxssi/l1_l2.py", "nowhere")),
        (("--compare", "none.json"), ("none.json", "cannot be read")),
    ],
)
def test_bad_usage_ends_with_2(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found, output = bench(*arguments)
    assert found.exit_code == 2
    assert all(word in output for word in words), output
    assert "Traceback" not in output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="--device cuda is refused only where there is no GPU")
def test_without_a_gpu_cuda_is_refused():
    found, output = bench("--device", "cuda")
    assert found.exit_code == 2
    assert "NVIDIA GPU" in output


def test_a_report_of_another_schema_is_refused(tmp_path):
    (tmp_path / "old.json").write_text('{"schema": 7, "rows": []}')
    found, output = bench("--compare", tmp_path / "old.json")
    assert found.exit_code == 2
    assert "schema 1, got schema 7" in output


def test_a_run_from_end_to_end(tiny, tmp_path):
    found, output = bench("--quick", "--threads", 1, "--report", tmp_path / "new")
    assert found.exit_code == 0, output
    content = json.loads((tmp_path / "new" / "bench.json").read_text())
    assert content["schema"] == 1
    assert {"system", "processors", "processor"} <= content["machine"].keys()
    assert "torch" in content["versions"]
    rows = {entry["measure"]: entry for entry in content["rows"]}
    assert all(set(REQUIRED) <= entry.keys() for entry in rows.values())
    assert {"RAMDA step / AdamW foreach", "RAMDA step / AdamW fused", "share of copy bandwidth"} <= rows.keys()
    assert rows["residual / norm(B)"]["holds"] is True
    assert rows["state tensors per parameter"]["ratio"] == 3.0
    assert "GPU rows were not measured" in output
    assert (tmp_path / "new" / "bench.png").stat().st_size > 10_000
    again, output = bench("--quick", "--threads", 1, "--compare", tmp_path / "new" / "bench.json")
    assert again.exit_code == 0
    assert f"of {len(content['rows'])} rows are regressions" in output


@pytest.mark.parametrize("width", ["80", "160"])
def test_the_table_can_be_read(tiny, width):
    _, output = bench("--quick", "--threads", 1, width=width)
    assert "tiny, cpu" in output
    assert "<= 1e-05 holds" in output
    assert "…" not in output


def test_a_missed_goal_is_no_error(tiny, monkeypatch):
    monkeypatch.setitem(BOUNDS, ("tiny", MEASURES["state tensors per parameter"], "cpu"), 2.0)
    found, output = bench("--quick", "--threads", 1)
    assert found.exit_code == 0
    assert "<= 2 missed" in output


def test_list_measures_nothing():
    found, output = bench("--list")
    assert found.exit_code == 0
    assert all(case.name in output for case in registry.CASES)


def test_patterns_choose_cases():
    names = [case.name for case in registry.chosen_cases(["groups-*", "mlp"], quick=True)]
    assert "mlp" in names
    assert "groups-100000" in names
    assert "resnet50" not in names
    assert all(case.quick for case in registry.chosen_cases([], quick=True))


def test_every_bound_belongs_to_a_case():
    known = {case.name for case in registry.CASES} | {None}
    assert {case for case, *_ in BOUNDS} <= known


def test_goals():
    assert Goal(1.5, "smaller").holds(1.5)
    assert not Goal(1.5, "smaller").holds(float("nan"))
    assert not Goal(30.0, "larger").holds(29.9)
    assert goal_of("resnet50", MEASURES["RAMDA step / AdamW foreach"], "cuda") is None
    assert str(goal_of("anything", MEASURES["residual / norm(B)"], "cuda")) == "at most 1e-05"


def test_a_quick_run_ends_with_its_budget(monkeypatch):
    monkeypatch.setattr(runner, "QUICK_BUDGET", 0.0)
    cases = [Case(name, name, lambda plan: iter([row()] * 3), quick=True) for name in "ab"]
    rows, skipped = runner.run_cases(cases, Plan(quick=True), show=lambda entry: None, advance=lambda: None)
    assert rows == []
    assert [entry.case for entry in skipped] == ["a", "b", "all"]
    rows, _ = runner.run_cases(cases, Plan(), show=lambda entry: None, advance=lambda: None)
    assert len(rows) == 6


def test_what_does_not_fit_is_skipped(monkeypatch):
    monkeypatch.setattr(plan, "available_memory", lambda device: 1000)
    (entry,) = steps.step_case("tiny", TINY, Plan())
    assert isinstance(entry, Skipped)
    assert "GiB are free" in entry.reason


def test_running_out_of_memory_ends_one_case_only():
    def fails(plan):
        yield row()
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

    cases = [Case("a", "a", fails), Case("b", "b", lambda plan: iter([row()]))]
    rows, skipped = runner.run_cases(cases, Plan(), show=lambda entry: None, advance=lambda: None)
    assert len(rows) == 2
    assert "out of memory" in skipped[0].reason


def test_pictures_with_and_without_growth():
    growth = {"parameters": [1e5, 1e6], "step_ms": [1.0, 10.0], "memory_bytes": [1e6, 1e7]}
    rows = [
        row(),
        row(45.0, measure="reference RAMDA step / ours", goal="at least 30", better="larger", holds=True, threads=2),
        row(case="scale", measure="exponent of time over parameters", detail=growth),
        row(case="scale", measure="exponent of memory over parameters", detail=growth),
    ]
    assert len(draw(document(*rows).rows).axes) == 4
    assert len(draw(rows[:2]).axes) == 1


@pytest.mark.parametrize(("load", "said"), [(0.0, False), (1.0, False), (1.1, True), (9.0, True)])
def test_a_busy_machine_is_said(load, said, tiny, monkeypatch):
    monkeypatch.setattr("ramda_verify.output.machine.load", lambda: load)
    monkeypatch.setattr("ramda_verify.output.machine.processors", lambda: 2)
    found, output = bench("--quick", "--threads", 1)
    assert found.exit_code == 0
    assert ("the machine is busy" in output) is said


def test_a_family_is_chosen_by_its_name():
    names = [case.name for case in registry.chosen_cases(["training"], quick=True)]
    assert len(names) == len(WORKLOADS) + 1
    assert all(name.startswith("training-") for name in names)
    assert [case.name for case in registry.chosen_cases(["training-digits"], quick=True)] == ["training-digits"]
