"""bench.json, schema 1: written whole or not at all, read with every refusal before anything is measured."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.bench.plan import Plan
from experiments.bench.rows import Row, Skipped
from ramda_verify.output import machine
from ramda_verify.output.jsonable import jsonable
from ramda_verify.output.writing import write_whole

SCHEMA = 1
NAME = "bench.json"
REQUIRED = ("case", "measure", "device", "threads", "ratio", "low", "high", "goal", "holds")


class DocumentError(ValueError):
    """A file is not a report of this schema."""


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
        document = {
            "schema": SCHEMA,
            "machine": self.machine,
            "versions": self.versions,
            "quick": self.quick,
            "rows": [row.as_dict() for row in self.rows],
            "skipped": [entry._asdict() for entry in self.skipped],
        }
        return json.dumps(jsonable(document), indent=1, allow_nan=False) + "\n"


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
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DocumentError(f"{str(path)!r} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DocumentError(f"{str(path)!r} must be a {NAME}, it is no JSON: {error}") from error
    found = content.get("schema") if isinstance(content, dict) else None
    if found != SCHEMA or isinstance(found, bool):
        raise DocumentError(f"{str(path)!r} must be a {NAME} of schema {SCHEMA}, got schema {found!r}")
    rows = content.get("rows")
    if not isinstance(rows, list) or not isinstance(content.get("machine"), dict):
        raise DocumentError(f"{str(path)!r} must be a {NAME} with machine and rows")
    skipped = [Skipped(**entry) for entry in content.get("skipped", [])]
    read = [_row(path, number, row) for number, row in enumerate(rows)]
    return Document(content["machine"], content.get("versions", {}), bool(content.get("quick")), read, skipped)


def _row(path: Path, number: int, row: Any) -> Row:
    where = f"rows[{number}] of {str(path)!r}"
    missing = [key for key in REQUIRED if not isinstance(row, dict) or key not in row]
    if missing:
        raise DocumentError(f"{where} lacks {', '.join(missing)}")
    numbers = {}
    for key in ("ratio", "low", "high"):
        try:
            numbers[key] = float(row[key])
        except (TypeError, ValueError):
            raise DocumentError(f"{key} in {where} must be a number, got {row[key]!r}") from None
    known = {key: row[key] for key in Row.__dataclass_fields__ if key in row}
    return Row(**{"better": _direction(row["goal"]), **known, **numbers})


def _direction(goal: Any) -> str:
    """Of a row that does not say which direction is better: from its goal."""
    return "larger" if str(goal).startswith("at least") else "smaller"
