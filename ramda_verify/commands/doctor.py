"""The command ``ramda-verify doctor``."""

from typing import Annotated

import typer

from ramda_verify.commands.options import UsageError

FORMATS = ("text", "json")


def doctor(format: Annotated[str, typer.Option(help="text or json.")] = "text") -> None:
    """Say what is installed, which kernels run on this machine and why others do not.

    Exit codes: 0 always, whatever is found; 2 bad usage.
    """
    if format not in FORMATS:
        raise UsageError(f"--format must be text or json, got {format!r}")

    from ramda_verify.output.doctor import findings, in_words

    found = findings()
    if format == "json":
        import json

        typer.echo(json.dumps(found, indent=1))
    else:
        typer.echo(in_words(found))
