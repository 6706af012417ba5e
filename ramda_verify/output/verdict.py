"""What ``check`` says of one regularizer: the verdict, the plainest counterexample, all else in a line each."""

import textwrap
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console

from ramda_verify.checks import BY_ID
from ramda_verify.checks.regularizer.traits import UNKNOWN
from ramda_verify.engine.record import CheckResult, Pace, Verdict

#: How the reason of a skip begins where the regularizer lacks an optional member.
LACKS = "the regularizer does not offer "


def show_verdict(
    console: Console, specification: str, results: Sequence[CheckResult], *, seed: int, mistake: str | None = None
) -> None:
    """The verdict in a sentence, with the kind of ``mistake`` where it has a name, first and last; between them the
    plainest counterexample, the other findings, what was not tried and what passed. Nothing is broken within a word,
    and code not at all.
    """
    sentence, cases = verdict_of(specification, results, mistake), sum(result.cases for result in results)

    def wrapped(text: str) -> str:
        return textwrap.fill(text, console.width, break_long_words=False, break_on_hyphens=False)

    def in_a_line(result: CheckResult) -> str:
        return textwrap.shorten(f"{result.check}: {result.detail}", console.width - 2, placeholder=" ...")

    paragraphs = [wrapped(sentence), *_findings(results, wrapped, in_a_line), *map(wrapped, _not_tried(results))]
    proved = [result for result in results if result.status is Verdict.PROVED]
    paragraphs += [wrapped(f"Proved in exact arithmetic, for all w and steps: {result.detail}.") for result in proved]
    enclosed = ", ".join(f"{result.check} in {result.enclosed:,} cases" for result in results if result.enclosed)
    if enclosed:
        paragraphs.append(wrapped(f"Enclosed in ball arithmetic, a theorem for each case: {enclosed}."))
    paragraphs += map(wrapped, _tried(results))
    passed = [result.check for result in results if result.status is Verdict.PASS]
    if passed:
        paragraphs.append(wrapped(f"Passed: {', '.join(passed)}."))
    paragraphs.append(wrapped(f"{sentence} {cases:,} cases; --seed {seed} repeats them."))
    console.print("\n\n".join(paragraphs), markup=False, highlight=False, soft_wrap=True)


def verdict_of(specification: str, results: Sequence[CheckResult], mistake: str | None = None) -> str:
    """One sentence: wrong, undecided, or without a fault as far as was tried."""
    name = specification.rpartition(":")[2]
    tried = [result for result in results if result.status is not Verdict.SKIP]
    failed = sum(result.status is Verdict.FAIL for result in tried)
    undecided = sum(result.status is Verdict.INCONCLUSIVE for result in tried)
    checks = f"{len(tried)} {'check' if len(tried) == 1 else 'checks'}"
    if failed:
        kind = f"{mistake[0].upper()}{mistake[1:]}. " if mistake else ""
        return f"{name}: wrong. {kind}{failed} of {checks} {'fails' if failed == 1 else 'fail'}."
    if undecided or not tried:
        return f"{name}: undecided. {undecided} of {checks} could not decide."
    return f"{name}: no fault found by {checks}."


def _findings(
    results: Sequence[CheckResult], wrapped: Callable[[str], str], in_a_line: Callable[[CheckResult], str]
) -> Iterator[str]:
    """The counterexample with the shortest code in full, all other findings in a line each."""
    failed = [result for result in plainest_first(results) if result.status is Verdict.FAIL]
    undecided = [result for result in results if result.status is Verdict.INCONCLUSIVE]
    for result in failed[:1]:
        yield wrapped(f"{result.check} fails: {result.detail or 'see the claim'}")
        yield wrapped(f"The claim: {BY_ID[result.check].claim}")
        if result.counterexample is not None:
            yield f"To see it again:\n\n{result.counterexample.snippet}"
    for heading, rest in (("Also failing:", failed[1:]), ("Undecided, which is no pass:", undecided)):
        if rest:
            yield "\n".join([heading, *(f"  {in_a_line(result)}" for result in rest)])


def plainest_first(results: Sequence[CheckResult]) -> list[CheckResult]:
    """By the length of the code of their counterexamples. One with its numbers comes before one that the prover finds
    again.
    """
    return sorted(results, key=lambda r: (r.check == "proof", len(r.counterexample.snippet) if r.counterexample else 0))


#: Names of one part in two and so on up to twenty.
PARTS = (
    *("half", "a third", "a quarter", "a fifth", "a sixth", "a seventh", "an eighth", "a ninth", "a tenth"),
    *("an eleventh", "a twelfth", "a thirteenth", "a fourteenth", "a fifteenth", "a sixteenth", "a seventeenth"),
    *("an eighteenth", "a nineteenth", "a twentieth"),
)


def pace_in_words(pace: Pace) -> str:
    """How slow a prox is, and which part of the cases is tried therefore."""
    part = PARTS[round(1 / pace.share) - 2]
    return f"prox takes {pace.seconds:.2g} s on a {pace.shape} tensor: {part} of the cases."


def _tried(results: Sequence[CheckResult]) -> Iterator[str]:
    """What was tried where not all of it was bound to be: dtypes and devices, and fewer cases of a slow prox."""
    for result in results:
        if result.scope:
            yield f"{result.check} tried {result.scope}."
    for result in results:
        if result.pace is not None and result.pace.share < 1 and len(results) > 1:
            yield pace_in_words(result.pace)


def _not_tried(results: Sequence[CheckResult]) -> Iterator[str]:
    """Skips for want of an optional member in one sentence, others with their reason; but nothing of a check that
    cannot be asked of any regularizer of a user.
    """
    skipped = [result for result in results if result.status is Verdict.SKIP]
    wanting = [result.detail.removeprefix(LACKS) for result in skipped if result.detail.startswith(LACKS)]
    if wanting:
        members = sorted({member for wanted in wanting for member in wanted.split(" or ")})
        yield f"Not tried for want of optional members: {len(wanting)} that need {', '.join(members)}."
    reasons = dict.fromkeys(r.detail for r in skipped if not r.detail.startswith(LACKS) and r.detail != UNKNOWN)
    for reason in reasons:
        yield f"Not tried: {', '.join(r.check for r in skipped if r.detail == reason)}; {reason}."
