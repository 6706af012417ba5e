"""The commands that this package adds to ``ramda-verify``: ``train`` and ``plot``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.names import optimizer_names, task_names
from ramda_verify.commands.options import UsageError, need

if TYPE_CHECKING:
    from experiments.runner import Entry, Plan


def train(
    task: Annotated[
        str, typer.Argument(metavar="TASK", help=f"One of: {', '.join(task_names())}.", show_default=False)
    ],
    optimizer: Annotated[str, typer.Option(help=f"One of: {', '.join(optimizer_names())}.")] = "ramda",
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of the data files; else RAMDA_DATA, else the user's cache folder.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    seed: Annotated[int, typer.Option(help="Fixes the order of the batches.")] = 0,
    epochs: Annotated[
        int | None,
        typer.Option(help="Another length of the run; milestones keep their share of it.", show_default="the task's"),
    ] = None,
    run_dir: Annotated[
        Path | None,
        typer.Option(help="Folder for log and result.", show_default="runs/TASK-OPTIMIZER-seedSEED"),
    ] = None,
    threads: Annotated[int, typer.Option(help="CPU threads of the training loop.")] = 1,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a finished run.")] = False,
) -> None:
    """Train a network on the verified core and measure it against the certified optimum.

    Exit codes: 0 finished, 1 falls short (a gradient or F that is not finite, an optimum that cannot be certified), 2
    bad usage.
    """
    need("train", "train")

    from experiments.runner import RunFailedError, prepare

    try:
        plan = prepare(
            task,
            optimizer,
            seed=seed,
            device=device,
            epochs=epochs,
            data_dir=data_dir,
            run_dir=run_dir,
            threads=threads,
            overwrite=overwrite,
        )
    except (ValueError, TypeError, OSError) as error:
        raise UsageError(str(error)) from error
    try:
        result = _run_with_progress(plan)
    except RunFailedError as error:
        typer.echo(f"failed: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(_summary(result, plan.folder.path))


def plot(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN", help="Folders of finished runs of one task.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="Folder for the figure.")] = Path("runs"),
    name: Annotated[str, typer.Option(help="File name without its ending.")] = "comparison",
) -> None:
    """Draw objective gap, stationarity and support of finished runs over time, as PNG and PDF.

    Exit codes: 0 drawn, 2 bad usage.
    """
    need("plot", "train")

    from experiments.plots import draw, read_curves, save

    try:
        paths = save(draw(read_curves(runs)), out, name)
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error
    for path in paths:
        typer.echo(path)


def _run_with_progress(plan: "Plan") -> "Entry":
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from experiments.runner import run
    from experiments.settings import DISPLAY_NAMES

    console = Console(stderr=True)
    columns = [
        TextColumn("epoch"),
        MofNCompleteColumn(),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[state]}"),
    ]
    name = DISPLAY_NAMES[plan.settings.optimizer]
    typer.echo(f"{plan.task.name}, {name}, seed {plan.seed}, on {plan.device}", err=True)
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=plan.settings.epochs, state="certifying the optimum")

        def show(entry: "Entry") -> None:
            state = f"{entry['test_accuracy']:.2f} % right, {entry['differing_groups']} groups differ"
            progress.update(bar, completed=entry["epoch"], state=state)

        return run(plan, show)


def _summary(result: "Entry", folder: Path) -> str:
    """The end of a run in five lines."""
    certified, groups = result["certified"], result["groups"]
    identified = result["identified_from_step"]
    lines = [
        f"objective       {result['objective']:.8f}   certified {certified['objective']:.8f}",
        f"test accuracy   {result['test_accuracy']:.2f} %   certified {certified['test_accuracy']:.2f} %",
        f"zero groups     {result['zero_groups']} of {groups} ({100 * result['zero_groups'] / groups:.2f} %)   "
        f"certified {certified['zero_groups']} ({100 * certified['zero_groups'] / groups:.2f} %)",
        f"differing       {len(result['differing_groups'])} groups; support unchanged from step "
        f"{result['support_stable_from_step']} of {result['steps']}, "
        + ("not the certified one" if identified is None else f"certified from step {identified}"),
        f"run folder      {folder}",
    ]
    return "\n".join(lines)
