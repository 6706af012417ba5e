"""The command ``ramda-verify bench``."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ramda_verify.commands.options import UsageError, need, not_written, refuse_unwritable

if TYPE_CHECKING:
    from experiments.bench.plan import Plan


def bench(
    report: Annotated[Path | None, typer.Option(help="Folder for bench.json and bench.png.")] = None,
    compare: Annotated[
        Path | None, typer.Option(metavar="OLD.json", help="An older bench.json: show what has become worse.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small cases and few repeats, less than a minute.")] = False,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[
        list[int] | None,
        typer.Option(help="CPU threads to measure with; may be repeated.", show_default="1, and all"),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="CASE", help='A case or a pattern ("groups-*"); may be repeated.')
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(help="A checkout of ismoptgroup/RAMDA, the released code of the paper.")
    ] = None,
    proxssi: Annotated[
        Path | None, typer.Option(help="A checkout of tristandeleu/pytorch-structured-sparsity.")
    ] = None,
    list_cases: Annotated[bool, typer.Option("--list", help="List the cases and measure nothing.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random values.")] = 0,
) -> None:
    """Time ours against peers in one process: AdamW, CVXPY and, where given, the released codes.

    Exit codes: 0 measured (goals are reported; a missed one does not change this), 2 bad usage.
    """
    need("bench", "bench")

    from rich.console import Console

    from experiments.bench.cases.registry import CASES, chosen_cases
    from experiments.bench.compare import compare as changes_between
    from experiments.bench.compare import warnings_about
    from experiments.bench.document import NAME, make_document, read_document, write_document
    from experiments.bench.pictures import NAME as PICTURE
    from experiments.bench.pictures import save
    from experiments.bench.plan import busy
    from experiments.bench.runner import run_cases
    from experiments.bench.terminal import show_changes, show_rows, watch

    console = Console()
    if list_cases:
        for case in CASES:
            console.print(f"[bold]{case.name}[/]  {case.title}{' (quick)' if case.quick else ''}", highlight=False)
        return
    try:
        cases = chosen_cases(only or (), quick=quick)
        older = None if compare is None else read_document(compare)
        plan = _plan(device, threads or (), quick=quick, seed=seed, reference=reference, proxssi=proxssi)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if report is not None:
        refuse_unwritable(report, (NAME, PICTURE))
    disturbed = busy()
    if disturbed is not None:
        console.print(f"[yellow]{disturbed}[/]", highlight=False)
    with watch(len(cases), Console(stderr=True)) as live:
        rows, skipped = run_cases(cases, replace(plan, say=live.say), show=live.show, advance=live.advance)
    document = make_document(rows, skipped, plan)
    show_rows(console, rows, skipped)
    if older is not None:
        show_changes(console, changes_between(older, document), warnings_about(older, document))
    if report is None:
        return
    try:
        written = [write_document(report, document), *([save(rows, report)] if rows else [])]
    except OSError as error:
        raise not_written(report, error) from error
    console.print(f"Written: {', '.join(map(str, written))}", highlight=False, soft_wrap=True)


def _plan(
    device: str,
    threads: Sequence[int],
    *,
    quick: bool,
    seed: int,
    reference: Path | None,
    proxssi: Path | None,
) -> "Plan":
    """Settings of the run; raises ValueError on what cannot be used."""
    import torch

    from experiments.bench.peers import load_proxssi, load_reference
    from experiments.bench.plan import Plan, default_threads

    if device not in ("cpu", "cuda"):
        raise ValueError(f"--device must be cpu or cuda, got {device!r}")
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda needs an NVIDIA GPU that torch can use, and there is none")
    for count in threads:
        if count < 1:
            raise ValueError(f"--threads must be at least 1, got {count}")
    # A GPU does the work: the number of CPU threads matters to nothing but what stays on the CPU.
    counts = tuple(sorted(set(threads))) or (default_threads() if device == "cpu" else default_threads()[-1:])
    return Plan(
        device=torch.device(device),
        threads=counts,
        quick=quick,
        seed=seed,
        reference=None if reference is None else load_reference(reference),
        proxssi=None if proxssi is None else load_proxssi(proxssi),
    )
