"""Are the certificates true? A reported subgradient is one, a small residual means a small error, scales are kept."""

from itertools import islice
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ramda_verify import tolerances
from ramda_verify.checks.helpers import Array, comparison_points, feasible, needs, norm, size, tensor
from ramda_verify.checks.subproblem import model, solved
from ramda_verify.oracles import certificate
from ramda_verify.oracles.psi_model import describe
from ramda_verify.property import Check
from ramda_verify.record import Case, Measurement
from ramda_verify.strategies import seeds, subproblem_cases, tensors
from ramda_verify.targets import Target
from solvers.subproblem import Status, solve
from solvers.subproblem.criterion import rounding_floor
from solvers.subproblem.solve import ITERATIVE, available_methods


def _objective(regularizer: Any, B: Array, D: Array, lam: float, Z: Array) -> float:
    return float((Z * (0.5 * D * Z - B)).sum()) + lam * float(regularizer.value(tensor(Z)))


def _member_violation(
    regularizer: Any, B: Array, D: Array, lam: float, Z: Array, member: Array, came_from: Array, seed: int
) -> tuple[float, str]:
    """Worst violation of lam*psi(X) >= lam*psi(Z) + <member - (D*Z - B), X - Z>, relative to its terms.

    A step rounds relative to the points it ``came_from``, magnified by D.
    """
    slope = member - (D * Z - B)
    at_Z = lam * float(regularizer.value(tensor(Z)))
    noise = size(B, size(D) * Z, size(D) * came_from)
    worst, note = 0.0, ""
    for X in comparison_points(Z + slope / size(D), Z, seed):
        at_X = lam * float(regularizer.value(tensor(X)))
        slack = at_Z + float((slope * (X - Z)).sum()) - at_X
        scale = abs(at_Z) + abs(at_X) + noise * float(np.abs(X - Z).sum())
        if scale > 0 and slack / scale > worst:
            worst, note = slack / scale, f"fails at X = {X.tolist()} for s = {member.tolist()} at Z = {Z.tolist()}"
    return worst, note


def measure_membership(
    regularizer: Any, B: Array, D: Array, lam: float, start: Array, iterations: int, seed: int
) -> Measurement:
    """The certificate of each iterative method at its iterates lies in dQ there; for convex psi by the inequality."""
    subproblem = model(regularizer, B, D, lam)
    worst, note = 0.0, ""
    for method in available_methods(subproblem):
        if method not in ITERATIVE:
            continue
        for count, iterate in enumerate(islice(ITERATIVE[method](subproblem, tensor(start)), iterations), 1):
            Z, member = iterate.point.numpy(), iterate.member.numpy()
            violation, why = _member_violation(regularizer, B, D, lam, Z, member, start, seed)
            if not violation <= worst:
                worst, note = violation, f"{method}, iteration {count}: {why}"
    return Measurement(worst, note)


def measure_minimum_norm(
    regularizer: Any, B: Array, D: Array, lam: float, start: Array, iterations: int, seed: int
) -> Measurement:
    """``subgradient_residual`` is a member of dQ, is no longer than the PG certificate, and agrees with our oracle."""
    subproblem, start = model(regularizer, B, D, lam), feasible(regularizer, start)
    points = [start, np.zeros_like(B)]
    worst, note = 0.0, ""
    shortest = [np.inf, np.inf]
    for iterate in islice(ITERATIVE["proximal_gradient"](subproblem, tensor(start)), iterations):
        points.append(iterate.point.numpy())
        shortest.append(float(iterate.member.norm()))
    for Z, bound in zip(points, shortest, strict=True):
        exact = regularizer.subgradient_residual(tensor(Z), tensor(D * Z - B), lam).numpy()
        length = norm(exact)
        # The residual rounds relative to itself as well: at B = 0 and a small Z it is lam*dpsi, larger than both.
        scale = norm(B) + size(D) * size(Z, start) + length + np.finfo(float).tiny
        # Near a change of structure (a singular value barely above zero) the subdifferential at the rounded point is
        # not determined: what a move by a few epsilon changes is not held against the regularizer.
        moved = Z * (1 + 4 * np.finfo(float).eps * np.random.default_rng(seed).uniform(-1, 1, Z.shape))
        other = regularizer.subgradient_residual(tensor(moved), tensor(D * moved - B), lam).numpy()
        scale += 16 / tolerances.SUBGRADIENT.value * abs(norm(other) - length)
        found: list[tuple[float, str]] = [
            ((length - bound) / scale, f"norm {length:.6g} at Z = {Z.tolist()}, a member of norm {bound:.6g} exists")
        ]
        if getattr(regularizer, "convex", False):
            found.append(_member_violation(regularizer, B, D, lam, Z, exact, start, seed))
        if describe(regularizer) is not None:
            ours = certificate.stationarity(Z, B, D, lam, regularizer)
            found.append((abs(length - ours) / scale, f"norm {length:.6g} at Z = {Z.tolist()}, recomputed {ours:.6g}"))
        violation, why = max(found)
        if not violation <= worst:
            worst, note = violation, why
    return Measurement(worst, note)


