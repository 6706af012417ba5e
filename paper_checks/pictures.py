"""The claims' pictures. matplotlib is imported where one is drawn."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from paper_checks.erratum_equation10_square import Comparison
    from paper_checks.erratum_equation22_second_moment import Factors
    from paper_checks.theorem1_rate import Rate
    from paper_checks.variance_reduction import FixedPoint, Path

#: Okabe and Ito's colours, which the colour-blind tell apart.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
GREY = "0.45"


def panels(columns: int, *, width: float = 3.4, height: float = 3.4) -> "tuple[Figure, list[Axes]]":
    """A figure with one row of panels."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, height), layout="constrained")
    axes = list(figure.subplots(1, columns, squeeze=False)[0])
    for axis in axes:
        axis.grid(True, color="0.9", linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def iterations_against_tolerance(rates: "Sequence[Rate]", tolerances: Sequence[float]) -> "Figure":
    """One panel a regularizer, one colour a condition number: iterations measured (dots) and bound (dashed).

    Divided by the condition number, so that the linear growth in log(1/eps_t) and in kappa is what the eye sees.
    """
    families = list(dict.fromkeys(rate.family for rate in rates))
    conditions = sorted({rate.condition for rate in rates})
    digits = -np.log10(tolerances)
    figure, axes = panels(len(families))
    for axis, family in zip(axes, families, strict=True):
        for condition, colour in zip(conditions, _cycle(len(conditions)), strict=True):
            for rate in rates:
                if (rate.family, rate.condition) == (family, condition):
                    axis.plot(
                        digits, np.divide(rate.iterations, condition), "o-", color=colour, markersize=3, linewidth=1
                    )
                    axis.plot(digits, np.divide(rate.bounds, condition), "--", color=colour, linewidth=1)
        axis.set_ylim(bottom=0)
        axis.set(title=family, xlabel=r"$\log_{10}(1/\epsilon_t)$")
        axis.set_xticks(range(2, 11, 2))
    axes[0].set_ylabel(r"iterations until $\|s\|\leq\epsilon_t$, over $\kappa$")
    handles = [
        axes[0].plot([], [], "o-", color=colour, markersize=3, label=rf"$\kappa$ = {condition:g}")[0]
        for condition, colour in zip(conditions, _cycle(len(conditions)), strict=True)
    ]
    handles.append(axes[0].plot([], [], "--", color=GREY, label="bound")[0])
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False)
    return figure


def printed_against_corrected(comparisons: "Sequence[Comparison]") -> "Figure":
    """(10), left over right, at every iteration: above 1 the inequality is false."""
    figure, axes = panels(len(comparisons))
    for axis, one in zip(axes, comparisons, strict=True):
        iterations = range(1, len(one.printed) + 1)
        axis.semilogy(iterations, one.printed, color=COLOURS[5], label=r"as printed, $\|Z^+-Z\|$")
        axis.semilogy(iterations, one.squared, color=COLOURS[0], label=r"squared, $\|Z^+-Z\|^2$")
        axis.axhline(1, color=GREY, linestyle="--", linewidth=1)
        axis.set(title=one.family, xlabel="iteration")
    axes[0].set_ylabel("left over right of (10)")
    axes[0].legend(frameon=False, fontsize=8)
    return figure


def moments(fixed: "FixedPoint", paths: "Sequence[Path]") -> "Figure":
    """Standard deviations over the predicted one, errors along converging runs, and P/alpha against alpha."""
    figure, (deviation, along, power) = panels(3)
    deviation.axhline(1, color=GREY, linestyle="--", linewidth=1, label=r"$\sqrt{9/(8t)}$")
    deviation.semilogx(fixed.steps, fixed.gradient_ratio, "o-", color=COLOURS[0], label=r"$V_t/\alpha_t$")
    deviation.semilogx(fixed.steps, fixed.squared_ratio, "s-", color=COLOURS[5], label=r"$U_t/\alpha_t$")
    deviation.set(
        title="At a fixed point", xlabel="step $t$", ylabel="standard deviation over predicted", ylim=(0.9, 1.1)
    )
    for one in paths:
        along.loglog(one.steps, one.gradient_error, color=COLOURS[0], linewidth=1)
        along.loglog(one.steps, one.squared_error, color=COLOURS[5], linewidth=1)
    steps, level = paths[0].steps, paths[0].gradient_error[-1]
    along.loglog(steps, level * np.sqrt(steps[-1] / steps), "--", color=GREY, linewidth=1, label="$t^{-1/2}$")
    along.plot([], [], color=COLOURS[0], label=r"$V_t/\alpha_t-\nabla f(W^*)$")
    along.plot([], [], color=COLOURS[5], label=r"$U_t/\alpha_t-E[G*G]$")
    along.set(title="Along runs towards $W^*$", xlabel="step $t$", ylabel="rms error")
    power.loglog(fixed.weight_sum, fixed.preconditioner, "o", color=COLOURS[2], label=r"$P_t/\alpha_t$")
    line = fixed.preconditioner[-1] * (fixed.weight_sum / fixed.weight_sum[-1]) ** (-2 / 3)
    power.loglog(fixed.weight_sum, line, "--", color=GREY, linewidth=1, label=r"$\alpha_t^{-2/3}$")
    power.set(title="Preconditioner", xlabel=r"$\alpha_t$", ylabel=r"geometric mean of $P_t/\alpha_t$")
    for axis in (deviation, along, power):
        axis.legend(frameon=False, fontsize=8)
    return figure


def second_moments(factors: "Factors") -> "Figure":
    """The factor of alpha^(-2/3) in P/alpha against the mean of G, measured and by both formulas."""
    figure, (axis,) = panels(1, width=4.6)
    axis.loglog(factors.means, factors.corrected, "-", color=COLOURS[0], label=r"$\sqrt[3]{E[G*G]}$")
    axis.loglog(factors.means, factors.printed, "--", color=COLOURS[5], label=r"$\sqrt[3]{E[G]*E[G]}$, as printed")
    axis.loglog(factors.means, factors.measured, "o", color="black", label="RAMDA's state")
    axis.set(xlabel="mean of $G$ (noise 1)", ylabel=r"$\alpha_t^{2/3}\,P_t/\alpha_t$")
    axis.legend(frameon=False, fontsize=8)
    return figure


def _cycle(count: int) -> list[str]:
    return [COLOURS[index % len(COLOURS)] for index in range(count)]
