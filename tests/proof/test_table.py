"""What a terminal shows of proofs, and what a report keeps of them."""

import io
import re

import pytest
from rich.console import Console

from ramda_verify.proof import LIMITS, MEANINGS, Counterexample, Proof, ProofVerdict
from ramda_verify.proof.output import STYLES, show_proofs, write_proofs

SNIPPET = "w = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])  # [bold]"
PROOFS = [
    Proof("mine.py:Right", ProofVerdict.PROVED, "each entry", "a > 0", 1.26),
    Proof(
        "mine:Wrong", ProofVerdict.REFUTED, "each entry", "b >= 0", 11.75,
        counterexample=Counterexample({"w": 1 / 3, "step": 2.0}, "z = 1 is [bold] lower", SNIPPET),
    ),
    Proof("plain", ProofVerdict.OUTSIDE, seconds=0.04, detail="it sums w[red] 7 times"),
]  # fmt: skip


def shown(proofs=PROOFS, **options) -> str:
    text = io.StringIO()
    show_proofs(Console(file=text, **{"width": 60, "color_system": None, **options}), proofs)
    return text.getvalue()


def test_a_proof_is_a_row_without_its_file():
    rows = [line.split() for line in shown().splitlines()]
    assert ["name", "verdict", "about", "parameters", "seconds"] in rows
    assert ["Right", "proved", "each", "entry", "a", ">", "0", "1.3"] in rows
    assert ["Wrong", "refuted", "each", "entry", "b", ">=", "0", "11.8"] in rows
    assert ["plain", "outside", "0.0"] in rows


def test_seconds_are_on_the_right_and_words_on_the_left():
    right, wrong = (line for line in shown().splitlines() if re.search("^ *(Right|Wrong) ", line))
    assert len(right.rstrip()) == len(wrong.rstrip())
    assert right.index("Right") == wrong.index("Wrong")
    assert right.index("a > 0") == wrong.index("b >= 0")


def test_a_long_name_is_folded():
    text = shown([Proof("x" * 100, ProofVerdict.PROVED, "each entry", "a > 0")])
    assert text.count("x") >= 100
    assert "…" not in text
    assert " 0.0" in text


def test_words_are_shown_as_they_are():
    """Brackets in them are no markup, and a snippet is not broken, to be copied."""
    text = shown(width=40)
    lines = text.splitlines()
    assert SNIPPET in lines
    words = " ".join(text.split())
    assert "plain: outside: it sums w[red] 7 times" in words
    assert "mine:Wrong: refuted at w = 0.333333333, step = 2: z = 1 is [bold] lower" in words
    assert "mine.py:Right" not in words


def test_each_verdict_that_occurs_is_explained_once():
    words = " ".join(shown([*PROOFS, PROOFS[0]]).split())
    for verdict, meaning in MEANINGS.items():
        expected = 1 if verdict in {proof.verdict for proof in PROOFS} else 0
        assert words.count(f"{verdict}: {meaning}.") == expected
    assert words.count(LIMITS) == 1
    assert words.endswith(LIMITS)


def test_only_the_verdict_has_a_colour():
    """Numbers in words and in a snippet are not marked, as a console does by itself."""
    lines = shown(force_terminal=True, color_system="standard", width=1000).splitlines()
    for beginning in ("plain: outside:", "mine:Wrong: refuted at", SNIPPET[:9]):
        (line,) = (line for line in lines if line.startswith(beginning))
        assert "\x1b" not in line
    for beginning in ("\x1b[2mproved:", "\x1b[2mrefuted:", "\x1b[2moutside:", f"\x1b[2m{LIMITS[:9]}"):
        (line,) = (line for line in lines if line.startswith(beginning))
        assert re.findall("\x1b\\[\\d+m", line) == ["\x1b[2m", "\x1b[0m"]
    assert any("\x1b[32mproved" in line for line in lines)
    assert any("\x1b[1;31mrefuted" in line for line in lines)
    assert any("\x1b[1mname" in line for line in lines)
    assert STYLES.keys() == MEANINGS.keys() == set(ProofVerdict)


@pytest.fixture
def report(tmp_path) -> str:
    write_proofs(tmp_path / "proofs.md", PROOFS)
    return (tmp_path / "proofs.md").read_text()


def test_a_report_has_a_row_for_each_proof(report):
    lines = report.splitlines()
    start = lines.index("| name | verdict | about | parameters | seconds |")
    assert lines[start + 1 : start + 5] == [
        "| --- | --- | --- | --- | --- |",
        "| Right | proved | each entry | a > 0 | 1.26 |",
        "| Wrong | refuted | each entry | b >= 0 | 11.75 |",
        "| plain | outside |  |  | 0.04 |",
    ]
    assert lines[start - 1] == lines[start + 5] == ""


def test_a_report_says_what_it_is_and_what_it_is_not(report):
    lines = report.splitlines()
    assert lines[:2] == ["# Proofs of the regularizers", ""]
    made = r"; \d{4}-\d\d-\d\d, \d+ cores \(.+\), Python 3\.\d+\.\d+, torch \d\S+, z3-solver \d\S+ Seconds"
    assert re.search(made, " ".join(lines[:6]))
    for verdict, meaning in MEANINGS.items():
        assert f"- {verdict}: {meaning}." in lines
    assert LIMITS in " ".join(lines)
    assert report.endswith("\n\nplain: it sums w[red] 7 times.\n")


def test_a_report_of_proofs_ends_with_its_limits(tmp_path):
    write_proofs(tmp_path / "proofs.md", PROOFS[:1])
    assert (tmp_path / "proofs.md").read_text().endswith(f"{LIMITS.split()[-1]}\n")
