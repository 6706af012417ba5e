"""Erratum: (10) is printed without the square on its left-hand side.

Printed: L/2 ||Z+ - Z|| <= Q(Z) - Q(Z+). Needed and true, for theta = 1/L: L/2 ||Z+ - Z||^2 <= Q(Z) - Q(Z+). By hand:
Q(z) = z^2/2 has L = 1; the step from 1/2 goes to 0, and 1/4 <= 1/8 is false while 1/8 <= 1/8 is true. Near a minimiser
Q falls with the square of the distance, so that the printed version must fail at the end of every run.

Measured along runs of proximal gradient: both left-hand sides over the right-hand side. Kind: erratum; it succeeds
where in each run the printed version fails tenfold, far above rounding, and the squared one never does.
"""

from dataclasses import dataclass

import numpy as np

from paper_checks.claim import Claim, Evidence, Kind, Settings
from paper_checks.inner_run import inner_run, norms
from paper_checks.pictures import printed_against_corrected
from paper_checks.random_subproblems import FAMILIES, Array, random_subproblem
from ramda_verify.engine.record import Verdict

CONDITION, TOLERANCE = 20.0, 1e-5
#: How many times its right-hand side the printed left-hand side must reach, and the drop its rounding error.
FACTOR, ABOVE_ROUNDING = 10.0, 1e3


@dataclass(frozen=True)
class Comparison:
    """Left over right of (10) at every iteration, as printed and with the square."""

    family: str
    printed: Array
    squared: Array
    excess_squared: float
    printed_fails: int

    @property
    def succeeds(self) -> bool:
        return self.printed_fails > 0 and self.excess_squared <= 1


def compare(family: str, seed: int) -> Comparison:
    """One run, over the iterations whose drop of Q is known to three digits at least."""
    problem = random_subproblem(family, CONDITION, seed)
    Z, _ = inner_run(problem, tolerance=TOLERANCE, max_iterations=5000)
    moved = norms(Z[1:] - Z[:-1])
    drop, rounding = problem.objective_drop(Z[:-1], Z[1:])
    excess = float(((problem.L / 2 * moved**2 - drop) / rounding).max())
    clear = drop > ABOVE_ROUNDING * rounding
    printed, squared = (problem.L / 2 * moved**power / np.where(clear, drop, 1.0) for power in (1, 2))
    fails = int((printed[clear] > FACTOR).sum())
    return Comparison(family, printed[clear], squared[clear], excess, fails)


def check(settings: Settings) -> Evidence:
    """One run a family."""
    found = [compare(family, settings.seed) for family in FAMILIES]
    worst_printed = max(float(one.printed.max(initial=0.0)) for one in found)
    worst_squared = max(float(one.squared.max(initial=0.0)) for one in found)
    return Evidence(
        Verdict.PASS if all(one.succeeds for one in found) else Verdict.FAIL,
        measured=f"left over right: {worst_printed:.3g} as printed, {worst_squared:.4f} squared",
        bound="1",
        tolerance=f"the printed version must fail {FACTOR:g}-fold; 64 roundings of float64 for the squared one",
        detail="; ".join(
            f"{one.family}: printed version off by more than {FACTOR:g}-fold at {one.printed_fails} of "
            f"{len(one.printed)} iterations, squared at most {one.squared.max(initial=0.0):.4f}"
            for one in found
        ),
        numbers={
            one.family: {
                "iterations": len(one.printed),
                "printed_fails": one.printed_fails,
                "largest_printed": one.printed.max(initial=0.0),
                "largest_squared": one.squared.max(initial=0.0),
                "squared_excess_in_roundings": one.excess_squared,
            }
            for one in found
        },
        picture=printed_against_corrected(found),
    )


CLAIM = Claim(
    id="erratum-equation10-square",
    title="(10) lacks a square",
    source="paper, eq. 10",
    statement="L/2 ||Z+ - Z|| <= Q(Z) - Q(Z+) is false as printed and true with the norm squared.",
    kind=Kind.ERRATUM,
    check=check,
)
