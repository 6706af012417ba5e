"""The files of a report: junit.xml as continuous integration reads it, and folders that are refused first."""

import io
import json
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from rich.console import Console
from typer.testing import CliRunner

from ramda_verify import cli
from ramda_verify.checks import BY_ID
from ramda_verify.checks.regularizer.traits import UNKNOWN
from ramda_verify.commands import watched
from ramda_verify.engine.record import CheckResult, Counterexample, Verdict
from ramda_verify.output.files import NAMES
from ramda_verify.output.html import render
from ramda_verify.output.junit import junit
from ramda_verify.output.legend import LEGEND
from ramda_verify.output.summary import machine_and_versions
from ramda_verify.output.terminal import show_results
from ramda_verify.output.verdict import show_verdict

HARD = 'a < b & "c" \x00\x1b[31m\ud800 größer ]]> \ufffe'


def result(check: str, target: str, status: Verdict, detail: str = "", snippet: str = "") -> CheckResult:
    example = Counterexample("w=1", 2.0, detail, snippet) if snippet else None
    return CheckResult(check, target, status, 7, 2.0, 1.0, 0.25, example, detail)


RESULTS = (
    result("one", "mine", Verdict.PASS, "not worth a word"),
    result("two", "mine", Verdict.FAIL, HARD, "print(1 < 2)"),
    result("three", "mine", Verdict.SKIP, "no such member"),
    result("one", "other", Verdict.INCONCLUSIVE, "the oracle failed"),
)


def test_a_test_case_for_each_check() -> None:
    root = ElementTree.fromstring(junit(RESULTS, seed=5))
    assert (root.tag, root.get("tests"), root.get("failures"), root.get("errors"), root.get("skipped")) == (
        *("testsuites", "4", "1", "1", "1"),
    )
    assert [suite.get("name") for suite in root] == ["mine", "other"]
    assert [suite.get("tests") for suite in root] == ["3", "1"]
    cases = list(root.iter("testcase"))
    assert [(case.get("classname"), case.get("name")) for case in cases] == [(r.target, r.check) for r in RESULTS]
    assert [[child.tag for child in case] for case in cases] == [[], ["failure"], ["skipped"], ["error"]]
    assert {case.get("time") for case in cases} == {"0.250"}
    failure = cases[1][0]
    assert failure.text == "print(1 < 2)"
    assert 'a < b & "c"' in failure.attrib["message"]
    assert "größer" in failure.attrib["message"]
    assert {found.get("value") for found in root.iter("property")} == {"5"}


def test_enclosed_cases_and_the_legend_are_shown() -> None:
    results = [
        replace(result("enclosure", "l1", Verdict.PASS), cases=40, enclosed=31),
        result("proof", "l1", Verdict.PASS),
    ]
    page = render(machine_and_versions(results, seed=3))
    assert "(31 enclosed)" in page
    assert "(0 enclosed)" not in page
    assert all(kind in page for kind in LEGEND)
    for show in (show_results, lambda *a, **k: show_verdict(a[0], "m:L1", a[1], **k)):
        text = io.StringIO()
        show(Console(file=text, width=80), results, seed=3)
        assert "31" in text.getvalue()
        assert "enclosed" in text.getvalue().lower()


def test_no_name_of_a_run_is_broken_at_80_columns() -> None:
    """The longest names of a whole run, in a table of their own, and what is said of many targets only once."""
    checks, targets = sorted(BY_ID, key=len)[-3:], ("digits-proxgen-nuclear-norm", "sparse_group_lasso")
    results = [
        replace(result(c, t, Verdict.SKIP, "why not"), seconds=123.4, cases=9999) for c in checks for t in targets
    ]
    text = io.StringIO()
    show_results(Console(file=text, width=80), results, seed=3)
    lines = [line.split() for line in text.getvalue().splitlines()]
    for check in checks:
        assert [check] in lines
        assert f"skip: {check} ({', '.join(targets)}): why not" in " ".join(text.getvalue().split())
    for target in targets:
        assert lines.count([target, "skip", "9999", "2.0e+00", "1e+00", "123.4"]) == len(checks)


def test_a_note_is_not_read_as_markup() -> None:
    text = io.StringIO()
    show_results(Console(file=text, width=80), [result("contract", "[dim]", Verdict.FAIL, "[red]w", "print()")], seed=3)
    assert "[red]w" in text.getvalue()
    assert text.getvalue().count("[dim]") == 2


def test_no_results() -> None:
    assert ElementTree.fromstring(junit((), seed=0)).get("tests") == "0"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("command", [["check", "good.py:Ridge"], ["run", "--only", "l1"]])
def test_a_folder_in_the_place_of_a_file_is_refused_before_anything_runs(name, command, folder, monkeypatch):
    monkeypatch.setattr(watched, "run_jobs", None)
    (folder / "kept" / name).mkdir(parents=True)
    found = CliRunner().invoke(cli.app, [*command, "--report", "kept"], env={"COLUMNS": "200"})
    assert found.exit_code == 2, found.output
    assert name in found.output
    assert [path.name for path in (folder / "kept").iterdir()] == [name]


def test_prove_refuses_likewise(folder, monkeypatch):
    monkeypatch.setattr("ramda_verify.proof.prover.prove_instance", None)
    (folder / "proofs.md").mkdir()
    found = CliRunner().invoke(cli.app, ["prove", "l1", "--report", "proofs.md"], env={"COLUMNS": "200"})
    assert found.exit_code == 2, found.output
    assert "proofs.md" in found.output


def test_the_verdict_heads_a_report_and_the_plainest_counterexample_comes_first() -> None:
    proof, long, short = (
        result(check, "mine", Verdict.FAIL, "note", code)
        for check, code in (("proof", "1"), ("manners", "longer"), ("contract", "short"))
    )
    summary = machine_and_versions([proof, long, short], seed=3, verdict="mine: wrong <at ties>.")
    page = render(summary)
    assert "mine: wrong &lt;at ties&gt;." in page
    places = [page.index(f"{check} fails on") for check in ("contract", "manners", "proof")]
    assert places == sorted(places)
    assert json.loads(summary.to_json())["verdict"] == "mine: wrong <at ties>."


def test_a_check_that_is_asked_of_registered_regularizers_alone_is_not_listed() -> None:
    text = io.StringIO()
    skipped = [
        result("group-norm-equation", "m:A", Verdict.SKIP, UNKNOWN),
        result("two", "m:A", Verdict.SKIP, "no GPU"),
    ]
    show_verdict(Console(file=text, width=80), "m:A", [*skipped, result("contract", "m:A", Verdict.PASS)], seed=3)
    assert "group-norm-equation" not in text.getvalue()
    assert "Not tried: two; no GPU." in text.getvalue()
