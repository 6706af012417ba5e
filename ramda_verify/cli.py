"""The command line: ``run``, ``check``, ``prove``, ``bench``, ``record``, and commands that other packages register."""

import secrets
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ramda_verify.bench.command import bench
from ramda_verify.diagnosis import kind_of_mistake
from ramda_verify.plug_in_path import look_in, stranger
from ramda_verify.proof.command import prove
from ramda_verify.record import CheckResult
from ramda_verify.recorded.command import record
from ramda_verify.report import machine_and_versions, show_results, show_verdict, watch, write_report
from ramda_verify.runner import default_workers, run_jobs
from ramda_verify.suite import EXAMPLES, Job, check_jobs, suite_jobs
from ramda_verify.targets import TargetError, load_regularizer

COMMAND_GROUP = "ramda_verify.commands"

Seed = Annotated[
    int | None,
    typer.Option(
        help="Seed of all random choices, to repeat a run. Without it a fresh one is drawn and printed.",
        show_default=False,
    ),
]

Quick = Annotated[bool, typer.Option("--quick", help="A fifth of the cases.")]
Full = Annotated[bool, typer.Option("--full", help="Ten times the cases.")]
Jobs = Annotated[int, typer.Option(min=0, help="Worker processes; 0 means one per processor.")]

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


class UsageError(typer.BadParameter):
    """Bad usage: one line, exit status 2."""


@app.callback()
def _about() -> None:
    """Verify structured training: the proximal core against independent oracles, the theory by execution."""


@app.command()
def run(
    quick: Quick = False,
    full: Full = False,
    seed: Seed = None,
    jobs: Jobs = 0,
    only: Annotated[list[str] | None, typer.Option(help="A check or target to run; may be repeated.")] = None,
    report: Annotated[Path, typer.Option(help="Folder for report.json and report.html.")] = Path("report"),
) -> None:
    """Run the verification suite over every known regularizer, solver and optimizer.

    Every run tries new cases, unless --seed repeats an earlier one.
    """
    examples = _examples(quick, full)
    try:
        todo = suite_jobs(tuple(only or ()))
    except TargetError as error:
        raise UsageError(str(error)) from error
    _writable(report)
    seed = _announced(seed)
    results = _run(todo, seed=seed, examples=examples, workers=jobs or default_workers())
    written = write_report(report, results, seed=seed)
    console = Console()
    show_results(console, results, seed=seed)
    console.print(f"Written: {', '.join(map(str, written))}")
    raise typer.Exit(0 if all(result.status.holds for result in results) else 1)


@app.command()
def check(
    target: Annotated[str, typer.Argument(help="package.module:Name or path/file.py:Name, a class or an instance.")],
    format: Annotated[str, typer.Option(help="text or json.")] = "text",
    quick: Quick = False,
    full: Full = False,
    seed: Seed = None,
    jobs: Jobs = 0,
    only: Annotated[list[str] | None, typer.Option(help="A check to run; may be repeated.")] = None,
    report: Annotated[
        Path | None, typer.Option(help="Folder for report.json and report.html; none without.", show_default=False)
    ] = None,
) -> None:
    """Check a regularizer of your own: is its prox right, and are its optional claims true?

    Every run tries new cases, unless --seed repeats an earlier one.
    """
    if format not in ("text", "json"):
        raise UsageError(f"--format must be text or json, got {format!r}")
    examples = _examples(quick, full)
    hidden_by = stranger()
    if hidden_by is not None:
        raise UsageError(f"{hidden_by} hides the package solvers that this verifier belongs to; see PYTHONPATH")
    look_in(Path.cwd())
    try:
        todo = check_jobs(target, tuple(only or ()))
    except TargetError as error:
        raise UsageError(str(error)) from error
    if report is not None:
        _writable(report)
    workers, seed = jobs or default_workers(), _announced(seed)
    results = _run(todo, seed=seed, examples=examples, workers=workers)
    if report is not None:
        write_report(report, results, seed=seed)
    if format == "json":
        typer.echo(machine_and_versions(results, seed=seed).to_json())
    else:
        mistake = kind_of_mistake(load_regularizer(target), results)
        show_verdict(Console(), target, results, seed=seed, mistake=mistake)
    raise typer.Exit(0 if all(result.status.holds for result in results) else 1)


def _examples(quick: bool, full: bool) -> int:
    if quick and full:
        raise UsageError("--quick and --full exclude each other")
    return EXAMPLES["quick" if quick else "full" if full else "default"]


def _announced(seed: int | None) -> int:
    """The seed, or a fresh one; printed as the first line on standard error, where a run that breaks leaves it."""
    seed = secrets.randbelow(2**31) if seed is None else seed
    typer.echo(f"seed {seed} (--seed {seed} repeats this run)", err=True)
    return seed


def _run(todo: list[Job], *, seed: int, examples: int, workers: int) -> list[CheckResult]:
    """Results in the order of the jobs, watched live on standard error."""
    place = {(job.check, job.target): index for index, job in enumerate(todo)}
    stream = run_jobs(todo, seed=seed, examples=examples, workers=workers)
    results = list(watch(stream, total=len(todo), console=Console(stderr=True)))
    return sorted(results, key=lambda result: place[result.check, result.target])


def _writable(folder: Path) -> None:
    """Refuse a report folder that cannot be written before anything is computed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(f"--report {folder} cannot be written: {error.strerror}") from error


app.command()(bench)
app.command()(record)
app.command()(prove)


def main() -> None:
    """Entry point: our commands and those registered by other packages under ``ramda_verify.commands``."""
    for entry in sorted(entry_points(group=COMMAND_GROUP), key=lambda e: e.name):
        try:
            command = entry.load()
        except Exception as error:
            # A package that is broken must not take our own commands with it.
            Console(stderr=True).print(f"{entry.name}: not available, {type(error).__name__}: {error}", style="yellow")
            continue
        app.command(entry.name)(command)
    app()


if __name__ == "__main__":
    main()
