"""The terminal: progress while cases run, the table of ratios, and the comparison with an older report."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from experiments.bench.compare import Change
from experiments.bench.rows import Row, Skipped
from experiments.bench.runner import GPU_WORDS

#: Columns of a terminal that has room for the medians.
WIDE = 110
VERDICTS = {True: "[green]holds[/]", False: "[bold red]missed[/]", None: ""}


class Watch:
    """Live progress on one console."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.progress = progress
        self.task = progress.add_task("", total=total)

    def say(self, words: str) -> None:
        self.progress.update(self.task, description=escape(words))

    def advance(self) -> None:
        self.progress.update(self.task, advance=1)

    def show(self, entry: Row | Skipped) -> None:
        """A missed goal, at once; everything else waits for the table."""
        if isinstance(entry, Row) and entry.holds is False:
            words = f"[bold red]missed[/] {escape(entry.case)}: {escape(entry.measure)} {number(entry.ratio)}"
            self.progress.console.print(f"{words}, goal {entry.goal}, {entry.threads} threads", highlight=False)


@contextmanager
def watch(total: int, console: Console) -> Iterator[Watch]:
    columns = (BarColumn(bar_width=20), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console) as progress:
        yield Watch(progress, total)


def show_rows(console: Console, rows: Sequence[Row], skipped: Sequence[Skipped]) -> None:
    """The table, a section for each case, then what was skipped and the count of goals."""
    times = console.width >= WIDE
    table = _table("Benchmarks: ratios of medians", ("ours ms", "peer ms") if times else (), "ratio", "interval")
    table.add_column("goal", no_wrap=True)
    previous = None
    for row in rows:
        _open_section(table, row, previous)
        milliseconds = ["" if value is None else number(value) for value in (row.ours_ms, row.peer_ms)]
        goal = "" if row.goal is None else f"{short(row.goal)} {VERDICTS[row.holds]}"
        measured = (*(milliseconds if times else ()), number(row.ratio), interval(row), goal)
        table.add_row(escape(row.measure), str(row.threads), *measured)
        previous = row
    console.print(table)
    for entry in skipped:
        if entry.reason != GPU_WORDS:
            words = f"[yellow]not measured[/] {escape(entry.case)}, {escape(entry.measure)}: {escape(entry.reason)}"
            console.print(words, highlight=False)
    judged = [row.holds for row in rows if row.holds is not None]
    console.print(f"{sum(judged)} of {len(judged)} rows with a goal meet it.", highlight=False)
    if any(entry.reason == GPU_WORDS for entry in skipped):
        console.print(f"{GPU_WORDS}.", highlight=False)


def show_changes(console: Console, changes: Sequence[Change], warnings: Sequence[str]) -> None:
    """Old against new, regressions marked, and what makes the comparison doubtful."""
    table = _table("Compared with the older report", (), "old", "new", "change")
    table.add_column("", no_wrap=True)
    previous = None
    for change in changes:
        row = change.new
        _open_section(table, row, previous)
        mark = "[bold red]regression[/]" if change.regression else ""
        values = (number(change.old.ratio), number(row.ratio), f"{100 * change.change:+.1f} %")
        table.add_row(escape(row.measure), str(row.threads), *values, mark)
        previous = row
    if changes:
        console.print(table)
    for words in warnings:
        console.print(f"[yellow]{escape(words)}[/]", highlight=False)
    count = sum(change.regression for change in changes)
    console.print(f"{count} of {len(changes)} rows are regressions.", highlight=False)


def _table(title: str, *headings: str | tuple[str, ...]) -> Table:
    """A table whose first two columns are measure and CPU threads; the others hold numbers."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    table.add_column("measure", overflow="fold", min_width=20)
    flat = [name for entry in headings for name in ((entry,) if isinstance(entry, str) else entry)]
    for heading in ("thr", *flat):
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _open_section(table: Table, row: Row, previous: Row | None) -> None:
    """A line with the name of the case where a new one begins."""
    if previous is None or (previous.case, previous.device) != (row.case, row.device):
        table.add_section()
        table.add_row(f"[bold]{escape(row.case)}, {row.device}[/]")


def number(value: float) -> str:
    """Three significant digits, without an exponent where the number is of a usual size."""
    if value == 0:
        return "0"
    if not 1e-3 <= abs(value) < 1e5:
        return f"{value:.1e}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def short(goal: str) -> str:
    """A goal as a sign and a number."""
    return goal.replace("at most", "<=").replace("at least", ">=")


def interval(row: Row) -> str:
    return "" if row.low == row.high else f"[{number(row.low)}, {number(row.high)}]".replace("[", "\\[")
