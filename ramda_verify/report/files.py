"""Write report.json and report.html, each whole or not at all."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ramda_verify.record import CheckResult
from ramda_verify.report.html import render
from ramda_verify.report.summary import machine_and_versions


def write_report(folder: Path, results: Sequence[CheckResult], *, seed: int) -> list[Path]:
    """Write both files into ``folder``, which is made where it is missing; returns their paths. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    summary = machine_and_versions(results, seed=seed)
    contents = {"report.json": summary.to_json(), "report.html": render(summary)}
    return [_replace(folder / name, text) for name, text in contents.items()]


def _replace(path: Path, text: str) -> Path:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)
    path.chmod(0o644)
    return path
