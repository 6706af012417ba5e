"""A batch of solves is what ``solve`` does, problem by problem."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from ramda_verify import tolerances
from ramda_verify.cases.strategies import problem_batches, seeds
from ramda_verify.checks.helpers import Array, feasible, norm, size, tensor
from ramda_verify.checks.subproblem.solutions import model
from ramda_verify.engine.property import check
from ramda_verify.engine.record import Case, Measurement
from ramda_verify.engine.targets import Target
from ramda_verify.engine.worst import TINY, Worst, largest, relative
from solvers.regularizers.members import Regularizer
from solvers.subproblem import Solution, Subproblem, available_methods, solve, solve_batch
from solvers.subproblem.criterion import rounding_floor

#: A residual within this share of the tolerance may fall on either side of it, by the order of a sum.
NEAR = 1e-6

#: A weight within this share of one at which the solution turns zero may be screened or not, by the order of a sum.
ROUNDING = 16 * float(np.finfo(float).eps)


def _cases(target: Target) -> st.SearchStrategy[Case]:
    def goals(case: Case, lowest: float) -> Array:
        """Another tolerance for each problem, from 10^lowest to 1."""
        count = len(case["B"])
        return 10.0 ** (lowest * (1 - np.arange(count) / count))

    def scaled(case: Case, seed: int) -> Case:
        """Q of each problem times another power of ten: its solution stays, the level of its rounding does not."""
        by = 10.0 ** np.random.default_rng(seed).uniform(-8, 8, len(case["B"]))
        along = by.reshape(-1, *(1,) * (case["B"].ndim - 1))
        return {**case, "B": along * case["B"], "D": along * case["D"], "lam": by * case["lam"]}

    return st.builds(
        lambda case, seed, lowest, iterations, referred: {
            **scaled(case, seed),
            "tolerance": goals(case, lowest),
            "iterations": iterations,
            "referred": referred,
        },
        problem_batches(target.instances, max_condition=1e4, point="reference", most=20, mild=30.0),
        seeds(),
        st.sampled_from([-3.0, -14.0, -12.0]),
        st.sampled_from([20, 3, 40]),
        st.booleans(),
    )


@check(
    "batch-equals-solve",
    claim="solve_batch gives each problem the point, certificate, status and iterations that solve gives it alone.",
    source="solvers/subproblem/batch.py: the meaning of a batch is that of its problems",
    kind="regularizer",
    tolerance=tolerances.BATCH,
    cases=_cases,
    share=0.2,
)
def measure_batch(
    regularizer: Regularizer,
    B: Array,
    D: Array,
    lam: Array,
    reference: Array,
    tolerance: Array,
    iterations: int,
    referred: bool,
) -> Measurement:
    """Largest difference between a result of ``solve_batch`` and that of ``solve``, in units of its scale.

    Status, iterations and descent must be equal, but for problems whose residual lies at the tolerance or at the level
    of rounding, or whose weight lies at a threshold.
    """
    if referred:
        reference = np.stack([feasible(regularizer, point) for point in reference])
    goals = [float(share) * norm(b) + TINY for share, b in zip(tolerance, B, strict=True)]
    problems = [model(regularizer, *row) for row in zip(B, D, map(float, lam), strict=True)]
    worst = Worst()
    for method in available_methods(problems[0]):
        batch = solve_batch(
            tensor(B),
            tensor(D),
            tensor(lam),
            regularizer,
            tensor(reference) if referred else None,
            tolerance=torch.tensor(goals, dtype=torch.float64),
            max_iterations=iterations,
            method=method,
        )
        for row, (problem, goal) in enumerate(zip(problems, goals, strict=True)):
            options: dict[str, Any] = {"max_iterations": iterations, "method": method}
            start = tensor(reference[row]) if referred else None
            alone = solve(problem, start, tolerance=goal, **options)
            differs = _difference(problem, batch[row], alone, start)
            if not differs[0] <= tolerances.BATCH.value:
                # Where both are undecided about the tolerance or about a zero, they may stop one step apart.
                near = [(problem, goal * (1 + by)) for by in (NEAR, -NEAR)]
                near += [(replace(problem, lam=problem.lam * (1 + by)), goal) for by in (ROUNDING, -ROUNDING)]
                moved = [solve(other, start, tolerance=its_goal, **options) for other, its_goal in near]
                differs = min([differs, *(_difference(problem, batch[row], other, start) for other in moved)])
            worst.see(differs[0], f"problem {row}, {method}: {differs[1]}")
    return worst.measurement(len(problems))


def _difference(problem: Subproblem, ours: Solution, alone: Solution, start: Any) -> tuple[float, str]:
    """The largest difference and what differs; no number of it is NaN."""
    Z, expected = ours.point.numpy(), alone.point.numpy()
    highest = float(problem.D.max())
    scale = norm(problem.B.numpy()) + highest * norm(expected)
    if start is not None:
        scale += highest * norm(start.numpy())
    found = Worst()
    found.see(relative(highest * norm(Z - expected), scale), f"point {Z.tolist()}, solve {expected.tolist()}")
    if not (ours.residual == alone.residual or abs(ours.residual - alone.residual) <= 1e-6 * alone.residual):
        words = f"residual {ours.residual:.9g}, {alone.residual:.9g}"
        found.see(relative(abs(ours.residual - alone.residual), scale), words)
    # The first is what rounding is relative to: where a group just leaves zero, the others may be zero.
    terms = size(
        0.5 * float((problem.B**2 / problem.D).sum()),
        0.5 * float((problem.D * alone.point**2).sum()),
        float((problem.B * alone.point).sum()),
        alone.objective,
    )
    if ours.objective != alone.objective:
        words = f"objective {ours.objective:.12g}, {alone.objective:.12g}"
        found.see(relative(abs(ours.objective - alone.objective), terms), words)
    rounding = 4 * rounding_floor(problem, alone.point)
    if not largest((ours.residual, alone.residual)) <= rounding:
        # A direct method steps all problems together; only what it takes with one alone is fixed.
        counted = alone.method not in ("metric_prox", "separable")
        for what in ("status", "descent", *(["iterations"] if counted else [])):
            if getattr(ours, what) != getattr(alone, what):
                found.see(np.inf, f"{what} {getattr(ours, what)}, solve {getattr(alone, what)}")
    return found.violation, found.note
