"""The kernels' mutants whose fault shows on few cases are rejected from whatever seed the cases are drawn."""

import pytest

from ramda_verify.checks import BY_ID
from ramda_verify.engine import suite
from ramda_verify.engine.property import run_check
from ramda_verify.engine.record import Verdict
from solvers.kernels import BACKENDS
from tests.mutants import kernels
from tests.mutants.patching import unreached

pytestmark = pytest.mark.skipif(
    BACKENDS["native"].unavailable_reason() is not None, reason="the compiled step is optional, and was not built"
)


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3))])
@pytest.mark.parametrize("mutant", kernels.FOUND_FROM_EVERY_SEED, ids=lambda mutant: mutant.name)
def test_rejected_from_other_seeds(mutant, seed, monkeypatch):
    mutant.patch(monkeypatch)
    for check in mutant.checks:
        result = run_check(BY_ID[check], mutant.target, seed=seed, max_examples=suite.EXAMPLES["default"])
        assert result.status is Verdict.FAIL, f"{check} accepts {mutant.name}: {result}"
    assert not unreached(monkeypatch)
