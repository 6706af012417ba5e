"""Which way a step went: what the kernels log, and which parameters plain torch steps."""

import logging
from collections.abc import Callable

import pytest

from solvers.kernels import dispatch
from solvers.optimizers.stepper import Stepper


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    monkeypatch.setattr(dispatch, "_said", set())
    caplog.set_level(logging.WARNING, logger="solvers.kernels")
    return lambda: [record.getMessage() for record in caplog.records]


@pytest.fixture
def plain_steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the parameters that plain torch has stepped."""
    names: list[str] = []
    right = Stepper._step_plainly

    def noted(self, slot, share):
        names.append(slot.name)
        return right(self, slot, share)

    monkeypatch.setattr(Stepper, "_step_plainly", noted)
    return names
