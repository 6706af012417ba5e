"""A plug-in of pytest that runs the chosen tests alone, in the order in which they were chosen, or all."""

import json
import os
from pathlib import Path

import pytest

#: Environment variables: a file with the names of the tests; a file into which the name of the failing one goes.
CHOSEN, FAILED = "MUTATION_CHOSEN", "MUTATION_FAILED"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    names = json.loads(Path(os.environ[CHOSEN]).read_text(encoding="utf-8"))
    if names is None:
        return
    place = {name: index for index, name in enumerate(names)}
    items[:] = sorted((item for item in items if item.nodeid in place), key=lambda item: place[item.nodeid])


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        Path(os.environ[FAILED]).write_text(report.nodeid, encoding="utf-8")
