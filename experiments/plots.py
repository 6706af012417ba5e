"""Convergence and structure of finished runs, drawn against the certified optimum."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.run_folder import read_run
from experiments.settings import DISPLAY_NAMES
from ramda_verify.output.writing import write_whole

#: Okabe and Ito's colours, which the colour-blind tell apart; one per optimizer, whatever else is in the figure.
OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
COLOURS = dict(zip(DISPLAY_NAMES, cycle(OKABE_ITO), strict=False))
#: One line style per run of the same optimizer.
STYLES = ("-", "--", ":", "-.")


@dataclass(frozen=True)
class Curve:
    """One run as it is drawn."""

    result: dict[str, Any]
    log: list[dict[str, Any]]
    label: str
    style: dict[str, Any]

    def draw(self, axes: Axes, quantity: str) -> None:
        known = [(entry["epoch"], entry[quantity]) for entry in self.log if entry[quantity] is not None]
        axes.plot(*zip(*known, strict=True), **self.style)


def read_curves(runs: Sequence[Path]) -> list[Curve]:
    """Read finished runs of one problem.

    Raises ValueError where a folder is not one, or where the runs were not measured against the same optimum.
    """
    curves: list[Curve] = []
    for path in runs:
        result, log = read_run(path)
        if curves:
            first = curves[0].result
            same = all(result[key] == first[key] for key in ("task", "groups"))
            if not same or result["certified"]["support"] != first["certified"]["support"]:
                raise ValueError(f"{path} ({result['task']}) is not of the same problem as {runs[0]} ({first['task']})")
        name = result["optimizer"]
        several = sum(curve.result["optimizer"] == name for curve in curves)
        style = {"color": COLOURS[name], "linestyle": STYLES[several % len(STYLES)], "linewidth": 1.1, "alpha": 0.85}
        curves.append(Curve(result, log, f"{DISPLAY_NAMES[name]}, seed {result['seed']}", style))
    return curves


def draw(curves: Sequence[Curve]) -> Figure:
    """Four panels over the epochs: objective gap, stationarity, groups that differ from the optimum's, support size."""
    figure = Figure(figsize=(9.0, 6.4), layout="constrained")
    gap, stationarity, differing, size = figure.subplots(2, 2, sharex=True).ravel()
    panels = [
        (gap, "objective_gap", "Objective gap  $F(\\hat{W}) - F^*$"),
        (stationarity, "stationarity", "Stationarity  $\\min\\,\\|\\partial F(\\hat{W})\\|$"),
        (differing, "differing_groups", "Groups that differ from the optimum's"),
        (size, "support_size", "Nonzero groups of $\\hat{W}$"),
    ]
    for axes, quantity, label in panels:
        for curve in curves:
            curve.draw(axes, quantity)
        axes.set_ylabel(label)
        axes.grid(True, color="0.9", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        _mark_stages(axes, curves)
    gap.set_yscale("log")
    stationarity.set_yscale("log")
    # Linear near zero: zero differing groups is the event to see, and a log axis has no place for it.
    differing.set_yscale("symlog", linthresh=10, linscale=1.2)
    differing.set_yticks([0, 2, 5, 10, 30, 100, 300], labels=["0", "2", "5", "10", "30", "100", "300"])
    differing.set_ylim(-0.4, _largest(curves, "differing_groups") * 1.4 + 1)
    certified = curves[0].result["groups"] - curves[0].result["certified"]["zero_groups"]
    size.axhline(certified, color="black", linewidth=0.9, linestyle=(0, (4, 3)))
    size.annotate(
        f"certified optimum: {certified}",
        (0.99, certified),
        xycoords=("axes fraction", "data"),
        xytext=(0, -4),
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=8,
    )
    for axes in (differing, size):
        axes.set_xlabel("Epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        axes.set_xlim(0, _largest(curves, "epoch"))
    handles = [gap.plot([], [], label=curve.label, **curve.style)[0] for curve in curves]
    figure.legend(handles=handles, loc="outside upper center", ncols=min(len(curves), 4), frameon=False)
    return figure


def _mark_stages(axes: Axes, curves: Sequence[Curve]) -> None:
    """A thin line at every epoch at which some run restarted."""
    for epoch in sorted({epoch for curve in curves for epoch in curve.result["settings"]["milestones"]}):
        axes.axvline(epoch, color="0.75", linewidth=0.8, zorder=0)


def _largest(curves: Sequence[Curve], quantity: str) -> float:
    return max(entry[quantity] for curve in curves for entry in curve.log)


def save(
    figure: Figure, folder: Path, name: str, endings: Sequence[str] = ("png", "pdf"), dpi: int = 150
) -> list[Path]:
    """Write the figure into ``folder``, once per ending; OSError where that cannot be done."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.{ending}" for ending in endings]
    for path in paths:
        write_whole(path, partial(figure.savefig, format=path.suffix[1:], dpi=dpi))
    return paths
