"""Whether what a solve says depends on the scale of its numbers, and what it says where they leave their range.

The subproblem is homogeneous. (B, D, lam) multiplied by s has the same solution and s times the residuals, for every
psi. For psi positively homogeneous, (B, lam) multiplied by s has s times the solution, and D multiplied by s the s-th
part of it. Every s here is a power of two, by which nothing is rounded.
"""

import math
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from ramda_verify import tolerances
from ramda_verify.checks.helpers import Array, feasible, needs, norm, size, tensor
from ramda_verify.oracles import certificate
from ramda_verify.oracles.psi_model import describe
from ramda_verify.property import Check
from ramda_verify.record import Case, Measurement
from ramda_verify.strategies import subproblem_cases, tensors
from ramda_verify.targets import Target
from solvers.regularizers.base import offers
from solvers.subproblem import Solution, Status, Subproblem, available_methods, solve, solve_batch
from solvers.subproblem.criterion import rounding_floor

#: Exponents of s: squares of numbers of this size are still in range, or no longer, or the numbers themselves barely.
EXPONENTS = {torch.float64: (-996, -565, 512, 565, 996), torch.float32: (-90, -64, 64, 110)}
#: Residuals that are asked for, relative to ||B||.
SHARES = {torch.float64: 1e-9, torch.float32: 1e-3}
#: Down to here, and up to its inverse, no number of a problem of ordinary size is denormal.
WITHIN = 2.0**-600
KINDS = ("all", "B and lam", "D")
ITERATIONS = 2000


def homogeneous(regularizer: Any, point: Tensor) -> bool:
    """Whether psi(2w) = 2 psi(w) at this point, and its prox agrees."""
    twice, once = regularizer.prox(2 * point, 2.0), regularizer.prox(point, 1.0)
    values = [float(regularizer.value(where)) for where in (2 * once, once)]
    close = values[0] == 2 * values[1] or abs(values[0] - 2 * values[1]) <= 1e-12 * abs(values[0])
    return close and bool(((twice - 2 * once).abs() <= 1e-12 * point.abs().max()).all())


def methods_of(problem: Subproblem) -> tuple[str, ...]:
    return ("auto", *available_methods(problem), *(["splitting"] if problem.convex else []))


def unit_problem(B: Array, D: Array, lam: float, dtype: torch.dtype) -> tuple[Tensor, Tensor, float]:
    """The problem with B and D at most 1, as the dtype holds it."""
    largest = float(np.abs(B).max()) or 1.0
    return tensor(B / largest, dtype), tensor(D / D.max(), dtype), min(lam / largest, 100.0)


def measure_equivariance(
    regularizer: Any, B: Array, D: Array, lam: float, start: Array, kind: str, narrow: bool, referred: bool
) -> Measurement:
    """Largest difference between a solve and the same one at another scale, by ``solve`` and by ``solve_batch``.

    Status, (7b) and acceptance must be equal, iterations nearly so (a denormal number here and there is rounded), and
    points no further apart than their residuals allow. Differences are in units of what is allowed. Where a part of
    the solution falls below the smallest normal number, it is not the solution of anything, and nothing is claimed.
    """
    dtype = torch.float32 if narrow else torch.float64
    b, d, weight = unit_problem(B, D, lam, dtype)
    if kind != "all" and not homogeneous(regularizer, b.double()):
        kind = "all"
    W = tensor(feasible(regularizer, start / size(start)) if kind == "all" else start / size(start), dtype)
    exponents = (0, *EXPONENTS[dtype])
    slopes = [2.0 ** (0 if kind == "D" else e) for e in exponents]
    points = [2.0 ** {"all": 0, "B and lam": e, "D": -e}[kind] for e in exponents]
    metrics = [2.0 ** (0 if kind == "B and lam" else e) for e in exponents]
    goal, worst, note = SHARES[dtype] * norm(b.double().numpy()), 0.0, ""
    problems = [Subproblem(b * s, d * m, weight * s, regularizer) for s, m in zip(slopes, metrics, strict=True)]
    goals = [goal * s for s in slopes]
    for method in methods_of(problems[0]):
        many = solve_batch(
            torch.stack([problem.B for problem in problems]),
            torch.stack([problem.D for problem in problems]),
            torch.tensor([problem.lam for problem in problems], dtype=torch.float64),
            regularizer,
            torch.stack([W * z for z in points]) if referred else None,
            tolerance=torch.tensor(goals, dtype=torch.float64),
            method=method,
            max_iterations=ITERATIONS,
        )
        alone = [
            solve(problem, W * z if referred else None, tolerance=share, method=method, max_iterations=ITERATIONS)
            for problem, z, share in zip(problems, points, goals, strict=True)
        ]
        for who, found in (("solve", alone), ("solve_batch", [many[i] for i in range(len(problems))])):
            for e, s, z, solution in zip(exponents, slopes, points, found, strict=True):
                violation, why = _difference(problems[0], found[0], solution, s, z, W if referred else None)
                if not violation <= worst:
                    worst, note = violation, f"{who}, {method}, {kind} times 2**{e}, {b.dtype}: {why}"
    return Measurement(worst, note, 2 * len(problems))


