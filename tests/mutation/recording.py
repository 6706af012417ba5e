"""A plug-in of pytest that records which lines of the sources each test runs, for how long, and whether it passes.

One file is written for each test file, when its last test has ended. Only this process is watched: lines that a test
runs in processes of its own are not among its lines.
"""

import json
import os
from pathlib import Path
from typing import Any

import coverage
import pytest

from tests.mutation.record import fingerprint, path_of

#: Environment variables: the folder of sources and tests, the folder of the records, the packages to watch.
ROOT, RECORDS, PACKAGES = "MUTATION_ROOT", "MUTATION_RECORDS", "MUTATION_PACKAGES"


class Recorder:
    """Hooks of pytest; one context of coverage for each test."""

    def __init__(self, root: Path, records: Path, packages: list[str]) -> None:
        self.root, self.records = root, records
        self.coverage = coverage.Coverage(
            data_file=None, source=[str(root / name) for name in packages], config_file=False, messages=False
        )
        # A test file that reads texts alone runs no line of ours.
        self.coverage.set_option("run:disable_warnings", ["no-data-collected", "module-not-imported"])
        self.tests: dict[str, dict[str, Any]] = {}
        self.coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> Any:
        self.tests[item.nodeid] = {"seconds": 0.0, "passes": True}
        self.coverage.switch_context(item.nodeid)
        result = yield
        file = item.nodeid.split("::")[0]
        if nextitem is None or nextitem.nodeid.split("::")[0] != file:
            self.write(file)
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = self.tests[report.nodeid]
        test["seconds"] += report.duration
        test["passes"] = test["passes"] and report.passed

    def write(self, file: str) -> None:
        """The record of a test file whose last test has ended; the next one starts from nothing."""
        self.coverage.stop()
        data, names = self.coverage.get_data(), list(self.tests)
        place = {name: index for index, name in enumerate(names)}
        lines: dict[str, dict[int, list[int]]] = {}
        for source in sorted(data.measured_files()):
            found = {
                line: sorted(place[context] for context in contexts if context in place)
                for line, contexts in data.contexts_by_lineno(source).items()
            }
            if found := {line: tests for line, tests in sorted(found.items()) if tests}:
                lines[Path(source).relative_to(self.root).as_posix()] = found
        record = {
            "fingerprint": fingerprint(self.root / file),
            "sources": {name: fingerprint(self.root / name) for name in lines},
            "tests": self.tests,
            "lines": lines,
        }
        target = path_of(self.records, file)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(record), encoding="utf-8")
        self.tests = {}
        self.coverage.erase()
        self.coverage.start()


def pytest_configure(config: pytest.Config) -> None:
    recorder = Recorder(Path(os.environ[ROOT]), Path(os.environ[RECORDS]), os.environ[PACKAGES].split(os.pathsep))
    config.pluginmanager.register(recorder, "mutation-recorder")