def measure_soundness(
    regularizer: Any, B: Array, D: Array, lam: float, start: Array, tolerance: float, factor: float
) -> Measurement:
    """Accepted means close: ||Z - Z*|| <= ||s||/mu and Q(Z) - Q* <= ||s||^2/(2 mu), also for Q divided by a factor.

    Z* is found by the best method to rounding, Z by each iterative one to a loose tolerance.
    """
    subproblem = model(regularizer, B, D, lam)
    exact = solved(subproblem, "auto", 1e-12 * size(B))
    best = exact.point.numpy()
    mu = float(D.min())
    worst, note = 0.0, ""
    for method in available_methods(subproblem):
        for problem in (subproblem, subproblem.divided_by(factor)):
            target = tolerance * norm(B) + 1e-12 * size(B)
            solution = solve(problem, tensor(start), tolerance=target, method=method, max_iterations=20_000)
            if solution.status is Status.CONVERGED and not solution.residual <= target:
                return Measurement(np.inf, f"{method}: converged with residual {solution.residual:.3g} > {target:.3g}")
            if not solution.accepted:
                continue
            Z = solution.point.numpy()
            distance = float(np.linalg.norm(Z - best))
            gap = _objective(regularizer, B, D, lam, Z) - _objective(regularizer, B, D, lam, best)
            size_Q = 0.5 * float((B * B / D).sum()) + abs(lam * float(regularizer.value(tensor(Z))))
            rounding = rounding_floor(subproblem, solution.point) + rounding_floor(subproblem, tensor(start))
            reach = (solution.residual + exact.residual + rounding) / mu
            allowed_gap = (solution.residual + rounding) ** 2 / (2 * mu) + 1e-12 * size_Q + np.finfo(float).tiny
            found = max(
                (distance / (reach + np.finfo(float).tiny) - 1, f"error {distance:.3g}, promised {reach:.3g}"),
                (gap / allowed_gap - 1, f"gap {gap:.3g}, promised {allowed_gap:.3g}"),
            )
            if not found[0] <= worst:
                worst, note = found[0], f"{method}, scale {problem.scale:g}: {found[1]}"
    return Measurement(worst, note)


def _from_anywhere(target: Target) -> st.SearchStrategy[Case]:
    return subproblem_cases(target.instances, max_condition=1e4).flatmap(
        lambda case: st.builds(
            lambda start, iterations, seed: {**case, "start": start, "iterations": iterations, "seed": seed},
            tensors(case["B"].shape),
            st.integers(1, 6),
            seeds(),
        )
    )


def _loosely(target: Target) -> st.SearchStrategy[Case]:
    return subproblem_cases(target.instances, max_condition=100.0).flatmap(
        lambda case: st.builds(
            lambda start, exponent, factor: {**case, "start": start, "tolerance": 10.0**exponent, "factor": factor},
            tensors(case["B"].shape),
            st.floats(-6, 0),
            st.sampled_from([7.0, 1e-3, 1e4]),
        )
    )


CHECKS = (
    Check(
        id="certificate-membership",
        claim="The certificate (D - 1/theta)*(Z+ - Z) of every iteration lies in dQ(Z+), the point it is reported for.",
        source="paper, section 3; optimality of a proximal gradient step",
        kind="regularizer",
        tolerance=tolerances.SUBGRADIENT,
        cases=_from_anywhere,
        measure=measure_membership,
        applies=needs("convex"),
    ),
    Check(
        id="minimum-norm-subgradient",
        claim="subgradient_residual is a member of dQ(Z) and none is shorter.",
        source="distance of -gradient to the subdifferential; recomputed by ramda_verify/oracles/certificate.py",
        kind="regularizer",
        tolerance=tolerances.SUBGRADIENT,
        cases=_from_anywhere,
        measure=measure_minimum_norm,
        applies=needs("subgradient_residual"),
    ),
    Check(
        id="criterion-soundness",
        claim="Accepted means ||Z - Z*|| <= ||s||/min D and Q(Z) - Q* <= ||s||^2/(2 min D), at any scale of Q.",
        source="strong convexity; paper, eq. 7; the scale alpha_t of Algorithm 1",
        kind="regularizer",
        tolerance=tolerances.RATE,
        cases=_loosely,
        measure=measure_soundness,
        applies=needs("convex"),
    ),
)
