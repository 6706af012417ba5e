"""The command ``ramda-verify run``."""

from pathlib import Path
from typing import Annotated

import typer

from ramda_verify.commands.options import (
    Full,
    Jobs,
    Quick,
    Seed,
    UsageError,
    announced,
    cases_named,
    need,
    not_written,
    refuse_unwritable,
)


def run(
    quick: Quick = False,
    full: Full = False,
    seed: Seed = None,
    jobs: Jobs = 0,
    only: Annotated[list[str] | None, typer.Option(help="A check or target to run; may be repeated.")] = None,
    report: Annotated[Path, typer.Option(help="Folder for report.json, report.html and junit.xml.")] = Path("report"),
) -> None:
    """Run the verification suite over every known regularizer, solver and optimizer.

    Every run tries new cases, unless --seed repeats an earlier one. Exit codes: 0 no check fails, 1 one fails or is
    undecided, 2 bad usage.
    """
    cases = cases_named(quick, full)
    need("run", "verify")

    from rich.console import Console

    from ramda_verify.commands.watched import watched
    from ramda_verify.engine.suite import EXAMPLES, suite_jobs
    from ramda_verify.engine.targets import TargetError
    from ramda_verify.engine.workers import default_workers
    from ramda_verify.output.files import NAMES, write_report
    from ramda_verify.output.terminal import show_results

    try:
        todo = suite_jobs(tuple(only or ()))
    except TargetError as error:
        raise UsageError(str(error)) from error
    refuse_unwritable(report, NAMES)
    seed = announced(seed)
    results = watched(todo, seed=seed, examples=EXAMPLES[cases], workers=jobs or default_workers())
    console = Console()
    show_results(console, results, seed=seed)
    try:
        written = write_report(report, results, seed=seed)
    except OSError as error:
        raise not_written(report, error) from error
    console.print(f"Written: {', '.join(map(str, written))}", soft_wrap=True)
    raise typer.Exit(0 if all(result.status.holds for result in results) else 1)
