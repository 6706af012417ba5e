"""Whether what a solve says depends on the scale of its numbers.

The subproblem is homogeneous. (B, D, lam) multiplied by s has the same solution and s times the residuals, for every
psi. For those known to be positively homogeneous, (B, lam) multiplied by s has s times the solution, and D
multiplied by s the s-th part of it. Every s here is a power of two, by which nothing is rounded.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from hypothesis import strategies as st
from torch import Tensor

from ramda_verify import tolerances
from ramda_verify.cases.strategies import tensors
from ramda_verify.checks.helpers import Array, feasible, norm, tensor
from ramda_verify.checks.regularizer.traits import is_homogeneous
from ramda_verify.checks.subproblem.units import (
    ValueAndProx,
    methods_of,
    mild_cases,
    of_unit_size,
    unit_problem,
    with_drawn,
)
from ramda_verify.engine.property import check
from ramda_verify.engine.record import Case, Measurement, NothingClaimed
from ramda_verify.engine.targets import Target
from ramda_verify.engine.worst import Worst
from solvers.subproblem import BatchSolution, Solution, Subproblem, solve, solve_batch
from solvers.subproblem.criterion import rounding_floor

#: Exponents of s: squares of numbers of this size are still in range, or no longer, or the numbers themselves barely.
EXPONENTS = {torch.float64: (-996, -565, 512, 565, 996), torch.float32: (-90, -64, 64, 110)}

#: Residuals that are asked for, relative to ||B||.
SHARES = {torch.float64: 1e-9, torch.float32: 1e-3}

#: Down to here, and up to its inverse, no number of a problem of ordinary size is denormal.
WITHIN = 2.0**-600

KINDS = ("all", "B and lam", "D")

#: Budget: enough for most problems; where it is not, the points at its end are compared.
ITERATIONS = 200


class Scale(NamedTuple):
    """What a problem is multiplied by: B and lam by ``slope``, D by ``metric``; its solution, by ``point``."""

    exponent: int
    slope: float
    metric: float
    point: float

    @classmethod
    def of(cls, kind: str, exponent: int) -> "Scale":
        s = 2.0**exponent
        return {
            "all": cls(exponent, s, s, 1.0),
            "B and lam": cls(exponent, s, 1.0, s),
            "D": cls(exponent, 1.0, s, 1 / s),
        }[kind]


def _scaled(target: Target) -> st.SearchStrategy[Case]:
    return with_drawn(
        mild_cases(target),
        lambda case: {
            "start": tensors(case["B"].shape),
            "kind": st.sampled_from(KINDS),
            "which": st.integers(0, 4),
            "narrow": st.booleans(),
            "referred": st.booleans(),
        },
    )


@check(
    "scale-equivariance",
    claim="Status, iterations, point / s and residual / s of a solve do not depend on s, from 1e-300 to 1e300.",
    source="the subproblem is homogeneous",
    kind="regularizer",
    tolerance=tolerances.RATE,
    cases=_scaled,
    share=0.2,
)
def measure_equivariance(
    regularizer: Any, B: Array, D: Array, lam: float, start: Array, kind: str, which: int, narrow: bool, referred: bool
) -> Measurement:
    """Largest difference between a solve and the same one at another scale: by ``solve`` at one scale, by
    ``solve_batch`` at that and the next.

    Status, (7b) and acceptance must be equal, iterations nearly so (a denormal number here and there is rounded), and
    points no further apart than their residuals allow. Differences are in units of what is allowed. Nothing is claimed
    where a part of the solution falls below the smallest normal number, and where B/D or lam/D, the arguments of a
    prox, are above the largest one.
    """
    dtype = torch.float32 if narrow else torch.float64
    b, d, weight = unit_problem(B, D, lam, dtype)
    if not is_homogeneous(regularizer, B.shape):
        # psi may be anything here: only a factor of the whole problem, which no prox sees, changes nothing.
        regularizer, kind = ValueAndProx(regularizer), "all"
    start = of_unit_size(start) if start.any() else start
    W = tensor(feasible(regularizer, start) if kind == "all" else start, dtype)
    largest = math.log2(max(1.0, weight) / float(d.min())) + 1
    scales = [Scale.of(kind, e) for e in EXPONENTS[dtype]]
    scales = [s for s in scales if math.log2(s.point) + largest < math.log2(torch.finfo(dtype).max)]
    if not scales:
        raise NothingClaimed("B/D is out of range at every scale")
    unit, one = Scale.of(kind, 0), scales[which % len(scales)]
    scales = [one, scales[(which + 1) % len(scales)]]
    goal, worst = SHARES[dtype] * norm(b.double().numpy()), Worst()

    def alone(scale: Scale, method: str, weight: float = weight) -> Solution:
        problem = Subproblem(b * scale.slope, d * scale.metric, weight * scale.slope, regularizer)
        reference, share = W * scale.point if referred else None, goal * scale.slope
        return solve(problem, reference, tolerance=share, method=method, max_iterations=ITERATIONS)

    def together(scales: Sequence[Scale], method: str) -> BatchSolution:
        return solve_batch(
            torch.stack([b * scale.slope for scale in scales]),
            torch.stack([d * scale.metric for scale in scales]),
            torch.tensor([weight * scale.slope for scale in scales], dtype=torch.float64),
            regularizer,
            torch.stack([W * scale.point for scale in scales]) if referred else None,
            tolerance=torch.tensor([goal * scale.slope for scale in scales], dtype=torch.float64),
            method=method,
            max_iterations=ITERATIONS,
        )

    def nearby(scale: Scale, method: str) -> list[int]:
        """Iterations of the ordinary problem where lam is what rounding at this scale may make of it.

        Whether a group at its threshold is zero, which ends a solve at once, is decided by the last digit of lam.
        """
        info = torch.finfo(dtype)
        ulp = max(2 * info.eps * weight, info.eps * info.tiny / scale.slope)
        return [alone(unit, method, lam).iterations for lam in (max(weight - ulp, 0.0), weight + ulp)]

    problem = Subproblem(b, d, weight, regularizer)

    for method in methods_of(problem):
        many = together([unit, *scales], method)
        pairs = [("solve", one, alone(unit, method), alone(one, method))]
        pairs += [("solve_batch", scale, many[0], many[i]) for i, scale in enumerate(scales, start=1)]
        for who, scale, ordinary, other in pairs:
            violation, why = _difference(
                problem, ordinary, other, scale, W if referred else None, partial(nearby, scale, method)
            )
            worst.see(violation, f"{who}, {method}, {kind} times 2**{scale.exponent}, {dtype}: {why}")
    return worst.measurement(1 + len(scales))


def _difference(
    problem: Subproblem,
    unit: Solution,
    other: Solution,
    scale: Scale,
    W: Tensor | None,
    nearby: Callable[[], list[int]],
) -> tuple[float, str]:
    sizes = unit.point.double().abs() * scale.point
    if bool(((sizes > 0) & (sizes < torch.finfo(unit.point.dtype).tiny)).any()):
        return 0.0, ""
    for what in ("status", "accepted", "descent"):
        if getattr(unit, what) != getattr(other, what):
            return math.inf, f"{what} {getattr(other, what)}, {getattr(unit, what)} at s = 1"
    # Between, nothing is rounded in another way but norms whose squares are out of range.
    coarse = not all(WITHIN < factor < 1 / WITHIN for factor in (scale.slope, scale.point))
    slack = 2 + unit.iterations / 4 if coarse else 1
    if abs(unit.iterations - other.iterations) > slack:
        counts = [unit.iterations, *(nearby() if coarse else [])]
        if not min(counts) - slack <= other.iterations <= max(counts) + slack:
            return math.inf, f"{other.iterations} iterations, {unit.iterations} at s = 1"
    residual, point = other.residual / scale.slope, other.point.double() / scale.point
    floor = rounding_floor(problem, unit.point) + (0.0 if W is None else rounding_floor(problem, W))
    reach = (unit.residual + residual + floor) / float(problem.D.min())
    apart = norm((point - unit.point.double()).numpy()) / reach
    why = f"points / s {apart * reach:.3g} apart, residual / s {residual:.6g}, {unit.residual:.6g} at s = 1"
    # The smallest numbers are rounded coarsely, which the floor of each problem allows for.
    drift = abs(residual - unit.residual) / (unit.residual + floor)
    if unit.iterations == other.iterations and drift > 0.5:
        return math.inf, why
    return (math.inf if math.isnan(apart) else apart - 1), why
