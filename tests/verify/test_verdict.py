"""The words of ``check``: first and last the verdict, between them one counterexample, nothing broken within a word."""

import re

import pytest
from rich.console import Console

from ramda_verify.checks import ALL_CHECKS
from ramda_verify.engine.record import CheckResult, Counterexample, Verdict
from ramda_verify.output.verdict import show_verdict

#: The prover's counterexample stands behind those with numbers in them.
IDS = [check.id for check in ALL_CHECKS if check.kind == "regularizer" and check.id != "proof"]
LONG = "a note of many words, " * 20


def result(place: int, status: Verdict, detail: str = "", snippet: str = "") -> CheckResult:
    example = Counterexample("w=1", 2.0, detail, snippet) if snippet else None
    return CheckResult(IDS[place], "mine.py:Mine", status, 7, 2.0, 1.0, 0.1, example, detail)


def said(*results: CheckResult, width: int = 80) -> str:
    console = Console(width=width, force_terminal=False, record=True, file=None, quiet=False)
    with console.capture() as captured:
        show_verdict(console, "mine.py:Mine", results, seed=5)
    return captured.get()


@pytest.mark.parametrize(
    ("statuses", "sentence"),
    [
        ([Verdict.PASS, Verdict.PASS], "Mine: no fault found by 2 checks."),
        ([Verdict.PASS, Verdict.SKIP], "Mine: no fault found by 1 check."),
        ([Verdict.FAIL, Verdict.PASS, Verdict.INCONCLUSIVE], "Mine: wrong. 1 of 3 checks fails."),
        ([Verdict.FAIL, Verdict.FAIL, Verdict.SKIP], "Mine: wrong. 2 of 2 checks fail."),
        ([Verdict.PASS, Verdict.INCONCLUSIVE], "Mine: undecided. 1 of 2 checks could not decide."),
        ([Verdict.SKIP], "Mine: undecided. 0 of 0 checks could not decide."),
    ],
)
def test_the_verdict_comes_first_and_last(statuses, sentence):
    paragraphs = said(*(result(place, status) for place, status in enumerate(statuses))).strip().split("\n\n")
    first, last = (" ".join(paragraphs[place].split()) for place in (0, -1))
    assert first == sentence
    assert last.startswith(sentence)
    assert "--seed 5 " in last


def test_the_plainest_counterexample_in_full_and_the_others_in_a_line():
    short, long = "x = 1\nprint(x)", "x = 1\n" * 30
    text = said(
        result(0, Verdict.FAIL, LONG, long),
        result(1, Verdict.FAIL, "0.5 [bold]is[/] shrunk", short),
        result(2, Verdict.INCONCLUSIVE, LONG),
        result(3, Verdict.PASS),
    )
    assert f"{IDS[1]} fails: 0.5 [bold]is[/] shrunk" in text
    assert short in text
    assert long not in text
    assert sum(line.startswith(f"  {IDS[0]}: ") for line in text.splitlines()) == 1
    assert sum(line.startswith(f"  {IDS[2]}: ") for line in text.splitlines()) == 1
    assert f"Passed: {IDS[3]}." in text


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_too_long_and_no_word_is_broken(width):
    wants = ["convex", "metric_prox or separable", "structure"]
    reasons = [*(f"the regularizer does not offer {member}" for member in wants), "no such thing"]
    results = [result(place, Verdict.SKIP, reason) for place, reason in enumerate(reasons)]
    results += [result(place, Verdict.FAIL, LONG) for place in range(4, 8)]
    results += [result(place, Verdict.PASS) for place in range(8, 20)]
    text = said(*results, width=width)
    assert max(map(len, text.splitlines())) <= width
    words = set(re.sub("[,.:;]", " ", text).split())
    assert {*IDS[:4][3:], *IDS[8:20], "convex", "metric_prox", "separable", "structure"} <= words
