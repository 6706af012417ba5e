"""The command ``ramda-verify record``."""

from pathlib import Path
from typing import Annotated

import typer

from ramda_verify.commands.options import UsageError, need
from ramda_verify.output.writing import why_unwritable


def record(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write, .npz.", show_default=False)],
    seed: Annotated[int, typer.Option(min=0, help="Seed of all networks and minibatches.")] = 0,
) -> None:
    """Train small networks and record slices of their steps, on which the suite runs its checks.

    The file that the suite reads is ramda_verify/cases/recorded/steps.npz. Exit codes: 0 written, 2 bad usage.
    """
    if out.suffix != ".npz":
        raise UsageError(f"OUT must be the name of an .npz file, got {str(out)!r}")
    if not out.parent.is_dir():
        raise UsageError(f"OUT must be in a folder that exists, got {str(out)!r}")
    reason = why_unwritable(out.parent, (out.name,))
    if reason is not None:
        raise UsageError(f"{str(out)!r} cannot be written: {reason}")
    need("record", "verify")

    import datetime

    from rich.console import Console
    from rich.progress import track

    from ramda_verify.cases.recorded.plan import runs
    from ramda_verify.cases.recorded.recorder import record as record_run
    from ramda_verify.cases.recorded.store import Recording, write
    from ramda_verify.output.machine import versions

    steps = [
        step
        for run in track(list(runs()), "training", console=Console(stderr=True), transient=True)
        for step in record_run(run, seed)
    ]
    made = {
        "command": f"ramda-verify record {out.name} --seed {seed}",
        "date": datetime.date.today().isoformat(),
        "seed": seed,
        "versions": versions(),
    }
    try:
        write(out, Recording(steps, made))
    except OSError as error:
        raise UsageError(f"{str(out)!r} cannot be written: {error.strerror}") from error
    typer.echo(f"{out}: {len(steps)} steps, {out.stat().st_size / 1e6:.2f} MB")
