"""Which way a step went: what the kernels log, and which parameters plain torch steps."""

import logging
from collections.abc import Callable

import pytest

from solvers.kernels import dispatch
from solvers.optimizers import stepper


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    monkeypatch.setattr(dispatch, "_said", set())
    caplog.set_level(logging.WARNING, logger="solvers.kernels")
    return lambda: [record.getMessage() for record in caplog.records]


@pytest.fixture
def plain_steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the parameters that plain torch has stepped."""
    names: list[str] = []
    right = stepper._step_plainly
    monkeypatch.setattr(
        stepper, "_step_plainly", lambda made, item, share: names.append(item.name) or right(made, item, share)
    )
    return names
