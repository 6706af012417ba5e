"""No false alarm on right regularizers of kinds that the library does not have itself."""

from pathlib import Path

import pytest

from ramda_verify.checks import BY_ID
from ramda_verify.property import run_check
from ramda_verify.record import Verdict
from ramda_verify.suite import check_jobs
from ramda_verify.targets import regularizer_target

FILE = Path(__file__).with_name("plug_ins.py")


@pytest.mark.parametrize("name", ["L0", "Box", "LargestEntry"])
def test_right_plug_in_passes(name: str) -> None:
    specification = f"{FILE}:{name}"
    target = regularizer_target(specification)
    results = [run_check(BY_ID[job.check], target, seed=3, max_examples=25) for job in check_jobs(specification)]
    assert [(r.check, r.detail) for r in results if not r.status.holds] == []
    assert sum(r.status is Verdict.PASS for r in results) >= 7
