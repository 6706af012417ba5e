"""Run a check on recorded problems, after the drawn ones."""

from dataclasses import replace
from random import Random

from ramda_verify.cases.recorded import all_recorded
from ramda_verify.cases.recorded.problems import RecordedProblem, UnsuitableError
from ramda_verify.engine.property import MAX_INCONCLUSIVE, NONE_OF, Check, run_check, together
from ramda_verify.engine.record import CheckResult, Verdict
from ramda_verify.engine.targets import Target

#: Recorded problems a check is run on, for each of its drawn cases at most: a full run takes all that there are.
SHARE = 0.15
#: Each is taken twice, with the simplest further arguments (seeds, numbers of iterations) and with random ones.
CASES_A_PROBLEM = 2


def recorded_problems(target: Target) -> list[RecordedProblem]:
    """The recorded problems of the regularizer under test; none for targets of other kinds."""
    if target.kind != "regularizer":
        return []
    found = (RecordedProblem.of(step, target.example) for step in all_recorded().values())
    return [problem for problem in found if problem is not None]


def also_on_recorded(drawn: CheckResult, check: Check, target: Target, *, seed: int, max_examples: int) -> CheckResult:
    """The result on drawn cases and on recorded problems together; ``recorded`` counts the latter.

    The seed chooses which, ``max_examples`` how many. A check that does not hold on drawn cases is not run again. An
    oracle that fails on more than a fifth of the recorded cases makes the result inconclusive.
    """
    if check.recorded == "only":
        return replace(drawn, recorded=drawn.cases)
    if drawn.status is not Verdict.PASS or check.recorded == "never":
        return drawn
    problems = recorded_problems(target)
    Random(seed).shuffle(problems)
    wanted, taken, failed = max(1, round(SHARE * max_examples)), 0, 0
    total = drawn
    for index, problem in enumerate(problems):
        if taken + failed == wanted:
            break
        on_this = replace(target, instances=problem, traced=False)
        once = replace(check, share=1.0)
        try:
            part = run_check(once, on_this, seed=seed + index, max_examples=CASES_A_PROBLEM - 1)
        except UnsuitableError:
            continue
        if part.detail.startswith(NONE_OF):
            continue
        taken, failed = taken + part.status.holds, failed + (part.status is Verdict.INCONCLUSIVE)
        total = together(total, part, recorded=True)
        if part.status is Verdict.FAIL:
            return total
    if failed > MAX_INCONCLUSIVE * max(1, taken + failed):
        return replace(total, status=Verdict.INCONCLUSIVE)
    return replace(total, status=Verdict.PASS)
