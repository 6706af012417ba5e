"""Does proximal gradient keep the promises of Theorem 1, at every iteration?"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from hypothesis import strategies as st
from torch import Tensor

from ramda_verify import tolerances
from ramda_verify.checks.helpers import Array, feasible, size, tensor
from ramda_verify.checks.subproblem import model, solved
from ramda_verify.property import Check
from ramda_verify.record import Case, Measurement
from ramda_verify.strategies import subproblem_cases, tensors
from ramda_verify.targets import Target
from solvers.subproblem import Subproblem
from solvers.subproblem.accelerated import accelerated_proximal_gradient
from solvers.subproblem.proximal_gradient import proximal_gradient

ITERATIONS = 40


def measure_rate(regularizer: Any, B: Array, D: Array, lam: float, start: Array) -> Measurement:
    """Worst excess over (9), (10) and (11) along the iterates, relative to the scale of Q.

    (9) ||s|| <= ||(L + 1/theta)*(Z+ - Z)||; (10) 1/2 <L*(Z+ - Z), Z+ - Z> <= Q(Z) - Q(Z+) (the square is missing in the
    paper); (11) for convex psi Q(Z_j) - Q* <= L/2 (1 - mu/L)^j ||Z_0 - Z*||^2. The nonconvex step 1/(2L) gives (10) as
    well. (9) and (10) also with one L per block, where the regularizer separates.
    """
    subproblem, start = model(regularizer, B, D, lam), feasible(regularizer, start)
    scale = float((D * start * start).sum() + np.abs(B * start).sum() + (B * B / D).sum())
    scale += abs(lam * float(regularizer.value(tensor(start)))) + np.finfo(float).tiny
    worst, note = 0.0, ""
    for rule in ("global", "block"):
        for j, (violation, which) in enumerate(_excesses(subproblem, start, rule, scale), 1):
            if not violation <= worst:
                worst, note = violation, f"{which} fails at iteration {j}, {rule} step"
    return Measurement(worst, note)


def _excesses(subproblem: Subproblem, start: Array, rule: str, scale: float) -> Iterator[tuple[float, str]]:
    """The largest excess of every iteration with one rule for L; L is computed here, from D."""
    regularizer, D = subproblem.regularizer, subproblem.D
    L = D.max() if rule == "global" else subproblem.step_lipschitz("block")
    if not bool((L >= D).all()):
        yield np.inf, "L >= D"
    theta = 1 / L if subproblem.convex else 1 / (2 * L)
    mu = float(D.min())
    Z = tensor(start)
    if rule == "global" and subproblem.convex:
        exact = solved(subproblem, "auto", 1e-12 * size(subproblem.B))
        best, distance = exact.point, float((exact.point - Z).norm())
    for j, iterate in enumerate(islice(proximal_gradient(subproblem, Z, step_rule=rule), ITERATIONS), 1):
        move = iterate.point - Z
        terms = move * (0.5 * D * (iterate.point + Z) - subproblem.B)
        psi = [subproblem.lam * float(regularizer.value(point)) for point in (iterate.point, Z)]
        drop = -float(terms.sum()) - psi[0] + psi[1]
        allowed = float(((L + 1 / theta) * move).norm())
        rounding = 1e-13 * float((L * Z).norm() + subproblem.B.norm())
        found = [
            ((float(iterate.member.norm()) - allowed - rounding) / np.sqrt(scale * float(D.max())), "(9)"),
            ((0.5 * float((L * move * move).sum()) - drop) / scale - 1e-13, "(10)"),
        ]
        if rule == "global" and subproblem.convex:
            gap = _objective(subproblem, iterate.point) - _objective(subproblem, best)
            bound = float(L) / 2 * (1 - mu / float(L)) ** j * distance**2
            found.append(((gap - bound) / scale - 1e-12, "(11)"))
        yield max(found)
        Z = iterate.point


def _objective(subproblem: Subproblem, Z: Tensor) -> float:
    """Q in this file's own words."""
    smooth = float((Z * (0.5 * subproblem.D * Z - subproblem.B)).sum())
    return smooth + subproblem.lam * float(subproblem.regularizer.value(Z))


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
