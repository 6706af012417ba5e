"""Outcomes for people and programs: live progress, the table of verdicts, paper.json and the pictures."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from paper_checks.claim import Claim, Kind, Settings
from paper_checks.outcome import Outcome
from ramda_verify.engine.record import Verdict
from ramda_verify.output import machine
from ramda_verify.output.documents import Document, Record, to_json
from ramda_verify.output.writing import write_whole

NAME = "paper.json"

STYLES = {Verdict.PASS: "green", Verdict.FAIL: "bold red", Verdict.SKIP: "dim", Verdict.INCONCLUSIVE: "yellow"}
#: How a verdict is called in a sentence about a claim.
WORDS = {
    Verdict.PASS: "holds",
    Verdict.FAIL: "falls short",
    Verdict.SKIP: "skipped",
    Verdict.INCONCLUSIVE: "inconclusive",
}


def show_claims(console: Console, claims: Sequence[Claim]) -> None:
    """Every claim with its id, its place in the paper and what it says."""
    for claim in claims:
        console.print(f"[bold]{claim.id}[/]  ({claim.kind}; {escape(claim.source)})", highlight=False)
        console.print(f"    {escape(claim.statement)}", highlight=False)


@contextmanager
def watch(total: int, console: Console) -> Iterator[tuple[Callable[[str], None], Callable[[Outcome], Outcome]]]:
    """Two functions: one shows what is being done, the other passes an outcome through and shows its verdict."""
    columns = (BarColumn(bar_width=20), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=total)

        def describe(words: str) -> None:
            progress.update(task, description=escape(words))

        def advance(outcome: Outcome) -> Outcome:
            progress.update(task, advance=1)
            verdict = outcome.evidence.verdict
            words = f"[{STYLES[verdict]}]{WORDS[verdict]}[/] {outcome.claim.id} ({outcome.seconds:.1f} s)"
            progress.console.print(words, highlight=False)
            return outcome

        yield describe, advance


class WrittenClaim(Record, frozen=True, kw_only=True):
    """A claim and what was found of it."""

    id: str
    title: str
    source: str
    statement: str
    kind: Kind
    verdict: Verdict
    measured: str
    bound: str
    tolerance: str
    detail: str
    numbers: dict[str, Any]
    seconds: float
    picture: str | None


class PaperReport(Document, frozen=True, kw_only=True):
    """paper.json, schema 1."""

    seed: int
    full: bool
    versions: dict[str, str]
    machine: dict[str, Any]
    claims: list[WrittenClaim]


def show_outcomes(console: Console, outcomes: Sequence[Outcome]) -> None:
    """The table, then one paragraph a claim, then the count of each verdict."""
    table = Table(title="The paper's claims", title_justify="left", header_style="bold")
    for heading in ("claim", "measured", "bound", "verdict"):
        table.add_column(heading, no_wrap=heading in ("claim", "verdict"))
    for outcome in outcomes:
        evidence = outcome.evidence
        verdict = f"[{STYLES[evidence.verdict]}]{WORDS[evidence.verdict]}[/]"
        table.add_row(outcome.claim.id, escape(evidence.measured), escape(evidence.bound), verdict)
    console.print(table)
    for outcome in outcomes:
        if outcome.evidence.detail:
            text = f"[bold]{outcome.claim.id}[/]: {escape(outcome.evidence.detail)}"
            console.print(text, highlight=False)
    count = Counter(outcome.evidence.verdict for outcome in outcomes)
    console.print(", ".join(f"[{STYLES[v]}]{count[v]} {WORDS[v]}[/]" for v in Verdict if count[v]), highlight=False)


def write_report(folder: Path, outcomes: Sequence[Outcome], settings: Settings) -> list[Path]:
    """Write ``paper.json`` and a PNG for every claim that has a picture; returns their paths."""
    pictures = []
    rows = []
    for outcome in outcomes:
        name = f"{outcome.claim.id}.png" if outcome.evidence.picture is not None else None
        if outcome.evidence.picture is not None and name is not None:
            save = partial(outcome.evidence.picture.savefig, format="png", dpi=150)
            pictures.append(write_whole(folder / name, save))
        rows.append(_row(outcome, name))
    document = PaperReport(
        schema=PaperReport.VERSION,
        seed=settings.seed,
        full=settings.full,
        versions=machine.versions(),
        machine=machine.facts(),
        claims=rows,
    )
    return [write_whole(folder / NAME, to_json(document) + "\n"), *pictures]


def _row(outcome: Outcome, picture: str | None) -> WrittenClaim:
    claim, evidence = outcome.claim, outcome.evidence
    return WrittenClaim(
        id=claim.id,
        title=claim.title,
        source=claim.source,
        statement=claim.statement,
        kind=claim.kind,
        verdict=evidence.verdict,
        measured=evidence.measured,
        bound=evidence.bound,
        tolerance=evidence.tolerance,
        detail=evidence.detail,
        numbers=dict(evidence.numbers),
        seconds=round(outcome.seconds, 3),
        picture=picture,
    )
