"""The content of report.json."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ramda_verify.engine.record import CheckResult, Verdict
from ramda_verify.output import machine
from ramda_verify.output.documents import Document, Number, Record, from_json, to_json


class WrittenCounterexample(Record, frozen=True, kw_only=True):
    """See ``engine.record.Counterexample``."""

    case: str
    violation: Number
    note: str
    snippet: str
    entries: int | None


class WrittenResult(Record, frozen=True, kw_only=True):
    """See ``engine.record.CheckResult``, without what pictures and progress need."""

    check: str
    target: str
    status: Verdict
    cases: int
    worst: Number | None
    tolerance: Number | None
    seconds: Number
    counterexample: WrittenCounterexample | None
    detail: str
    problems: int
    recorded: int
    enclosed: int
    scope: str


class Report(Document, frozen=True, kw_only=True):
    """report.json, schema 1."""

    verdict: str
    seed: int
    versions: dict[str, str]
    machine: dict[str, Any]
    results: list[WrittenResult]


def read_report(path: Path) -> Report:
    """Read a report.json. Raises DocumentError on anything else, and OSError where it cannot be read."""
    return from_json(path.read_text(encoding="utf-8"), Report, f"{str(path)!r}, a report.json,")


@dataclass(frozen=True)
class Summary:
    """A run of the suite as a program reads it; ``verdict`` is what it says in one sentence."""

    seed: int
    versions: dict[str, str]
    machine: dict[str, Any]
    results: Sequence[CheckResult]
    verdict: str

    def to_json(self) -> str:
        """JSON text; a number that is not finite, which JSON has not, is written as a string."""
        rows = []
        for result in self.results:
            row = asdict(result)
            del row["trace"], row["pace"]
            found = row.pop("counterexample")
            shown = None if found is None else WrittenCounterexample(**found)
            rows.append(WrittenResult(**row, counterexample=shown))
        report = Report(
            schema=Report.VERSION,
            verdict=self.verdict,
            seed=self.seed,
            versions=self.versions,
            machine=self.machine,
            results=rows,
        )
        return to_json(report)


def machine_and_versions(results: Sequence[CheckResult], *, seed: int, verdict: str | None = None) -> Summary:
    """The summary of ``results`` on this machine, with its own ``verdict`` where None is given."""
    if verdict is None:
        holds = all(result.status.holds for result in results)
        verdict = "Everything that was checked holds." if holds else "Something falls short."
    return Summary(seed, machine.versions(), machine.facts(), results, verdict)
