"""The content of report.json: schema 1."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from ramda_verify.jsonable import jsonable
from ramda_verify.record import CheckResult

PACKAGES = ("ramda-verify", "torch", "numpy", "scipy", "cvxpy", "clarabel", "hypothesis", "mpmath", "scikit-learn")


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
            del row["trace"]
            rows.append(row)
        document = {"schema": 1, "seed": self.seed, "versions": self.versions, "machine": self.machine, "results": rows}
        return json.dumps(jsonable(document), indent=1, allow_nan=False)


def machine_and_versions(results: Sequence[CheckResult], *, seed: int) -> Summary:
    """The summary of ``results`` on this machine."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    machine = {
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }
    return Summary(seed, versions, machine, results)
