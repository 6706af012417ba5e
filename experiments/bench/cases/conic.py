"""A small group LASSO subproblem: CVXPY with its fastest solver against ours."""

import time
import warnings
from collections.abc import Iterator
from statistics import median
from typing import Any, NamedTuple

import cvxpy
import numpy as np
import torch
from numpy.typing import NDArray

from experiments.bench import goals
from experiments.bench.plan import Plan
from experiments.bench.rows import Row, Skipped, make_row
from experiments.bench.statistics import ratio_of_medians
from experiments.bench.timing import Contestant, take_turns
from ramda_verify.engine.threads import threads
from solvers import GroupLasso, Subproblem, solve
from solvers.subproblem.methods import directly

GROUP_SIZE, GROUPS = 64, 512
REG_WEIGHT = 1.0
#: Cone solvers that know second-order cones, with the options to try: their own tolerances, and some at which
#: they are faster or just accurate enough.
SOLVERS: dict[str, tuple[dict[str, Any], ...]] = {
    "CLARABEL": ({}, {"tol_gap_abs": 1e-6, "tol_gap_rel": 1e-6, "tol_feas": 1e-6}),
    "SCS": ({"eps_abs": 1e-6, "eps_rel": 1e-6}, {"eps_abs": 1e-7, "eps_rel": 1e-7}),
    "ECOS": ({},),
    "MOSEK": ({},),
    "GUROBI": ({},),
}
#: An answer is comparable where its objective is within one float32 eps of the optimum, relative to it; ours, in
#: float32, is far below that, since the error of the objective is the square of that of the point.
ACCURACY = 1.2e-7


class Attempt(NamedTuple):
    """One solver with its options: seconds of its second solve and relative objective gap."""

    solver: str
    options: dict[str, Any]
    seconds: float
    gap: float


class Model:
    """The subproblem with groups as columns in float64; CVXPY keeps what it has compiled from solve to solve."""

    def __init__(self, B: NDArray[Any], D: NDArray[Any], threshold: float) -> None:
        self.B, self.D, self.threshold = B, D, threshold
        self.Z = cvxpy.Variable(B.shape)
        smooth = cvxpy.sum_squares(cvxpy.multiply(np.sqrt(D), self.Z)) / 2
        linear = cvxpy.sum(cvxpy.multiply(B, self.Z))
        price = threshold * cvxpy.sum(cvxpy.norm(self.Z, 2, axis=0))
        self.problem = cvxpy.Problem(cvxpy.Minimize(smooth - linear + price))

    def solve(self, solver: str, options: dict[str, Any]) -> NDArray[Any]:
        with warnings.catch_warnings():
            # "Solution may be inaccurate": how inaccurate is measured.
            warnings.simplefilter("ignore")
            self.problem.solve(solver=solver, **options)
        return np.full(self.B.shape, np.nan) if self.Z.value is None else self.Z.value

    def objective(self, Z: NDArray[Any]) -> float:
        lengths = np.sqrt(np.square(Z).sum(axis=0))
        return float((0.5 * self.D * Z * Z - self.B * Z).sum() + self.threshold * lengths.sum())


def conic_case(case: str, plan: Plan) -> Iterator[Row | Skipped]:
    """Rows for every number of threads."""
    measure = goals.CVXPY_OVER_OURS
    subproblem = make_problem(plan)
    threshold = float(subproblem.lam) * REG_WEIGHT * GROUP_SIZE**0.5
    model = Model(subproblem.B.double().cpu().numpy(), subproblem.D.double().cpu().numpy(), threshold)
    ours = solve(subproblem, tolerance=0.0).point.double().cpu().numpy()
    double = Subproblem(subproblem.B.double(), subproblem.D.double(), subproblem.lam, subproblem.regularizer)
    optimum = model.objective(solve(double, tolerance=0.0).point.cpu().numpy())
    attempts = []
    for solver, options in usable_solvers():
        plan.say(f"{case}: {solver}")
        attempt = attempted(model, solver, options, optimum)
        if attempt is not None:
            attempts.append(attempt)
    good = [attempt for attempt in attempts if attempt.gap <= ACCURACY]
    if not good:
        yield Skipped(case, measure.name, f"no installed cone solver reached a relative gap of {ACCURACY:g}")
        return
    best = min(good, key=lambda attempt: attempt.seconds)
    for count in plan.slow_threads:
        plan.say(f"{case}: {best.solver} against ours, {count} CPU threads")
        contestants = {
            "ours": Contestant(lambda: directly(subproblem)),
            "certified": Contestant(lambda: solve(subproblem, tolerance=1e-4)),
            "theirs": Contestant(lambda: model.solve(best.solver, best.options)),
        }
        with threads(count):
            samples = take_turns(contestants, device=plan.device, effort=plan.slow_effort)
            # Ours takes no time beside it: more rounds of its own steady its median.
            own = {name: contestants[name] for name in ("ours", "certified")}
            more = take_turns(own, device=plan.device, effort=plan.effort)
        device = plan.device.type
        pairs = len(samples["theirs"])
        yield make_row(
            case,
            measure,
            ratio_of_medians(samples["theirs"], [median(part) for part in np.array_split(more["ours"], pairs)]),
            device=device,
            threads=count,
            goal=goals.goal_of(case, measure, device),
            ours_ms=1e3 * median(more["ours"]),
            peer_ms=1e3 * median(samples["theirs"]),
            detail={
                "ours_with_certificate_ms": 1e3 * median(more["certified"]),
                "solver": best.solver,
                "options": best.options,
                "solver_gap": best.gap,
                "ours_gap": abs(model.objective(ours) - optimum) / abs(optimum),
                "tried": [f"{a.solver} {a.options or ''}: {a.seconds:.3f} s, gap {a.gap:.1e}" for a in attempts],
                "rounds": pairs,
            },
        )


def make_problem(plan: Plan) -> Subproblem:
    """512 groups of 64 in float32; the sizes of the groups are spread so that half of them are zero."""
    random = torch.Generator().manual_seed(plan.seed)
    sizes = 10 ** torch.linspace(-1, 1, GROUPS)[torch.randperm(GROUPS, generator=random)]
    B = torch.randn(GROUP_SIZE, GROUPS, generator=random) * sizes
    D = 0.1 + 3 * torch.rand(GROUP_SIZE, GROUPS, generator=random)
    return Subproblem(B.to(plan.device), D.to(plan.device), 1.0, GroupLasso(REG_WEIGHT, "input"))


def usable_solvers() -> Iterator[tuple[str, dict[str, Any]]]:
    for solver in cvxpy.installed_solvers():
        for options in SOLVERS.get(solver, ()):
            yield solver, options


def attempted(model: Model, solver: str, options: dict[str, Any], optimum: float) -> Attempt | None:
    """The second solve, which finds the problem compiled; None where the solver fails."""
    try:
        model.solve(solver, options)
        started = time.perf_counter()
        point = model.solve(solver, options)
    except Exception:  # a solver without a licence, a numerical failure: it does not take part
        return None
    seconds = time.perf_counter() - started
    gap = abs(model.objective(point) - optimum) / abs(optimum)
    return Attempt(solver, options, seconds, gap) if np.isfinite(gap) else None
