"""bench.json: written whole or not at all, read with every refusal before anything is measured."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from experiments.bench.plan import Plan
from experiments.bench.rows import Row, Skipped
from ramda_verify.output import documents, machine
from ramda_verify.output.documents import DocumentError, Number, Record
from ramda_verify.output.writing import write_whole

NAME = "bench.json"


class WrittenRow(Record, frozen=True, kw_only=True):
    """See ``rows.Row``; the fields without a default are those that every row must have."""

    case: str
    measure: str
    device: str
    threads: int
    ratio: Number
    low: Number
    high: Number
    goal: str | None
    holds: bool | None
    better: str | None = None
    ours_ms: Number | None = None
    peer_ms: Number | None = None
    detail: dict[str, Any] = msgspec.field(default_factory=dict)


class WrittenSkip(Record, frozen=True, kw_only=True):
    """See ``rows.Skipped``."""

    case: str
    measure: str
    reason: str


class BenchFile(documents.Document, frozen=True, kw_only=True):
    """bench.json, schema 1."""

    machine: dict[str, Any]
    rows: list[WrittenRow]
    versions: dict[str, str] = msgspec.field(default_factory=dict)
    quick: bool = False
    skipped: list[WrittenSkip] = msgspec.field(default_factory=list)


REQUIRED = tuple(field.name for field in msgspec.structs.fields(WrittenRow) if field.required)


@dataclass(frozen=True)
class Document:
    """A report as a program reads it."""

    machine: dict[str, Any]
    versions: dict[str, str]
    quick: bool
    rows: list[Row]
    skipped: list[Skipped]

    def to_json(self) -> str:
        """JSON text; a number that is not finite, which JSON has not, is written as a string."""
        file = BenchFile(
            schema=BenchFile.VERSION,
            machine=self.machine,
            versions=self.versions,
            quick=self.quick,
            rows=[WrittenRow(**row.as_dict()) for row in self.rows],
            skipped=[WrittenSkip(**asdict(entry)) for entry in self.skipped],
        )
        return documents.to_json(file) + "\n"


def make_document(rows: Sequence[Row], skipped: Sequence[Skipped], plan: Plan) -> Document:
    """The report of a run on this machine."""
    versions = machine.versions()
    for name, peer in (("reference RAMDA", plan.reference), ("ProxSSI", plan.proxssi)):
        if peer is not None:
            versions[name] = peer.commit
    facts = {**machine.facts(str(plan.device)), "processor": machine.processor()}
    return Document(facts, versions, plan.quick, list(rows), list(skipped))


def write_document(folder: Path, document: Document) -> Path:
    """Write bench.json into ``folder``. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    return write_whole(folder / NAME, document.to_json())


def read_document(path: Path) -> Document:
    """Read a report. Raises DocumentError, saying what is wrong and what is expected, on anything else."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DocumentError(f"{str(path)!r} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DocumentError(f"{str(path)!r} must be a {NAME}, it is no text: {error}") from error
    file = documents.from_json(text, BenchFile, f"{str(path)!r}, a {NAME},")
    skipped = [Skipped(entry.case, entry.measure, entry.reason) for entry in file.skipped]
    return Document(file.machine, file.versions, file.quick, [_row(row) for row in file.rows], skipped)


def _row(written: WrittenRow) -> Row:
    found = msgspec.structs.asdict(written)
    for key in ("ratio", "low", "high", "ours_ms", "peer_ms"):
        found[key] = None if found[key] is None else documents.number(found[key])
    return Row(**{**found, "better": written.better or _direction(written.goal)})


def _direction(goal: Any) -> str:
    """Of a row that does not say which direction is better: from its goal."""
    return "larger" if str(goal).startswith("at least") else "smaller"
