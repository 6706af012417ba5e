"""The command that this package adds to ``ramda-verify``: ``paper``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ramda_verify.commands.options import UsageError, need, not_written, refuse_unwritable

if TYPE_CHECKING:
    from paper_checks.claim import Claim


def paper(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="Claims to check; all without.", show_default=False)
    ] = None,
    list_claims: Annotated[bool, typer.Option("--list", help="List the claims and check none.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Also what trains for minutes or hours.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random choices.")] = 0,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of the data files; else RAMDA_DATA, else the user's cache folder.")
    ] = None,
    runs: Annotated[
        Path, typer.Option(help="Folder of training runs; a finished run in it is judged, not trained again.")
    ] = Path("runs"),
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of a training run.")] = 1,
    report: Annotated[Path | None, typer.Option(help="Folder for paper.json and the pictures.")] = None,
) -> None:
    """Check the paper's claims, one by one, with evidence.

    Exit codes: 0 all hold (a claim that was skipped counts as holding and says why), 1 a claim falls short or its check
    is inconclusive, 2 bad usage.
    """
    need("paper", "verify", "train")

    from rich.console import Console

    from paper_checks.claim import Settings
    from paper_checks.outcome import check_claims
    from paper_checks.report import NAME, show_claims, show_outcomes, watch, write_report

    chosen = _chosen(ids or [])
    console = Console()
    if list_claims:
        show_claims(console, chosen)
        return
    if report is not None:
        refuse_unwritable(report, (NAME, *(f"{claim.id}.png" for claim in chosen)))
    with watch(len(chosen), Console(stderr=True)) as (progress, advance):
        settings = Settings(seed=seed, full=full, data_dir=data_dir, runs=runs, threads=threads, progress=progress)
        outcomes = [advance(outcome) for outcome in check_claims(chosen, settings)]
    show_outcomes(console, outcomes)
    if report is not None:
        try:
            written = write_report(report, outcomes, settings)
        except OSError as error:
            raise not_written(report, error) from error
        console.print(f"Written: {', '.join(map(str, written))}", highlight=False, soft_wrap=True)
    raise typer.Exit(0 if all(outcome.evidence.verdict.holds for outcome in outcomes) else 1)


def _chosen(ids: Sequence[str]) -> "list[Claim]":
    """The claims named, in the registry's order; all without names."""
    from paper_checks.registry import BY_ID, CLAIMS

    unknown = [name for name in ids if name not in BY_ID]
    if unknown:
        raise UsageError(f"unknown claim {', '.join(unknown)}; the known ones are {', '.join(BY_ID)}")
    return [claim for claim in CLAIMS if not ids or claim.id in ids]
