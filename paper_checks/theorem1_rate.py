"""Theorem 1, convex psi: proximal gradient meets criterion (7) with eps_t in O(log 1/eps_t) iterations.

Assumptions: psi convex, so that Q is mu-strongly convex with mu = min D; theta = 1/L with L = max D, one step size for
all entries as in Algorithm 2. Measured: the iterations until the certificate has ||s|| <= eps_t, and at every iteration

    (9)   ||s|| <= (L + 1/theta) ||Z+ - Z||
    (10)  L/2 ||Z+ - Z||^2 <= Q(Z) - Q(Z+)                      (printed without the square)
    (11)  Q(Z_j) - Q* <= L/2 (1 - mu/L)^j ||Z_0 - Z*||^2        (j >= 1)

and that s is a member of dQ(Z+): Q* >= Q(Z+) + <s, Z* - Z+> + mu/2 ||Z* - Z+||^2, since Q is strongly convex.

The bound (upper). By (9) and (10) ||s_j||^2 <= 4L^2 ||Z_j - Z_{j-1}||^2 <= 8L (Q(Z_{j-1}) - Q(Z_j)) <= 8L (Q(Z_{j-1}) -
Q*), and by (11) at j-1 that is at most 4L^2 (1 - mu/L)^(j-1) R^2 with R = ||Z_0 - Z*||. So ||s_j|| <= eps_t as soon as
j >= 2 and

    j >= 1 + 2 ln(2 L R / eps_t) / -ln(1 - 1/kappa),            kappa = L/mu

which grows by 2 / -ln(1 - 1/kappa), about 2 kappa, per unit of ln(1/eps_t). (Half of that is seen: with
a quadratic f the steps Z+ - Z contract by 1 - mu/L, since a prox is nonexpansive and I - theta*D has no larger entry.)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from paper_checks.claim import Claim, Evidence, Kind, Settings
from paper_checks.inner_run import inner_run, norms
from paper_checks.pictures import iterations_against_tolerance
from paper_checks.random_subproblems import FAMILIES, Array, NoSolutionError, RandomSubproblem, random_subproblem
from ramda_verify.engine.record import Verdict
from ramda_verify.engine.worst import largest

TOLERANCES = tuple(10.0**-k for k in range(1, 11))
CONDITIONS = (2.0, 5.0, 20.0, 100.0, 1000.0)


@dataclass(frozen=True)
class Rate:
    """One run: iterations to each of TOLERANCES (inf: not within the bound), the bounds, and both slopes.

    ``excess`` has, for each inequality, the largest of (left - right) / rounding error over the iterations; above 1 it
    is violated.
    """

    family: str
    condition: float
    iterations: tuple[float, ...]
    bounds: tuple[int, ...]
    slope: float
    slope_bound: float
    excess: dict[str, float]

    @property
    def share_of_bound(self) -> float:
        return max(n / bound for n, bound in zip(self.iterations, self.bounds, strict=True))

    @property
    def violated(self) -> list[str]:
        return [name for name, worst in self.excess.items() if not worst <= 1]


def iteration_bound(problem: RandomSubproblem, tolerance: float) -> int:
    """The smallest j that the derivation above guarantees."""
    ratio = 2 * problem.L * problem.distance / tolerance
    return max(2, 1 + math.ceil(2 * math.log(ratio) / -math.log1p(-problem.mu / problem.L)))


def measure(problem: RandomSubproblem) -> Rate:
    """Run proximal gradient to the smallest of TOLERANCES, or to the bound for it."""
    bounds = tuple(iteration_bound(problem, tolerance) for tolerance in TOLERANCES)
    Z, s = inner_run(problem, tolerance=TOLERANCES[-1], max_iterations=bounds[-1])
    residuals = norms(s)
    met = [residuals <= tolerance for tolerance in TOLERANCES]
    iterations = tuple(float(np.argmax(m)) + 1 if m.any() else math.inf for m in met)
    slope = math.inf
    if math.isfinite(iterations[-1]):
        slope = float(np.polyfit(-np.log(TOLERANCES), iterations, 1)[0])
    slope_bound = 2 / -math.log1p(-problem.mu / problem.L)
    excess = inequalities(problem, Z, s)
    return Rate(problem.family, problem.condition, iterations, bounds, slope, slope_bound, excess)


def inequalities(problem: RandomSubproblem, Z: Array, s: Array) -> dict[str, float]:
    """Largest (left - right) / rounding error of (9), (10), (11) and the certificate over a run Z_0, Z_1, ..."""
    L, mu, eps = problem.L, problem.mu, np.finfo(float).eps
    moved, residuals = norms(Z[1:] - Z[:-1]), norms(s)
    # (9), at theta = 1/L: s and the difference are rounded alike.
    right9 = 2 * L * moved
    excess9 = (residuals - right9) / (64 * eps * right9 + np.finfo(float).tiny)
    # (10)
    drop, rounding10 = problem.objective_drop(Z[:-1], Z[1:])
    excess10 = (L / 2 * moved**2 - drop) / rounding10
    # (11)
    minimiser = problem.minimiser.numpy()
    gap, rounding11 = problem.objective_drop(Z[1:], minimiser[None])
    j = np.arange(1, len(Z))
    excess11 = (gap - L / 2 * (1 - mu / L) ** j * problem.distance**2) / rounding11
    # Q(Z) - Q* <= <s, Z - Z*> - mu/2 ||Z - Z*||^2; s itself is rounded by L ||Z|| eps.
    error = Z[1:] - minimiser
    product = (s * error).reshape(len(s), -1).sum(axis=1) - mu / 2 * norms(error) ** 2
    excess_member = (gap - product) / (rounding11 + 64 * eps * L * norms(Z[1:]) * norms(error))
    found = {"(9)": excess9, "(10)": excess10, "(11)": excess11, "certificate": excess_member}
    return {name: float(values.max()) for name, values in found.items()}


def judge(rates: Sequence[Rate]) -> Evidence:
    """Every count at most its bound, every slope at most the bound's, every inequality at every iteration."""
    worst = largest(rate.share_of_bound for rate in rates)
    slopes = [rate.slope / rate.slope_bound for rate in rates]
    faults = [
        f"{rate.family}, condition {rate.condition:g}: {what}"
        for rate in rates
        for what in [
            *(f"{name} is violated" for name in rate.violated),
            *(["more iterations than the bound"] if not rate.share_of_bound <= 1 else []),
            *(["a steeper growth in ln(1/eps) than the bound"] if not rate.slope <= rate.slope_bound else []),
        ]
    ]
    count = sum(int(rate.iterations[-1]) for rate in rates if math.isfinite(rate.iterations[-1]))
    detail = (
        f"{len(rates)} subproblems, {count:,} iterations. (9), (10) with the square and (11) hold at each; the growth "
        f"per unit of ln(1/eps_t) is {min(slopes):.2f} to {max(slopes):.2f} of the bound's 2/-ln(1 - 1/kappa)."
    )
    return Evidence(
        Verdict.FAIL if faults else Verdict.PASS,
        measured=f"{worst:.2f} of the bound at worst, slope {max(slopes):.2f} of its slope",
        bound="1 + 2 ln(2LR/eps) / -ln(1 - mu/L) iterations",
        tolerance="none on the counts; 64 roundings of float64 on the inequalities",
        detail="; ".join(faults) or detail,
        numbers={
            "worst_share_of_bound": worst,
            "largest_slope_share": max(slopes),
            "tolerances": TOLERANCES,
            "runs": [_row(rate) for rate in rates],
        },
        picture=iterations_against_tolerance(rates, TOLERANCES),
    )


def _row(rate: Rate) -> dict[str, Any]:
    return {**vars(rate), "share_of_bound": rate.share_of_bound}


def check(settings: Settings, conditions: Sequence[float] = CONDITIONS) -> Evidence:
    """All families and conditions; the hardest condition is drawn once, the others twice, with ``full`` ten times."""
    rates = []
    for family in FAMILIES:
        for condition in conditions:
            draws = 10 if settings.full else 1 if condition >= 1000 else 2
            settings.progress(f"{family}, condition {condition:g}")
            for draw in range(draws):
                try:
                    problem = random_subproblem(family, condition, settings.seed * 1000 + draw)
                except NoSolutionError as error:
                    return Evidence(Verdict.INCONCLUSIVE, detail=f"no solution to compare with: {error}")
                rates.append(measure(problem))
    return judge(rates)


CLAIM = Claim(
    id="theorem1-rate",
    title="Linear convergence of the inner solver",
    source="paper, Theorem 1 for convex psi, eq. 9 to 11",
    statement="Proximal gradient reaches ||s|| <= eps_t within a number of iterations linear in log(1/eps_t).",
    kind=Kind.UPPER,
    check=check,
)
