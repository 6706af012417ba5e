"""Proximal gradient keeps the promises of Theorem 1, at every iteration."""

import math
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from ramda_verify import tolerances
from ramda_verify.cases.strategies import problem_batches, refusal, shapes
from ramda_verify.checks.helpers import Array, tensor
from ramda_verify.checks.subproblem.batches import SHARE, Problems, WorstProblem, arranged, feasible_rows
from ramda_verify.checks.subproblem.rows import column, norms, sizes, sums
from ramda_verify.checks.subproblem.solutions import model, solved
from ramda_verify.engine.property import check
from ramda_verify.engine.record import Case, Measurement
from ramda_verify.engine.targets import Target
from ramda_verify.engine.worst import infinite_if_nan, relative
from solvers.regularizers.base import offers
from solvers.regularizers.members import Regularizer
from solvers.subproblem import Subproblem
from solvers.subproblem.accelerated import accelerated_proximal_gradient
from solvers.subproblem.proximal_gradient import proximal_gradient

ITERATIONS = 40


def _cases(target: Target) -> st.SearchStrategy[Case]:
    return problem_batches(target.instances, max_condition=1e3, point="start", mild=30.0, hardest=1e5)


def trace_rate(target: Target) -> dict[str, Any] | None:
    """One run from a random start: gap against (11), residual against what (9) to (11) imply, and acceleration.

    None where psi is not convex: (11) is then no bound.
    """
    if not offers(target.example, "convex"):
        return None
    rng = np.random.default_rng(0)
    regularizer, lam = target.example, 0.1
    shape = (12, 8) if refusal(regularizer, (12, 8)) is None else max(shapes(regularizer), key=math.prod)
    B, D = rng.standard_normal(shape), 10.0 ** rng.uniform(-0.5, 0.5, shape)
    subproblem, start = model(regularizer, B, D, lam), tensor(rng.standard_normal(shape))
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


@check(
    "proximal-gradient-rate",
    claim="Proximal gradient descends by (10), certifies by (9) and converges at the rate (11), at each iteration.",
    source="paper, Theorem 1 and eq. 9 to 11",
    kind="regularizer",
    tolerance=tolerances.RATE,
    cases=_cases,
    share=SHARE,
    trace=trace_rate,
)
def measure_rate(regularizer: Regularizer, B: Array, D: Array, lam: Array, start: Array) -> Measurement:
    """Worst excess over (9), (10) and (11) along the iterates, relative to the scale of Q.

    (9) ||s|| <= ||(L + 1/theta)*(Z+ - Z)||; (10) 1/2 <L*(Z+ - Z), Z+ - Z> <= Q(Z) - Q(Z+) (the square is missing in the
    paper); (11) for convex psi Q(Z_j) - Q* <= L/2 (1 - mu/L)^j ||Z_0 - Z*||^2. The nonconvex step 1/(2L) gives (10) as
    well. (9) and (10) also with one L per block, where the regularizer separates.
    """
    problems = Problems.of(regularizer, B, D, lam)
    worst = WorstProblem(problems)
    # Where D is largest the step has no room to spare, and a prox that jumps to zero from far beyond the centre jumps
    # far: there too long a step does not descend by (10).
    tight = column(sizes(problems.D), problems.D) == problems.D
    for first in (arranged(start), torch.where(tight, 1000.0, 1.0) * problems.B / problems.D):
        for rule in ("global", "block"):
            for violations, which in _excesses(problems, feasible_rows(regularizer, first), rule):
                violations = infinite_if_nan(violations)
                at = np.argmax(violations, axis=0) + 1
                worst.see(violations.max(axis=0), f"{which} fails at iteration {{at}}, {rule} step", at=at)
    return worst.measurement()


def _largest(problem: Subproblem) -> tuple[Tensor, ...]:
    return (torch.broadcast_to(problem.step_lipschitz("block"), problem.D.shape),)


def _excesses(problems: Problems, start: Tensor, rule: str) -> Iterator[tuple[Array, str]]:
    """The excesses of every iteration and problem with one rule for L; L is computed here, from D."""
    B, D, convex = problems.B, problems.D, problems.single.convex
    highest, mu = sizes(D), problems.smallest
    L = column(highest, D) if rule == "global" else problems.each(_largest)
    yield np.where((L >= D).reshape(1, len(D), -1).all(dim=2).numpy(), 0.0, np.inf), "L >= D"
    theta = 1 / L if convex else 1 / (2 * L)
    found = list(problems.iterates("proximal_gradient", start, ITERATIONS, step_rule=rule))
    # Everything below has the iterations along its first axis and the problems along its second.
    Z = torch.stack([start, *(iterate.point for iterate in found)])
    member = torch.stack([iterate.member for iterate in found])
    psi = problems.psi(Z)
    scale = sums(D * start * start) + sums((B * start).abs()) + sums(B * B / D) + np.abs(psi[0])
    scale = scale + problems.rounding.terms(Z).max(axis=0)
    move = Z[1:] - Z[:-1]

    def per_row(function: Callable[[Tensor], Array], stack: Tensor) -> Array:
        return function(stack.flatten(0, 1)).reshape(len(stack), -1)

    def in_each(function: Callable[[Tensor], Array], stack: Tensor) -> Array:
        return np.stack([function(points) for points in stack])

    drop = psi[:-1] - psi[1:] - per_row(sums, move * (0.5 * D * (Z[1:] + Z[:-1]) - B))
    allowed = per_row(norms, (L + 1 / theta) * move)
    rounding = 1e-13 * (per_row(norms, L * Z[:-1]) + norms(B))
    excess = per_row(norms, member) - allowed - rounding
    yield _unless_rounded(excess, np.sqrt(scale * highest), lambda: in_each(problems.rounding.prox_error, Z[1:])), "(9)"

    def rounded() -> Array:
        of_Q = in_each(lambda points: problems.rounding.of_Q(points, start), Z)
        return of_Q[1:] + of_Q[:-1] + in_each(problems.rounding.prox_error, Z[1:]) * per_row(norms, move)

    yield _unless_rounded(0.5 * per_row(sums, L * move * move) - drop, scale, rounded) - 1e-13, "(10)"
    if rule == "global" and convex:
        best = problems.solve("auto", 1e-12 * problems.rounding.unit).point
        j = np.arange(1, len(found) + 1)[:, None]
        bound = highest / 2 * (1 - mu / highest) ** j * norms(best - start) ** 2
        smooth = per_row(sums, Z[1:] * (0.5 * D * Z[1:] - B)) - sums(best * (0.5 * D * best - B))
        excess = smooth + psi[1:] - problems.psi(best) - bound
        yield _unless_rounded(excess, scale, lambda: rounded() + problems.rounding.of_Q(best)) - 1e-12, "(11)"


def _unless_rounded(excess: Array, scale: Array, rounding: Callable[[], Array]) -> Array:
    """The excess relative to the scale, and where that is too much less what rounding may have done."""
    found = relative(excess, scale)
    return found if bool((found <= tolerances.RATE.value).all()) else relative(excess - rounding(), scale)
