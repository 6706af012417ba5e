"""The content of report.json: schema 1."""

import json
import math
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

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
        return json.dumps(_jsonable(document), indent=1, allow_nan=False)


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


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _jsonable(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(entry) for entry in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
