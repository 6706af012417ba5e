"""The picture of a report: ratios of times with their intervals against the goals, and growth with size."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from experiments.bench import goals
from experiments.bench.rows import Row
from ramda_verify.output.writing import write_whole

NAME = "bench.png"
COLOURS = {"first": "#1b5e9e", "second": "#c65d21", "bound": "#6b6b6b", "good": "#2b7a3d", "bad": "#b3261e"}


def draw(rows: Sequence[Row]) -> Figure:
    """Left the ratios of times, right time and memory over the number of parameters (where that was measured)."""
    timed = [row for row in rows if row.measure in goals.MEASURES and goals.MEASURES[row.measure].timed]
    growth = next((row for row in rows if row.measure == goals.TIME_GROWTH.name), None)
    lines = {(row.measure, row.case, row.device) for row in timed}
    height = max(4.5, 1.6 + 0.27 * (len(lines) + len({row.measure for row in timed})))
    figure = Figure(figsize=(13 if growth else 9, height), layout="constrained")
    if growth is None:
        _draw_ratios(figure.subplots(), timed)
        return figure
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(1.6, 1))[0]
    _draw_ratios(left.subplots(), timed)
    # Two panels of a fixed height, however long the list of ratios is.
    share = min(1.0, 7.0 / height)
    axes = right.subplots(3, 1, height_ratios=(share / 2, share / 2, max(1e-3, 1 - share)))
    axes[2].set_axis_off()
    _draw_growth(axes[0], growth, [row for row in rows if row.measure == goals.MEMORY_GROWTH.name], "step_ms")
    _draw_growth(axes[1], growth, [row for row in rows if row.measure == goals.MEMORY_GROWTH.name], "memory_bytes")
    return figure


def save(rows: Sequence[Row], folder: Path) -> Path:
    """Write bench.png into ``folder``. Raises OSError."""
    return write_whole(folder / NAME, lambda file: draw(rows).savefig(file, format="png", dpi=130))


def _draw_ratios(axis: Axes, rows: Sequence[Row]) -> None:
    """One line for each case, gathered by measure; a bar across marks the goal."""
    place, ticks, labels = 0.0, [], []
    for measure in dict.fromkeys(row.measure for row in rows):
        better = goals.MEASURES[measure].better
        axis.text(0.0, place, f" {measure} ({better} is better)", transform=axis.get_yaxis_transform(), va="center",
                  fontsize=8, fontweight="bold")  # fmt: skip
        place += 1
        cases: dict[str, list[Row]] = {}
        for row in (row for row in rows if row.measure == measure):
            cases.setdefault(f"{row.case}, {row.device}", []).append(row)
        for label, members in cases.items():
            for row in members:
                colour = {True: "good", False: "bad", None: "first"}[row.holds]
                axis.plot([row.low, row.high], [place, place], color=COLOURS[colour], linewidth=2.2, alpha=0.55)
                marker = "o" if row.threads == 1 else "s"
                axis.plot([row.ratio], [place], marker, color=COLOURS[colour], markersize=4.5)
                bound = _bound(row)
                if bound is not None:
                    axis.plot([bound, bound], [place - 0.42, place + 0.42], color=COLOURS["bound"], linewidth=1.4)
            ticks.append(place)
            labels.append(label)
            place += 1
    axis.axvline(1.0, color=COLOURS["bound"], linewidth=0.6, linestyle=":")
    axis.set(xscale="log", ylim=(max(place, 1) - 0.4, -0.8), xlabel="ratio of medians, 95 % interval")
    axis.set_yticks(ticks, labels, fontsize=7.5)
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    low, high = axis.get_xlim()
    axis.xaxis.set_major_formatter(plain)
    # Where the axis spans hardly more than a power of ten, the ticks between are all that can be read.
    axis.xaxis.set_minor_formatter(plain if high < 12 * low else NullFormatter())
    axis.grid(axis="x", alpha=0.25, linewidth=0.6)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    shown: list[Any] = [
        Line2D([], [], color=COLOURS["good"], marker="o", label="goal met"),
        Line2D([], [], color=COLOURS["bad"], marker="o", label="goal missed"),
        Line2D([], [], color=COLOURS["first"], marker="o", label="no goal"),
        Line2D([], [], color=COLOURS["bound"], marker="|", linestyle="", markersize=10, label="goal"),
        Line2D([], [], color="black", marker="o", linestyle="", label="one thread"),
        Line2D([], [], color="black", marker="s", linestyle="", label="all threads"),
    ]
    axis.legend(handles=shown, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=6, frameon=False, fontsize=7.5)


def _bound(row: Row) -> float | None:
    return None if row.goal is None else float(row.goal.split()[-1])


def _draw_growth(axis: Axes, row: Row, others: Sequence[Row], quantity: str) -> None:
    """Measured points and a line of slope 1 through the largest."""
    sizes, values = row.detail["parameters"], row.detail[quantity]
    time = quantity == "step_ms"
    shown = row if time else next(iter(others), row)
    scale = 1.0 if time else 1 / 2**20
    values = [value * scale for value in values]
    axis.loglog(sizes, values, "o-", color=COLOURS["first" if time else "second"],
                label=f"measured, exponent {shown.ratio:.2f} [{shown.low:.2f}, {shown.high:.2f}]")  # fmt: skip
    linear = [values[-1] * size / sizes[-1] for size in sizes]
    axis.loglog(sizes, linear, "--", color=COLOURS["bound"], label="linear growth")
    title = "time of a step" if time else "parameters, gradients, state, extra peak"
    axis.set(xlabel="parameters", ylabel="milliseconds" if time else "MiB")
    axis.set_title(f"{title} ({row.device}, {row.threads} thr.)", fontsize=9)
    axis.grid(alpha=0.25, linewidth=0.6)
    axis.legend(frameon=False, fontsize=8)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