def _difference(
    problem: Subproblem, unit: Solution, other: Solution, s: float, z: float, W: Tensor | None
) -> tuple[float, str]:
    sizes = unit.point.double().abs() * z
    if bool(((sizes > 0) & (sizes < torch.finfo(unit.point.dtype).tiny)).any()):
        return 0.0, ""
    for what in ("status", "accepted", "descent"):
        if getattr(unit, what) != getattr(other, what):
            return math.inf, f"{what} {getattr(other, what)}, {getattr(unit, what)} at s = 1"
    # Between, nothing is rounded in another way but norms whose squares are out of range.
    coarse = not WITHIN < min(s, z) <= max(s, z) < 1 / WITHIN
    if abs(unit.iterations - other.iterations) > (2 + unit.iterations / 4 if coarse else 1):
        return math.inf, f"{other.iterations} iterations, {unit.iterations} at s = 1"
    floor = rounding_floor(problem, unit.point) + (0.0 if W is None else rounding_floor(problem, W))
    reach = (unit.residual + other.residual / s + floor) / float(problem.D.min())
    apart = norm((other.point.double() / z - unit.point.double()).numpy()) / reach
    why = f"points / s {apart * reach:.3g} apart, residual / s {other.residual / s:.6g}, {unit.residual:.6g} at s = 1"
    # The smallest numbers are rounded coarsely, which the floor of each problem allows for.
    drift = abs(other.residual / s - unit.residual) / (unit.residual + floor)
    if unit.iterations == other.iterations and drift > 0.5:
        return math.inf, why
    return (math.inf if math.isnan(apart) else apart - 1), why


class Guarded:
    """The regularizer, raising ArithmeticError where it is handed a NaN or an infinity."""

    def __init__(self, regularizer: Any) -> None:
        self._regularizer = regularizer

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._regularizer, name)
        if not callable(member):
            return member

        def guarded(*arguments: Any) -> Any:
            for argument in arguments:
                if isinstance(argument, Tensor) and torch._C._functorch.is_batchedtensor(argument):
                    raise TypeError("no number may be read under vmap")
                tensor_is_finite = not isinstance(argument, Tensor) or bool(torch.isfinite(argument).all())
                if not tensor_is_finite or (isinstance(argument, float) and not math.isfinite(argument)):
                    raise ArithmeticError(f"{name} was given {argument}")
            return member(*arguments)

        return guarded


