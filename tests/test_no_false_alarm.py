"""Correct parts pass, whatever the seed: RAMDA_TEST_SEED chooses them, RAMDA_TEST_EXAMPLES multiplies the cases."""

from dataclasses import replace

import pytest

from ramda_verify.checks import ALL_CHECKS, BY_ID
from ramda_verify.checks.regularizer import proof
from ramda_verify.engine.property import run_check
from ramda_verify.engine.record import Verdict
from ramda_verify.engine.suite import OPTIMIZERS
from ramda_verify.engine.targets import known_regularizers, known_target, plain_target
from solvers.regularizers.base import offers
from tests.mutants.claims import CountNonzero
from tests.mutants.mutant import regularizer_target_of
from tests.seed import TEST_SEED

FIRST = 1000 + TEST_SEED
#: The gate draws another one at every landing, beside the quick suite, so that they are many in the end, however many
#: regularizers there are; the others are for a change of the checks or of the solvers.
SEEDS = [
    pytest.param(range(1), id="one"),
    pytest.param(range(1, 20), id="many", marks=pytest.mark.slow),
]
REGULARIZERS = tuple(known_regularizers())
#: A proof is for all w and steps and draws nothing; tests/proof has those of the library.
OF_REGULARIZERS = [check.id for check in ALL_CHECKS if check.kind == "regularizer" and check.id != proof.ID]
OF_OPTIMIZERS = [check.id for check in ALL_CHECKS if check.kind == "optimizer"]

#: A trajectory with an oracle at each step is dear: these take a few seeds only.
FEW_SEEDS = {"step-transcription-iterative": 2, "criterion-acceptance": 3}


def alarms(check: str, target, seeds, examples: int) -> list[str]:
    """The counterexamples found. Inconclusive is no alarm here: of so few cases a single one weighs too much."""
    target = replace(target, traced=False)  # the report's pictures are not wanted
    results = [run_check(BY_ID[check], target, seed=FIRST + seed, max_examples=examples) for seed in seeds]
    return [
        f"seed {FIRST + seed}: {result.counterexample.snippet}"
        for seed, result in zip(seeds, results, strict=True)
        if result.status is Verdict.FAIL
    ]


@pytest.mark.parametrize("seeds", SEEDS)
@pytest.mark.parametrize("name", REGULARIZERS)
@pytest.mark.parametrize("check", OF_REGULARIZERS)
def test_known_regularizers_pass(check, name, seeds, more_examples):
    assert alarms(check, known_target(name), seeds, 6 * more_examples) == []


@pytest.mark.parametrize("seeds", SEEDS)
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("check", OF_OPTIMIZERS)
def test_optimizers_pass(check, name, seeds, more_examples):
    seeds = seeds[: FEW_SEEDS.get(check, len(seeds))]
    assert alarms(check, plain_target(name, "optimizer"), seeds, 3 * more_examples) == []


#: Trainings and planted problems whose single case takes seconds.
DEAR = ("nuclear_norm", "digits")
OF_PROBLEMS = [
    pytest.param(check.id, name, marks=[pytest.mark.slow] if name.startswith(DEAR) else [])
    for check in ALL_CHECKS
    if check.kind == "problem"
    for name in check.problems
]


@pytest.mark.parametrize(("check", "name"), OF_PROBLEMS)
def test_problems_pass(check, name, more_examples):
    seeds = range(5) if BY_ID[check].share >= 0.5 else range(1)
    assert alarms(check, plain_target(name, "problem"), seeds, 6 * more_examples) == []


@pytest.mark.parametrize("check", OF_REGULARIZERS)
def test_nonconvex_regularizer_without_claims_passes(check, more_examples):
    """The number of nonzeros with its right prox: convexity is not asked of what does not claim it."""
    target = regularizer_target_of(CountNonzero)
    assert not offers(target.example, "convex")
    assert alarms(check, target, range(2), 6 * more_examples) == []
