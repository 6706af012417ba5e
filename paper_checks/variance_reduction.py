"""(17), (18), (22): V_t/alpha_t -> grad f, U_t/alpha_t -> E[G*G] and P_t/alpha_t -> 0 as alpha_t^(-2/3).

RAMDA itself is run and its state read; every expectation is known in closed form.

Part 1, at a fixed point: G_t = m + sigma*N(0, 1) independent over t. V_t/alpha_t is then a weighted mean with weights
s_k = lr*sqrt(k), so that its variance is

    sigma^2 sum s_k^2 / (sum s_k)^2 = sigma^2 (t^2/2) / (2/3 t^(3/2))^2 = 9/(8t) sigma^2       to first order in 1/t

and for U_t/alpha_t the same with Var(G*G) = 4 m^2 sigma^2 + 2 sigma^4. Measured: the standard deviation over all
coordinates and seeds against that (kind: tight), and the exponent of P/alpha against alpha, where eps is negligible:
U_t = alpha_t E[G*G] gives P/alpha = cbrt(E[G*G]) alpha^(-2/3) (tight).

Part 2, along a run that approaches a known W*: minimise E 1/2<W-T-xi, A*(W-T-xi)> + psi(W), where G at W* has mean
A*(W* - T) and second moment (that)^2 + A^2 Var(xi). Measured: the errors of V/alpha and U/alpha against these, for
every seed, which must fall at least about as fast as t^(-1/2) (upper). lr is small, since at constant lr the effective
step s_t/P_t does not vanish, W keeps a variance proportional to lr^(2/3), and U/alpha ends that much above its value at
W*. What the check shows is convergence down to that floor.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from paper_checks.claim import Claim, Evidence, Kind, Settings
from paper_checks.pictures import moments
from paper_checks.ramda_sums import Array, checkpoints, converging_run, known_gradients
from ramda_verify.engine.record import Verdict
from ramda_verify.engine.worst import largest
from ramda_verify.problems.planted import planted

#: Over 16,000 samples a standard deviation has a standard error of 0.6 %.
COORDINATES, SEEDS, DEVIATION_LIMIT = 2000, 8, 0.03
EXPONENT_LIMIT = 0.02
#: Slope of log error against log t, to be -1/2 or steeper; one seed's path wobbles around it.
SLOPE_LIMIT, FIRST = -0.4, 100


@dataclass(frozen=True)
class FixedPoint:
    """Part 1: rms errors at every step over what 9/(8t) predicts, and the exponent of P/alpha for every seed."""

    steps: Array
    gradient_ratio: Array
    squared_ratio: Array
    exponents: Array
    weight_sum: Array
    preconditioner: Array

    @property
    def faults(self) -> list[str]:
        found = []
        for name, ratio in (("V/alpha", self.gradient_ratio), ("U/alpha", self.squared_ratio)):
            if not np.abs(ratio - 1).max() <= DEVIATION_LIMIT:
                found.append(f"the standard deviation of {name} is {_span(ratio)} of the predicted one")
        if not np.abs(self.exponents + 2 / 3).max() <= EXPONENT_LIMIT:
            found.append(f"P/alpha falls as alpha to the power {_span(self.exponents)}")
        return found


@dataclass(frozen=True)
class Path:
    """Part 2: rms errors along one run and the slopes of their logarithms."""

    seed: int
    steps: Array
    gradient_error: Array
    squared_error: Array

    def slope(self, errors: Array) -> float:
        late = self.steps >= FIRST
        return float(np.polyfit(np.log(self.steps[late]), np.log(errors[late]), 1)[0])

    @property
    def slopes(self) -> tuple[float, float]:
        return self.slope(self.gradient_error), self.slope(self.squared_error)


def fixed_point(seed: int, steps: int, coordinates: int = COORDINATES, seeds: int = SEEDS) -> FixedPoint:
    """Part 1 over ``seeds`` independent runs."""
    rng = np.random.default_rng([seed, 2])
    mean, noise = rng.uniform(-1, 1, coordinates), rng.uniform(0.5, 1.5, coordinates)
    at = checkpoints(FIRST, steps, 8)
    runs = [known_gradients(mean, noise, seed * 1000 + number, at) for number in range(seeds)]
    predicted = np.sqrt(9 / (8 * np.array(at)))[:, None]
    errors = np.stack([(run.gradient - mean) / (predicted * noise) for run in runs])
    deviation = np.sqrt(4 * mean**2 * noise**2 + 2 * noise**4)
    squared = np.stack([(run.squared_gradient - mean**2 - noise**2) / (predicted * deviation) for run in runs])
    levels = [np.exp(np.log(run.preconditioner).mean(axis=1)) for run in runs]
    exponents = [
        np.polyfit(np.log(run.weight_sum), np.log(level), 1)[0] for run, level in zip(runs, levels, strict=True)
    ]
    return FixedPoint(
        np.array(at),
        np.sqrt((errors**2).mean(axis=(0, 2))),
        np.sqrt((squared**2).mean(axis=(0, 2))),
        np.array(exponents),
        runs[0].weight_sum,
        levels[0],
    )


def path(seed: int, steps: int) -> Path:
    """Part 2 for one seed, which also draws the problem."""
    problem, at = planted("l1", seed), checkpoints(10, steps, 25)
    run = converging_run(problem, seed, at)
    mean = problem.curvature * (problem.solution - problem.target)
    # The noise of Planted.gradients: xi has standard deviation 0.1.
    second = mean**2 + (0.1 * problem.curvature) ** 2
    entries = tuple(range(1, 1 + mean.ndim))
    gradient_error = np.sqrt(((run.gradient - mean) ** 2).mean(axis=entries))
    squared_error = np.sqrt(((run.squared_gradient - second) ** 2).mean(axis=entries))
    return Path(seed, run.steps, gradient_error, squared_error)


def judge(fixed: FixedPoint, paths: list[Path]) -> Evidence:
    """Both parts, every seed."""
    slopes = [slope for one in paths for slope in one.slopes]
    steepest, flattest = min(slopes), largest(slopes)
    faults = [*fixed.faults]
    if not flattest <= SLOPE_LIMIT:
        faults.append(f"along a run an error falls only as t^{flattest:.2f}")
    ratios = np.concatenate([fixed.gradient_ratio, fixed.squared_ratio])
    exponent = float(fixed.exponents[np.abs(fixed.exponents + 2 / 3).argmax()])
    detail = (
        f"standard deviations of V/alpha and U/alpha from t = {fixed.steps[0]} to {fixed.steps[-1]} are "
        f"{_span(ratios)} of sqrt(9/(8t)) times that of a sample; along {len(paths)} converging runs the errors fall "
        f"as t^{flattest:.2f} or faster (to t^{steepest:.2f}: the early bias fades faster than the noise)."
    )
    return Evidence(
        Verdict.FAIL if faults else Verdict.PASS,
        measured=f"deviation {_span(ratios)} of predicted; P/alpha as alpha^{exponent:.4f}",
        bound="1; alpha^-0.6667",
        tolerance=(
            f"{DEVIATION_LIMIT:.0%} on deviations, {EXPONENT_LIMIT:g} on the exponent, slope {SLOPE_LIMIT:g} or steeper"
        ),
        detail="; ".join(faults) or detail,
        numbers=_numbers(fixed, paths),
        picture=moments(fixed, paths),
    )


def _numbers(fixed: FixedPoint, paths: list[Path]) -> dict[str, Any]:
    return {"fixed_point": vars(fixed), "paths": [{**vars(one), "slopes": one.slopes} for one in paths]}


def _span(values: Array) -> str:
    return f"{values.min():.3f} to {values.max():.3f}"


def check(settings: Settings, steps: int = 1000, seeds: int = SEEDS, paths: int = 4) -> Evidence:
    """With ``full`` ten times the steps; the converging runs are four times as long as the others."""
    steps *= 10 if settings.full else 1
    settings.progress("sums at a fixed point")
    fixed = fixed_point(settings.seed, steps, seeds=seeds)
    settings.progress("sums along converging runs")
    return judge(fixed, [path(settings.seed * 1000 + number, 4 * steps) for number in range(paths)])


CLAIM = Claim(
    id="variance-reduction",
    title="The sums average the noise out",
    source="paper, eq. 17, 18 and 22",
    statement="V/alpha -> grad f and U/alpha -> E[G*G], the variance falling as 9/(8t); P/alpha ~ alpha^(-2/3) -> 0.",
    kind=Kind.TIGHT,
    check=check,
)