def measure_range(
    regularizer: Any, B: Array, D: Array, lam: float, start: Array, shortfall: float, narrow: bool, referred: bool
) -> Measurement:
    """B just below the largest number, D small: B/D need not exist. No exception, no infinity in the point or handed to
    the regularizer; and what is accepted has that residual, recomputed in numbers of ordinary size.
    """
    dtype = torch.float32 if narrow else torch.float64
    b, d, weight = unit_problem(B, D, lam, dtype)
    top = 2.0 ** (math.frexp(torch.finfo(dtype).max)[1] - 8)
    d = d * 10.0**-shortfall
    W = tensor(feasible(regularizer, start / size(start)), dtype)
    weight, goal = min(weight, 4.0), SHARES[torch.float32] * norm(b.double().numpy())
    worst, note = 0.0, ""
    for regular in (Guarded(regularizer), regularizer):
        problem = Subproblem(b * top, d, weight * top, regular)
        for method in methods_of(problem):
            options: dict[str, Any] = {"method": method, "max_iterations": 200}
            one = solve(problem, W if referred else None, tolerance=goal * top, **options)
            many = solve_batch(
                torch.stack([problem.B, b, problem.B]),
                torch.stack([d, d, d]),
                torch.tensor([problem.lam, weight, problem.lam], dtype=torch.float64),
                regular,
                torch.stack([W, W, W]) if referred else None,
                tolerance=torch.tensor([goal * top, goal, goal * top], dtype=torch.float64),
                **options,
            )
            for who, solution in (("solve", one), ("solve_batch", many[0]), ("solve_batch", many[2])):
                violation, why = _claim(regularizer, b, d, weight, solution, top, goal)
                if not violation <= worst:
                    worst, note = violation, f"{who}, {method}, {dtype}: {solution.status.name}, {why}"
    return Measurement(worst, note)


def _claim(
    regularizer: Any, b: Tensor, d: Tensor, weight: float, solution: Solution, top: float, goal: float
) -> tuple[float, str]:
    """The excess of the recomputed residual over the accepted one, in units of the latter."""
    if not bool(torch.isfinite(solution.point).all()):
        return math.inf, f"point {solution.point.tolist()}"
    if math.isnan(solution.residual) or (solution.status is Status.CONVERGED and not solution.accepted):
        return math.inf, f"residual {solution.residual}"
    if not solution.accepted or describe(regularizer) is None:
        return 0.0, ""
    Z = solution.point.double() / top
    relative = max(*b.shape, 1) * float(torch.finfo(b.dtype).eps) if b.ndim > 1 else None
    arrays = (Z.numpy(), b.double().numpy(), d.double().numpy())
    recomputed = certificate.stationarity(*arrays, weight, regularizer, rank_tolerance=relative)
    floor = rounding_floor(Subproblem(b.double(), d.double(), weight, regularizer), Z)
    floor *= float(torch.finfo(b.dtype).eps) / float(torch.finfo(torch.float64).eps)
    excess = (recomputed - goal - floor) / goal
    words = f"residual {solution.residual / top:.6g} accepted, recomputed {recomputed:.6g} (divided by {top:g})"
    return (math.inf if math.isnan(excess) else excess), words


class Tilted:
    """``psi(w) + <slope, w>`` for a regularizer with a metric_prox: its solutions are those of B - lam*slope."""

    def __init__(self, regularizer: Any, slope: Tensor) -> None:
        self._regularizer, self._slope = regularizer, slope
        self.convex = offers(regularizer, "convex")

    def value(self, w: Tensor) -> Tensor:
        return self._regularizer.value(w) + (self._slope * w).sum()

    def prox(self, w: Tensor, step: Any) -> Tensor:
        return self._regularizer.prox(w - step * self._slope, step)

    def metric_prox(self, B: Tensor, D: Tensor, lam: Any) -> Tensor:
        found = self._regularizer.metric_prox(B - lam * self._slope, D, lam)
        return found[0] if isinstance(found, tuple) else found


