"""The content of report.json: schema 1."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ramda_verify.engine.record import CheckResult
from ramda_verify.output import machine
from ramda_verify.output.jsonable import jsonable


@dataclass(frozen=True)
class Summary:
    """A run of the suite as a program reads it."""

    seed: int
    versions: dict[str, str]
    machine: dict[str, Any]
    results: Sequence[CheckResult]

    def to_json(self) -> str:
        """JSON text; a number that is not finite, which JSON has not, is written as a string."""
        rows = []
        for result in self.results:
            row = asdict(result)
            del row["trace"], row["pace"]
            rows.append(row)
        document = {"schema": 1, "seed": self.seed, "versions": self.versions, "machine": self.machine, "results": rows}
        return json.dumps(jsonable(document), indent=1, allow_nan=False)


def machine_and_versions(results: Sequence[CheckResult], *, seed: int) -> Summary:
    """The summary of ``results`` on this machine."""
    return Summary(seed, machine.versions(), machine.facts(), results)
