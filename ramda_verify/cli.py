"""The command line: our own commands and those that other packages register."""

from functools import cache
from importlib.metadata import entry_points

import typer

from ramda_verify.commands.check import check
from ramda_verify.commands.doctor import doctor
from ramda_verify.commands.prove import prove
from ramda_verify.commands.record import record
from ramda_verify.commands.run import run

COMMAND_GROUP = "ramda_verify.commands"

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def _about() -> None:
    """Verify structured training: the proximal core against independent oracles, the theory by execution."""


for command in (run, check, prove, record, doctor):
    app.command()(command)


@cache
def complete() -> typer.Typer:
    """Our commands and those registered by other packages under ``ramda_verify.commands``."""
    for entry in sorted(entry_points(group=COMMAND_GROUP), key=lambda e: e.name):
        try:
            registered = entry.load()
        except Exception as error:
            # A package that is broken must not take our own commands with it.
            typer.secho(f"{entry.name}: not available, {type(error).__name__}: {error}", fg="yellow", err=True)
            continue
        app.command(entry.name)(registered)
    return app


def main() -> None:
    """Entry point."""
    complete()()


if __name__ == "__main__":
    main()
