"""Write report.json, report.html and junit.xml, each whole or not at all."""

from collections.abc import Sequence
from pathlib import Path

from ramda_verify.engine.record import CheckResult
from ramda_verify.output.junit import junit
from ramda_verify.output.summary import machine_and_versions
from ramda_verify.output.writing import write_whole

#: The files of a report.
NAMES = ("report.json", "report.html", "junit.xml")


def write_report(folder: Path, results: Sequence[CheckResult], *, seed: int, verdict: str | None = None) -> list[Path]:
    """Write all of NAMES into ``folder``, which is made where it is missing; returns their paths. Raises OSError.

    ``verdict`` is the sentence at the head, None for that of a run of the suite.
    """
    from ramda_verify.output.html import render  # draws with matplotlib, which takes a second to import

    folder.mkdir(parents=True, exist_ok=True)
    summary = machine_and_versions(results, seed=seed, verdict=verdict)
    contents = (summary.to_json(), render(summary), junit(results, seed=seed))
    return [write_whole(folder / name, text) for name, text in zip(NAMES, contents, strict=True)]
