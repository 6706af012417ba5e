"""Run a check on large tensors, after the small ones: what goes wrong from a certain size on only."""

from dataclasses import replace

from ramda_verify.cases.strategies import LargeTensors, regularizers
from ramda_verify.engine.property import Check, run_check, together
from ramda_verify.engine.record import CheckResult, Verdict
from ramda_verify.engine.targets import Target

#: Cases on large tensors for each on small ones.
SHARE = 0.15


def also_on_large(small: CheckResult, check: Check, target: Target, *, seed: int, max_examples: int) -> CheckResult:
    """The result on small and on large tensors together. A check that does not hold on small ones is not run again."""
    if small.status is not Verdict.PASS or not check.large or target.kind != "regularizer":
        return small
    on_large = replace(target, instances=LargeTensors(regularizers(target.instances)), traced=False)
    # Without Hypothesis's own shrinking: the tensors come from seeds, and are cut down afterwards.
    part = run_check(check, on_large, seed=seed + 1, max_examples=round(SHARE * max_examples), shrink=False)
    return together(small, part)
