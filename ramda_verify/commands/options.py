"""Options that several commands have, and what is done with them before anything runs."""

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ramda_verify.output.extras import how_to_install, missing_modules
from ramda_verify.output.writing import why_unwritable

Seed = Annotated[
    int | None,
    typer.Option(
        help="Seed of all random choices, to repeat a run. Without it a fresh one is drawn and printed.",
        show_default=False,
    ),
]
Quick = Annotated[bool, typer.Option("--quick", help="A fifth of the cases.")]
Full = Annotated[bool, typer.Option("--full", help="Ten times the cases.")]
Jobs = Annotated[int, typer.Option(min=0, help="Worker processes; 0 means one per processor that may be used.")]


class UsageError(typer.BadParameter):
    """Bad usage: one line, exit status 2."""


def cases_named(quick: bool, full: bool) -> str:
    """The name in ``suite.EXAMPLES`` of how many cases are tried."""
    if quick and full:
        raise UsageError("--quick and --full exclude each other")
    return "quick" if quick else "full" if full else "default"


def announced(seed: int | None) -> int:
    """The seed, or a fresh one; printed as the first line on standard error, where a run that breaks leaves it."""
    seed = secrets.randbelow(2**31) if seed is None else seed
    typer.echo(f"seed {seed} (--seed {seed} repeats this run)", err=True)
    return seed


def refuse_unwritable(folder: Path, names: Sequence[str]) -> None:
    """Refuse a folder of reports that cannot hold files of these names, before anything is computed."""
    reason = why_unwritable(folder, names)
    if reason is not None:
        raise UsageError(f"--report {folder} cannot be written: {reason}")


def not_written(folder: Path, error: OSError) -> typer.Exit:
    """Say that a report could not be written after all, as on a full disk; the status to exit with."""
    typer.echo(f"--report {folder} could not be written: {error.strerror or error}", err=True)
    return typer.Exit(2)


def need(command: str, *extras: str) -> None:
    """Refuse where a package of an extra that the command needs is not installed."""
    for extra in extras:
        missing = missing_modules(extra)
        if missing:
            verb = "is" if len(missing) == 1 else "are"
            words = f"ramda-verify {command} needs the extra {extra}: {how_to_install(extra)}"
            typer.echo(f"{words} ({', '.join(missing)} {verb} missing)", err=True)
            raise typer.Exit(2)


def listed(option: str, given: Sequence[str], allowed: Sequence[str]) -> tuple[str, ...]:
    """The names given to an option, which may be repeated and may hold several between commas, each once."""
    names = [name.strip() for entry in given for name in entry.split(",")]
    for name in names:
        if name not in allowed:
            raise UsageError(f"{option} must be among {', '.join(allowed)}, got {name!r}")
    return tuple(dict.fromkeys(names))