def measure_far_solution(
    regularizer: Any, B: Array, D: Array, lam: float, direction: Array, distance: float
) -> Measurement:
    """A direct solution that is exact but for rounding is called so, also where ||D*Z|| is far above ||B||.

    The violation is infinite where it is called not stationary.
    """
    direction = direction / size(direction) if direction.any() else np.ones_like(direction)
    price = lam * float(regularizer.value(tensor(direction)))
    # Far above psi as well, so that the entries of the solution are as accurate as those of B - lam*slope.
    slope = direction * distance * (size(B) + (price if math.isfinite(price) else 0.0)) / lam
    tilted = Tilted(regularizer, tensor(slope))
    problem, goal = Subproblem(tensor(B), tensor(D), lam, tilted), 1e-13 * norm(B)
    many = solve_batch(
        torch.stack([problem.B] * 2), torch.stack([problem.D] * 2), lam, tilted, tolerance=goal, method="metric_prox"
    )
    worst, note = 0.0, ""
    for who, found in (("solve", solve(problem, tolerance=goal, method="metric_prox")), ("solve_batch", many[0])):
        known = found.status in (Status.CONVERGED, Status.PRECISION_LIMIT) and math.isfinite(found.residual)
        if not (known and bool(torch.isfinite(found.point).all())):
            worst, note = math.inf, f"{who}: {found.status.value}, residual {found.residual:.6g}"
    return Measurement(worst, note)


def _mild(target: Target) -> st.SearchStrategy[Case]:
    """Problems with max D/min D up to 30 and a B, which has a scale then."""
    return subproblem_cases(target.instances, max_condition=30.0, extreme=False).filter(lambda case: case["B"].any())


def _scaled(target: Target) -> st.SearchStrategy[Case]:
    return _mild(target).flatmap(
        lambda case: st.builds(
            lambda start, kind, narrow, referred: {
                **case,
                "start": start,
                "kind": kind,
                "narrow": narrow,
                "referred": referred,
            },
            tensors(case["B"].shape),
            st.sampled_from(KINDS),
            st.booleans(),
            st.booleans(),
        )
    )


def _at_the_top(target: Target) -> st.SearchStrategy[Case]:
    return _mild(target).flatmap(
        lambda case: st.builds(
            lambda start, shortfall, narrow, referred: {
                **case,
                "start": start,
                "shortfall": shortfall,
                "narrow": narrow,
                "referred": referred,
            },
            tensors(case["B"].shape),
            st.sampled_from([4.0, 0.0, 2.0, 30.0]),
            st.booleans(),
            st.booleans(),
        )
    )


def _far(target: Target) -> st.SearchStrategy[Case]:
    return subproblem_cases(target.instances, max_condition=1e4, extreme=False).flatmap(
        lambda case: st.builds(
            lambda direction, distance: {**case, "direction": direction, "distance": distance},
            tensors(case["B"].shape),
            st.sampled_from([1e6, 1e3, 1e9, 1e12]),
        )
    )


CHECKS = (
    Check(
        id="scale-equivariance",
        claim="Status, iterations, point / s and residual / s of a solve do not depend on s, from 1e-300 to 1e300.",
        source="the subproblem is homogeneous",
        kind="regularizer",
        tolerance=tolerances.RATE,
        cases=_scaled,
        measure=measure_equivariance,
        share=0.2,
    ),
    Check(
        id="numbers-out-of-range",
        claim="Where B/D is out of range a solve says so; no regularizer is given an infinity; what is accepted holds.",
        source="paper, eq. 7; recomputed by ramda_verify/oracles/certificate.py",
        kind="regularizer",
        tolerance=tolerances.NARROW_CERTIFICATE,
        cases=_at_the_top,
        measure=measure_range,
        share=0.2,
    ),
    Check(
        id="direct-solution-far-from-B",
        claim="An exact direct solution is called stationary up to rounding, also where ||D*Z|| is far above ||B||.",
        source="rounding of D*Z - B",
        kind="regularizer",
        tolerance=tolerances.EXACT,
        cases=_far,
        measure=measure_far_solution,
        applies=needs("metric_prox"),
        share=0.5,
    ),
)
