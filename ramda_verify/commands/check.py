"""The command ``ramda-verify check``."""

import sys
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
    listed,
    need,
    not_written,
    refuse_unwritable,
)
from ramda_verify.engine.plug_in_path import look_in, stranger
from ramda_verify.engine.scope import DEVICES, DTYPES
from ramda_verify.engine.streams import printed_to_stderr
from ramda_verify.engine.workers import default_workers, started

FORMATS = ("text", "json")


def check(
    target: Annotated[str, typer.Argument(help="package.module:Name or path/file.py:Name, a class or an instance.")],
    format: Annotated[str, typer.Option(help="text or json.")] = "text",
    quick: Quick = False,
    full: Full = False,
    seed: Seed = None,
    jobs: Jobs = 0,
    only: Annotated[list[str] | None, typer.Option(help="A check to run; may be repeated.")] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Folder for report.json, report.html and junit.xml; none without.", show_default=False),
    ] = None,
    dtypes: Annotated[
        list[str] | None,
        typer.Option(
            help="Dtypes that are compared with float64, between commas.",
            show_default="those that it names, else float32,bfloat16,float16",
        ),
    ] = None,
    devices: Annotated[
        list[str] | None,
        typer.Option(help="Devices on which they are, between commas: cpu, cuda.", show_default="all that there are"),
    ] = None,
) -> None:
    """Check a regularizer of your own: is its prox right, and are its optional claims true?

    Every run tries new cases, unless --seed repeats an earlier one. Exit codes: 0 no check fails, 1 one fails or is
    undecided, 2 bad usage.
    """
    if format not in FORMATS:
        raise UsageError(f"--format must be text or json, got {format!r}")
    cases = cases_named(quick, full)
    narrow, on = listed("--dtypes", dtypes or (), DTYPES), listed("--devices", devices or (), DEVICES)
    need("check", "verify")
    look_in(Path.cwd())
    count = min(jobs or default_workers(), len(only) if only else sys.maxsize)
    # What the user's module and class print is no part of the verdict, nor of a JSON document.
    with printed_to_stderr(), started(count) as workers:
        # While this process imports what follows, its workers do.
        from ramda_verify.checks.regularizer.tensors import devices_here
        from ramda_verify.commands.watched import refused_by, watched
        from ramda_verify.engine.diagnosis import kind_of_mistake
        from ramda_verify.engine.suite import EXAMPLES, check_jobs
        from ramda_verify.engine.targets import TargetError, load_regularizer
        from ramda_verify.output.files import NAMES, write_report
        from ramda_verify.output.summary import machine_and_versions
        from ramda_verify.output.verdict import show_verdict, verdict_of

        for device in on:
            if device not in devices_here():
                raise UsageError(f"--devices {device}: torch finds no such device here")
        hidden_by = stranger()
        if hidden_by is not None:
            raise UsageError(f"{hidden_by} hides the package solvers that this verifier belongs to; see PYTHONPATH")
        refusal = refused_by(workers, target)
        if refusal is not None:
            raise UsageError(refusal)
        try:
            todo = check_jobs(target, tuple(only or ()), dtypes=narrow, devices=on)
        except TargetError as error:
            raise UsageError(str(error)) from error
        if report is not None:
            refuse_unwritable(report, NAMES)
        seed = announced(seed)
        results = watched(todo, seed=seed, examples=EXAMPLES[cases], workers=workers)
        mistake = kind_of_mistake(load_regularizer(target), results)
    verdict = verdict_of(target, results, mistake)
    if format == "json":
        typer.echo(machine_and_versions(results, seed=seed, verdict=verdict).to_json())
    else:
        from rich.console import Console

        show_verdict(Console(), target, results, seed=seed, mistake=mistake)
    if report is not None:
        try:
            write_report(report, results, seed=seed, verdict=verdict)
        except OSError as error:
            raise not_written(report, error) from error
    raise typer.Exit(0 if all(result.status.holds for result in results) else 1)
