"""Every claim about subproblems is one that the suite asks."""

import pytest

from ramda_verify.checks import ALL_CHECKS
from ramda_verify.checks.subproblem import (
    batch,
    certificate,
    choice,
    enclosure,
    far_solutions,
    high_precision,
    solutions,
)
from ramda_verify.engine.property import checks_of

CLAIMS = {
    batch: {"batch-equals-solve"},
    certificate: {"certificate-membership", "minimum-norm-subgradient", "criterion-soundness"},
    choice: {"automatic-choice"},
    enclosure: {"enclosure", "enclosed-certificates"},
    far_solutions: {"direct-solution-far-from-B"},
    high_precision: {"prox-high-precision", "subproblem-high-precision"},
    solutions: {
        "subproblem-oracle",
        "group-norm-equation",
        "solver-agreement",
        "objective-descent",
        "safe-screening",
    },
}


@pytest.mark.parametrize("module", CLAIMS, ids=lambda module: module.__name__.rpartition(".")[2])
def test_claims_of_a_file_are_asked(module):
    assert {check.id for check in checks_of(module)} == CLAIMS[module]
    assert CLAIMS[module] <= {check.id for check in ALL_CHECKS}
