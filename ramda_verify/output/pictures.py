"""The report's pictures, as SVG text drawn from the traces of the checks."""

import io
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from ramda_verify.engine.record import CheckResult

COLOURS = {"first": "#1b5e9e", "second": "#c65d21", "bound": "#6b6b6b", "good": "#2b7a3d", "bad": "#b3261e"}


class Picture(NamedTuple):
    """A drawing, the title over it and a sentence that says what to see."""

    title: str
    caption: str
    svg: str


def pictures(results: Sequence[CheckResult]) -> list[Picture]:
    """One picture for every result that kept a trace, in order."""
    return [_DRAW[result.trace["kind"]](result) for result in results if result.trace]


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]


def _figure(width: float = 7.2, height: float = 3.6, columns: int = 1) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False)[0]
    for axis in axes:
        axis.grid(alpha=0.25, linewidth=0.6)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    return figure, axes


def _draw_rate(result: CheckResult) -> Picture:
    """Objective gap and residual of proximal gradient against the bound (11), and the accelerated method."""
    assert result.trace is not None
    figure, (left, right) = _figure(columns=2)
    trace = result.trace
    iterations = range(1, len(trace["gap"]) + 1)
    left.semilogy(iterations, trace["bound"], "--", color=COLOURS["bound"], label="bound (11)")
    left.semilogy(iterations, trace["gap"], color=COLOURS["first"], label="proximal gradient")
    left.set(xlabel="iteration", ylabel="$Q(Z_j) - Q^*$")
    right.semilogy(iterations, trace["residual_bound"], "--", color=COLOURS["bound"], label="bound (9) with (10), (11)")
    right.semilogy(iterations, trace["residual"], color=COLOURS["first"], label="proximal gradient")
    right.semilogy(
        range(1, len(trace["accelerated"]) + 1), trace["accelerated"], color=COLOURS["second"], label="accelerated"
    )
    right.set(xlabel="iteration", ylabel="residual $||s||$")
    for axis in (left, right):
        axis.legend(frameon=False, fontsize=8)
    return Picture(
        f"Convergence of the inner solver: {result.target}",
        f"Proximal gradient on a subproblem with max D / min D = {trace['condition']:.0f}: it must stay below the "
        "dashed line at every iteration.",
        _svg(figure),
    )


def _draw_acceptance(result: CheckResult) -> Picture:
    """Residuals of inner solves at every step against eps_t, accepted and rejected ones apart."""
    assert result.trace is not None
    runs = result.trace["runs"]
    figure, axes = _figure(columns=len(runs))
    for axis, (name, run) in zip(axes, runs.items(), strict=True):
        for accepted, colour, label in ((True, "good", "accepted"), (False, "bad", "rejected")):
            chosen = [i for i, a in enumerate(run["accepted"]) if a is accepted]
            if chosen:
                steps, residuals = [run["step"][i] for i in chosen], [run["residual"][i] for i in chosen]
                axis.loglog(
                    steps, residuals, ".", markersize=4, color=COLOURS[colour], label=f"{label} ({len(chosen)})"
                )
        axis.loglog(run["step"], run["tolerance"], "--", color=COLOURS["bound"], label=r"$\epsilon_t$")
        axis.set(xlabel="step $t$", ylabel="residual of Ŵ$^t$", title=name)
        axis.legend(frameon=False, fontsize=8)
    return Picture(
        f"Criterion (7) at work: {result.target}",
        "Each point is one inner solve. Left with iterations as needed, right cut off after two: what is above the "
        "line is rejected and reported, never taken for a solution.",
        _svg(figure),
    )


def _draw_support(result: CheckResult) -> Picture:
    """Support size and number of groups that differ from the certified support, over time."""
    assert result.trace is not None
    figure, (left, right) = _figure(columns=2)
    for (name, run), colour in zip(result.trace["runs"].items(), ("first", "second"), strict=False):
        left.plot(run["steps"], run["support_size"], color=COLOURS[colour], label=name)
        right.plot(run["steps"], run["differing"], color=COLOURS[colour], label=f"{name}: Ŵ")
        certified = run["certified_size"]
    right.plot(
        result.trace["runs"]["ramda"]["steps"],
        result.trace["runs"]["ramda"]["differing_average"],
        ":",
        color=COLOURS["first"],
        label="ramda: W",
    )
    left.axhline(certified, linestyle="--", color=COLOURS["bound"], label="certified optimum")
    left.set(xlabel="step", ylabel="nonzero groups")
    right.set(xlabel="step", ylabel="groups unlike the certified support")
    right.set_yscale("symlog", linthresh=1)
    # Room for the legend above the curves.
    right.set_ylim(0, 200)
    for axis in (left, right):
        axis.legend(frameon=False, fontsize=8, loc="upper right")
    return Picture(
        "Identification of the support on scikit-learn's digits",
        "RAMDA's Ŵ settles on the support of the certified optimum; its average W follows when the momentum ramp "
        "reaches 1. Bumps are restarts.",
        _svg(figure),
    )


_DRAW: dict[str, Callable[[CheckResult], Picture]] = {
    "rate": _draw_rate,
    "acceptance": _draw_acceptance,
    "support": _draw_support,
}
