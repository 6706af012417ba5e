"""bench.json, schema 1: written whole or not at all, read with every refusal before anything is measured."""

import json
import os
import platform
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ramda_verify.bench.plan import Plan
from ramda_verify.bench.rows import Row, Skipped
from ramda_verify.jsonable import jsonable
from ramda_verify.report import machine_and_versions

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
    summary = machine_and_versions([], seed=plan.seed)
    versions = dict(summary.versions)
    for name, peer in (("reference RAMDA", plan.reference), ("ProxSSI", plan.proxssi)):
        if peer is not None:
            versions[name] = peer.commit
    machine = {
        **summary.machine,
        "device": torch.cuda.get_device_name(plan.device) if plan.device.type == "cuda" else "cpu",
        "processor": _processor(),
        "memory_gibibytes": _memory(),
    }
    return Document(machine, versions, plan.quick, list(rows), list(skipped))


def write_document(folder: Path, document: Document) -> Path:
    """Write bench.json into ``folder``, beside its place first and then moved there. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, suffix=".tmp")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(document.to_json())
    path = folder / NAME
    os.replace(temporary, path)
    path.chmod(0o644)
    return path


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


def _processor() -> str:
    """The model of the processor, in words."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory() -> int | None:
    """Memory of the machine in GiB, rounded; None where the system does not tell."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    except (ValueError, OSError, AttributeError):
        return None
