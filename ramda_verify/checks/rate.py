"""Does proximal gradient keep the promises of Theorem 1, at every iteration?"""

from itertools import islice
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ramda_verify import tolerances
from ramda_verify.checks.helpers import Array, feasible, size, tensor
from ramda_verify.checks.subproblem import model, solved
from ramda_verify.property import Check
from ramda_verify.record import Case, Measurement
from ramda_verify.strategies import subproblem_cases, tensors
from ramda_verify.targets import Target
from solvers.subproblem.accelerated import accelerated_proximal_gradient
from solvers.subproblem.proximal_gradient import proximal_gradient

ITERATIONS = 40


def measure_rate(regularizer: Any, B: Array, D: Array, lam: float, start: Array) -> Measurement:
    """Worst excess over (9), (10) and (11) along the iterates, relative to the scale of Q.

    (9) ||s|| <= (L + 1/theta)||Z+ - Z||; (10) L/2 ||Z+ - Z||^2 <= Q(Z) - Q(Z+) (the square is missing in the paper);
    (11) for convex psi Q(Z_j) - Q* <= L/2 (1 - mu/L)^j ||Z_0 - Z*||^2. The nonconvex step 1/(2L) gives (10) as well.
    """
    subproblem, start = model(regularizer, B, D, lam), feasible(regularizer, start)
    L, mu = float(D.max()), float(D.min())
    convex = subproblem.convex
    theta = 1 / L if convex else 1 / (2 * L)
    Q_star, distance = np.nan, np.nan
    if convex:
        exact = solved(subproblem, "auto", 1e-13 * size(B))
        Q_star, distance = exact.objective, float((exact.point - tensor(start)).norm())
    Z = tensor(start)
    scale = float((D * start * start).sum() + np.abs(B * start).sum() + (B * B / D).sum())
    scale += abs(lam * float(regularizer.value(Z))) + np.finfo(float).tiny
    rounding = 1e-13 * scale
    worst, note = 0.0, ""
    steps = islice(proximal_gradient(subproblem, Z, step_rule="global"), ITERATIONS)
    for j, iterate in enumerate(steps, 1):
        moved = float((iterate.point - Z).norm())
        drop = -float(subproblem.objective_change(iterate.point, Z)[0])
        found = [
            ((float(iterate.member.norm()) - (L + 1 / theta) * moved) / (L * moved + np.sqrt(rounding)), "(9)"),
            ((L / 2 * moved**2 - drop) / scale - 1e-13, "(10)"),
        ]
        if convex:
            gap = float(subproblem.objective(iterate.point)) - Q_star
            bound = L / 2 * (1 - mu / L) ** j * distance**2
            found.append(((gap - bound) / scale - 1e-12, "(11)"))
        violation, which = max(found)
        if not violation <= worst:
            worst, note = violation, f"{which} fails at iteration {j}"
        Z = iterate.point
    return Measurement(worst, note)


def _cases(target: Target) -> st.SearchStrategy[Case]:
    return subproblem_cases(target.instances, max_condition=1e3).flatmap(
        lambda case: st.builds(lambda start: {**case, "start": start}, tensors(case["B"].shape))
    )


def trace_rate(target: Target) -> dict[str, Any]:
    """One run from a random start: gap against (11), residual against what (9) to (11) imply, and acceleration."""
    rng = np.random.default_rng(0)
    shape = (12, 8) if target.name != "l1" else (96,)
    B, D = rng.standard_normal(shape), 10.0 ** rng.uniform(-0.5, 0.5, shape)
    regularizer = type(target.example)(0.1)
    subproblem, start = model(regularizer, B, D, 1.0), tensor(rng.standard_normal(shape))
    exact = solved(subproblem, "auto", 1e-14)
    L, mu = float(D.max()), float(D.min())
    distance = float((exact.point - start).norm())
    gap, residual = [], []
    for iterate in islice(proximal_gradient(subproblem, start, step_rule="global"), 120):
        gap.append(float(subproblem.objective(iterate.point)) - exact.objective)
        residual.append(float(iterate.member.norm()))
    fast = islice(accelerated_proximal_gradient(subproblem, start, step_rule="global"), 120)
    bound = [L / 2 * (1 - mu / L) ** j * distance**2 for j in range(1, len(gap) + 1)]
    # ||s|| <= 2L ||Z+ - Z|| and L/2 ||Z+ - Z||^2 <= Q(Z) - Q*: (9) and (10), then (11) one iteration earlier.
    residual_bound = [2 * L * np.sqrt(2 / L * b / (1 - mu / L)) for b in bound]
    floor = 1e-16
    return {
        "kind": "rate",
        "condition": L / mu,
        "gap": [max(g, floor) for g in gap],
        "bound": bound,
        "residual": [max(r, floor) for r in residual],
        "residual_bound": residual_bound,
        "accelerated": [max(float(iterate.member.norm()), floor) for iterate in fast],
    }


CHECKS = (
    Check(
        id="proximal-gradient-rate",
        claim="Proximal gradient descends by (10), certifies by (9) and converges at the rate (11), at each iteration.",
        source="paper, Theorem 1 and eq. 9 to 11",
        kind="regularizer",
        tolerance=tolerances.RATE,
        cases=_cases,
        measure=measure_rate,
        share=0.7,
        trace=trace_rate,
    ),
)
