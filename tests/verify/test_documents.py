"""JSON documents: what is written is read back, what is committed stays readable, and the rest is refused by name."""

import json
import math
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import experiments.summary
import paper_checks.reference_comparison
from experiments.bench.document import BenchFile
from experiments.run_folder import LogEntry, RunResult
from paper_checks.report import PaperReport
from ramda_verify.cases.recorded import PATH
from ramda_verify.cases.recorded.store import METADATA, Metadata
from ramda_verify.engine.record import CheckResult, Counterexample, Verdict
from ramda_verify.output.documents import Document, DocumentError, Number, Record, from_json, number, plain, to_json
from ramda_verify.output.summary import Report, machine_and_versions, read_report

ROOT = Path(__file__).resolve().parents[2]


def recorded_metadata() -> str:
    with np.load(PATH, allow_pickle=False) as archive:
        return str(archive[METADATA])


COMMITTED = [
    *((f"experiments/results/bench-{name}.json", BenchFile) for name in ("cpu", "gpu", "training")),
    ("experiments/results/mnist-logistic.json", experiments.summary.Comparison),
    ("paper_checks/results/reference_comparison.json", paper_checks.reference_comparison.Comparison),
]


@pytest.mark.parametrize(("file", "kind"), COMMITTED)
def test_committed_documents_are_read_and_written_unchanged(file: str, kind: type[Document]) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    written = json.loads(to_json(from_json(text, kind, file)))
    assert written == {"schema": 1, **json.loads(text)}


def test_every_committed_document_is_among_them() -> None:
    found = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("*/results/*.json")}
    assert found == {file for file, _ in COMMITTED}


def test_recorded_metadata_is_read_and_written_unchanged() -> None:
    text = recorded_metadata()
    assert json.loads(to_json(from_json(text, Metadata, "recorded"))) == json.loads(text)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Part(Record, frozen=True, kw_only=True):
    size: Number
    colour: Colour


class Whole(Document, frozen=True, kw_only=True):
    name: str
    parts: list[Part]
    more: dict[str, Any]
    best: Part | None = None


WHOLE = Whole(
    schema=1,
    name="Ŵ",
    parts=[Part(size=value, colour=Colour.RED) for value in (0.5, math.inf, -math.inf, math.nan)],
    more={"array": np.arange(3), "tensor": torch.tensor(math.inf), "number": np.float64(0.25), "nested": [(1, "a")]},
)


@pytest.mark.parametrize("indent", [None, 1, 2])
def test_a_document_comes_back(indent: int | None) -> None:
    text = to_json(WHOLE, indent)
    assert text.isascii()
    assert (indent is None) == ("\n" not in text)
    read = from_json(text, Whole, "whole.json")
    assert [number(part.size) for part in read.parts[:3]] == [0.5, math.inf, -math.inf]
    assert math.isnan(number(read.parts[3].size))
    assert read.more == {"array": [0, 1, 2], "tensor": "inf", "number": 0.25, "nested": [[1, "a"]]}
    assert plain(read)["parts"][1] == {"size": math.inf, "colour": "red"}


def changed(**fields: Any) -> str:
    return json.dumps({**json.loads(to_json(WHOLE)), **fields})


GOOD = {"size": 1.0, "colour": "red"}
REFUSED = {
    "cut short": (to_json(WHOLE)[:-20], ()),
    "empty": ("", ()),
    "a list": ("[]", ("schema 1", "None")),
    "another version": (changed(schema=2), ("schema 1", "2")),
    "a version in words": (changed(schema="1"), ("schema 1", "'1'")),
    "a version that is true": (changed(schema=True), ("schema 1", "True")),
    "a field too few": (json.dumps({"schema": 1, "name": "a", "parts": []}), ("more",)),
    "a field too many": (changed(nmae="b"), ("nmae",)),
    "a text for a list": (changed(parts="none"), ("$.parts", "array")),
    "a number for a text": (changed(name=3), ("$.name", "str")),
    "a text for a number": (changed(parts=[GOOD, {**GOOD, "size": "big"}]), ("$.parts[1].size", "'big'", "'nan'")),
    "a text of digits": (changed(parts=[{**GOOD, "size": "1.0"}]), ("$.parts[0].size", "'1.0'", "float")),
    "another word": (changed(parts=[{**GOOD, "colour": "green"}]), ("$.parts[0].colour", "'green'", "'blue', 'red'")),
    "another word in an optional part": (changed(best={**GOOD, "colour": ""}), ("$.best.colour", "'blue', 'red'")),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_names_file_field_and_what_is_allowed(name: str) -> None:
    text, words = REFUSED[name]
    with pytest.raises(DocumentError) as raised:
        from_json(text, Whole, "'whole.json'")
    assert all(word in str(raised.value) for word in ("whole.json", *words)), str(raised.value)


def test_a_version_that_the_first_files_lack() -> None:
    assert RunResult.VERSION == 1
    text = (ROOT / "experiments/results/mnist-logistic.json").read_text(encoding="utf-8")
    assert "schema" not in json.loads(text)
    assert from_json(text, experiments.summary.Comparison, "old").schema == 1
    with pytest.raises(DocumentError, match=r"schema 1.*None"):
        from_json('{"seed": 1}', PaperReport, "paper.json")


def test_a_report_comes_back(tmp_path: Path) -> None:
    shown = Counterexample("w = -5", math.inf, "a note", "print(1)", 1)
    results = [
        CheckResult("prox-minimises", "mine", Verdict.FAIL, 3, math.inf, 1e-9, 0.5, shown, trace={"a": [1]}),
        CheckResult("proof", "mine", Verdict.PROVED, 1, None, None, 0.1),
    ]
    path = tmp_path / "report.json"
    path.write_text(machine_and_versions(results, seed=7).to_json())
    report = read_report(path)
    assert (report.seed, [row.status for row in report.results]) == (7, [Verdict.FAIL, Verdict.PROVED])
    assert report.results[0].counterexample is not None
    assert number(report.results[0].counterexample.violation) == math.inf
    path.write_text(path.read_text().replace('"proved"', '"prooved"'))
    with pytest.raises(DocumentError, match=r"report\.json.*'prooved'.*results\[1\]\.status.*'proved'"):
        read_report(path)


def test_what_could_not_be_read_is_not_written() -> None:
    wrong: Any = Part(size="big", colour=Colour.RED)
    with pytest.raises(DocumentError, match=r"Part.*size"):
        to_json(wrong)


@pytest.mark.parametrize("kind", [BenchFile, LogEntry, Metadata, PaperReport, Report, RunResult])
def test_an_empty_mapping_is_none_of_them(kind: type[Record]) -> None:
    with pytest.raises(DocumentError):
        from_json("{}", kind, "a file")
