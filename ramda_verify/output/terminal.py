"""The terminal: live progress while checks run, then a verdict table and every counterexample."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from ramda_verify.checks import BY_ID
from ramda_verify.engine.record import CheckResult, Verdict

STYLES = {
    Verdict.PASS: "green",
    Verdict.PROVED: "bold green",
    Verdict.FAIL: "bold red",
    Verdict.SKIP: "dim",
    Verdict.INCONCLUSIVE: "yellow",
}


def watch(results: Iterable[CheckResult], *, total: int, console: Console) -> Iterator[CheckResult]:
    """Pass results through while showing how far the run is and what has failed."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[cases]:,} cases"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("checking", total=total, cases=0)
        cases = 0
        for result in results:
            cases += result.cases
            progress.update(task, advance=1, cases=cases, description=f"{result.check} ({result.target})")
            if not result.status.holds:
                progress.console.print(f"[{STYLES[result.status]}]{result.status}[/] {result.check} on {result.target}")
            yield result


def show_results(console: Console, results: Sequence[CheckResult], *, seed: int) -> None:
    """The verdict table, the counterexamples, the count of each verdict and the seed that repeats them."""
    console.print(_table(results))
    for result in results:
        if result.counterexample is not None:
            title = f"{result.check} fails on {result.target}"
            note = Text(result.counterexample.note or "")
            console.print(Panel(note, title=Text(title), title_align="left", border_style="red"))
            console.print(f"claim: {BY_ID[result.check].claim}", markup=False, highlight=False)
            # Unwrapped, to be copied as it is: a terminal folds a long line without breaking it.
            console.print(result.counterexample.snippet, markup=False, highlight=False, soft_wrap=True)
    for (status, check, detail), targets in _remarks(results).items():
        console.print(f"{status}: {check} ({', '.join(targets)}): {detail}", markup=False, highlight=False)
    count = Counter(result.status for result in results)
    words = ", ".join(f"[{STYLES[verdict]}]{count[verdict]} {verdict}[/]" for verdict in Verdict if count[verdict])
    totals = {name: sum(getattr(r, name) for r in results) for name in ("cases", "recorded", "enclosed", "problems")}
    kinds = "{recorded:,} of them recorded in training, {enclosed:,} enclosed".format(**totals)
    counted = f"{totals['cases']:,} cases, {kinds}, of {totals['problems']:,} problems"
    console.print(f"{counted}, seed {seed}: {words}")


def _table(results: Sequence[CheckResult]) -> Table:
    """Each check on a line of its own, its targets below it: no name is broken at 80 columns."""
    table = Table(title="Verdicts", title_justify="left", header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("check, target", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    for heading in ("cases", "worst", "allowed", "seconds"):
        table.add_column(heading, justify="right", no_wrap=True)
    previous = ""
    for result in results:
        if result.check != previous:
            table.add_row(Text(result.check, style="bold"))
        table.add_row(
            Padding(Text(result.target), (0, 0, 0, 2)),
            f"[{STYLES[result.status]}]{result.status}[/]",
            str(result.cases),
            "" if result.worst is None else f"{result.worst:.1e}",
            "" if result.tolerance is None else f"{result.tolerance:.0e}",
            f"{result.seconds:.1f}",
        )
        previous = result.check
    return table


def _remarks(results: Sequence[CheckResult]) -> dict[tuple[Verdict, str, str], list[str]]:
    """The targets of which a check says the same, for what it says of those that neither pass nor have a
    counterexample.
    """
    found: dict[tuple[Verdict, str, str], list[str]] = {}
    for result in results:
        if result.counterexample is None and result.detail and result.status is not Verdict.PASS:
            found.setdefault((result.status, result.check, result.detail), []).append(result.target)
    return found
