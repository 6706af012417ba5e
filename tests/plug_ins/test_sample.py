"""A few of the plug-ins at the seed of the run; all of them at many seeds: ``python -m tests.plug_ins --seeds 5``."""

import random

import pytest

from ramda_verify.engine.record import Verdict
from ramda_verify.engine.suite import EXAMPLES
from tests.plug_ins import right, wrong
from tests.plug_ins.trial import specifications, try_out
from tests.seed import TEST_SEED

RIGHT, WRONG = list(specifications(right)), list(specifications(wrong))
#: A loop without end takes ten seconds of patience, in the hand-run trial alone.
SLOW = {"tests.plug_ins.wrong.values:NeverReturns"}


def some(names: list[str], count: int) -> list[str]:
    return sorted(random.Random(TEST_SEED).sample([name for name in names if name not in SLOW], count))


def test_there_are_enough_of_them():
    assert len(WRONG) >= 150
    assert len(RIGHT) >= 60
    assert len({*RIGHT, *WRONG}) == len(RIGHT) + len(WRONG)


@pytest.mark.parametrize("name", some(RIGHT, 2))
def test_right_ones_are_accepted(name):
    found = try_out(name, TEST_SEED, EXAMPLES["quick"], stop=False)
    assert [(result.check, result.detail) for result in found.alarms] == []
    assert not found.refused


@pytest.mark.parametrize("name", some(WRONG, 3))
def test_wrong_ones_are_refused(name):
    found = try_out(name, TEST_SEED, EXAMPLES["default"], stop=True)
    assert found.refused or Verdict.FAIL in {result.status for result in found.alarms}
