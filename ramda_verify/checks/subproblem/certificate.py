"""Certificates are true: a reported subgradient is one, a small residual means a small error, scales are kept."""

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from ramda_verify import tolerances
from ramda_verify.cases.strategies import problem_batches, seeds
from ramda_verify.checks.helpers import Array, needs, tensor
from ramda_verify.checks.subproblem.batches import SHARE, Problems, WorstProblem, arranged, feasible_rows
from ramda_verify.checks.subproblem.rows import column, comparison_points_of_rows, norms, sizes, sums
from ramda_verify.engine.property import check
from ramda_verify.engine.record import Case, Measurement
from ramda_verify.engine.targets import Target
from ramda_verify.engine.worst import TINY, relative
from ramda_verify.oracles import certificate
from ramda_verify.oracles.psi import is_known
from solvers.regularizers.base import offers
from solvers.regularizers.members import Regularizer
from solvers.subproblem import Status, Subproblem
from solvers.subproblem.methods import ITERATIVE

#: Enough for proximal gradient at a condition number of 100 from 1 to 1e-12. One that ends later has claimed nothing.
SOON = 3000

NOT_A_MEMBER = "fails at X = {X} for s = {member} at Z = {Z}"


def _member_violations(
    problems: Problems, Z: Tensor, member: Tensor, came_from: Tensor, seed: int
) -> tuple[Array, dict[str, Array | Tensor]]:
    """Worst violation of lam*psi(X) >= lam*psi(Z) + <member - (D*Z - B), X - Z>, relative to its terms.

    A step rounds relative to the points it ``came_from``, magnified by D. Also returns the columns of NOT_A_MEMBER.
    """
    slope = member - (problems.D * Z - problems.B)
    steepest = column(sizes(problems.D), Z)
    noise = sizes(problems.B, steepest * Z, steepest * came_from)
    noise += problems.rounding.prox_error(Z) / tolerances.SUBGRADIENT.value
    X = comparison_points_of_rows(Z + slope / steepest, Z, seed)
    psi = problems.psi(torch.cat([Z.unsqueeze(0), X]))
    at_Z, at_X = psi[0], psi[1:]
    # Rounding relative to what Z was computed from may have moved Z off a kink of psi, or off the edge of its set.
    lowest = problems.rounding.lowest_psi(Z, np.maximum(sizes(came_from), sizes(problems.B / problems.D)))
    kink = at_Z - lowest
    edge = 2 * norms(slope) * problems.rounding.edge(Z)
    moves = (X - Z).reshape(*at_X.shape, -1)
    slack = at_Z - edge + (moves * slope.reshape(len(problems), -1)).sum(-1).numpy() - at_X
    scale = 16 / tolerances.SUBGRADIENT.value * kink + problems.rounding.terms(Z)
    scale = scale + np.abs(at_Z) + np.abs(at_X) + noise * moves.abs().sum(-1).numpy()
    # Where psi is infinite at X, the inequality holds whatever the subgradient.
    violations = np.where(np.isposinf(at_X), 0.0, relative(slack, scale))
    worst_X = X[torch.as_tensor(violations.argmax(axis=0)), torch.arange(len(problems))]
    return violations.max(axis=0), {"X": worst_X, "member": member, "Z": Z}


def member_violation(
    regularizer: Regularizer, B: Array, D: Array, lam: float, Z: Array, member: Array, came_from: Array, seed: int
) -> tuple[float, str]:
    """The same of one problem: the violation and a sentence about it."""
    alone = Problems.alone(regularizer, B, D, lam)
    point, subgradient, origin = (tensor(array[None]) for array in (Z, member, came_from))
    violations, columns = _member_violations(alone, point, subgradient, origin, seed)
    return float(violations[0]), NOT_A_MEMBER.format(**{name: column[0].tolist() for name, column in columns.items()})


def _from_anywhere(target: Target) -> st.SearchStrategy[Case]:
    return st.builds(
        lambda case, iterations, seed: {**case, "iterations": iterations, "seed": seed},
        problem_batches(target.instances, max_condition=1e4, point="start"),
        st.integers(1, 6),
        seeds(),
    )


@check(
    "certificate-membership",
    claim="The certificate D*Z - B + (w - Z)/theta of every iteration lies in dQ(Z), the point it is reported for.",
    source="paper, section 3; optimality of the prox, Z = prox(w)",
    kind="regularizer",
    tolerance=tolerances.SUBGRADIENT,
    cases=_from_anywhere,
    applies=needs("convex"),
    share=SHARE,
)
def measure_membership(
    regularizer: Regularizer, B: Array, D: Array, lam: Array, start: Array, iterations: int, seed: int
) -> Measurement:
    """The certificate of each iterative method at its iterates lies in dQ there; for convex psi by the inequality."""
    problems, first = Problems.of(regularizer, B, D, lam), arranged(start)
    worst = WorstProblem(problems)
    for method in problems.methods:
        if method not in ITERATIVE:
            continue
        for count, (Z, member) in enumerate(problems.iterates(method, first, iterations), 1):
            violations, columns = _member_violations(problems, Z, member, first, seed)
            worst.see(violations, f"{method}, iteration {count}: {NOT_A_MEMBER}", **columns)
    return worst.measurement()


@check(
    "minimum-norm-subgradient",
    claim="subgradient_residual is a member of dQ(Z) and none is shorter.",
    source="distance of -gradient to the subdifferential; recomputed by ramda_verify/oracles/certificate.py",
    kind="regularizer",
    tolerance=tolerances.SUBGRADIENT,
    cases=_from_anywhere,
    applies=needs("subgradient_residual"),
    share=SHARE,
)
def measure_minimum_norm(
    regularizer: Regularizer, B: Array, D: Array, lam: Array, start: Array, iterations: int, seed: int
) -> Measurement:
    """``subgradient_residual`` is a member of dQ, is no longer than the PG certificate, and agrees with our oracle."""
    problems = Problems.of(regularizer, B, D, lam)
    first = feasible_rows(regularizer, arranged(start))
    unbounded = np.full(len(problems), np.inf)
    known = [(first, unbounded), (feasible_rows(regularizer, torch.zeros_like(first)), unbounded)]
    known += [(Z, norms(member)) for Z, member in problems.iterates("proximal_gradient", first, iterations)]
    worst = WorstProblem(problems)
    spread = torch.as_tensor(np.random.default_rng(seed).uniform(-1, 1, first.shape))
    for Z, bound in known:
        exact = problems.each(_exact, Z)
        exact[-1] = _exact(problems.single, Z[-1])[0]
        length = norms(exact)
        # The residual rounds relative to itself as well: at B = 0 and a small Z it is lam*dpsi, larger than both.
        scale = norms(problems.B) + sizes(problems.D) * sizes(Z, first) + length
        # Near a change of structure (a singular value barely above zero) the subdifferential at the rounded point is
        # not determined: what a move by a few epsilon changes is not held against the regularizer.
        moved = problems.each(_exact, Z * (1 + 4 * np.finfo(float).eps * spread))
        scale += 16 / tolerances.SUBGRADIENT.value * np.abs(norms(moved) - length)
        worst.see(
            relative(length - bound, scale),
            "norm {length:.6g} at Z = {Z}, a member of norm {bound:.6g} exists",
            length=length,
            bound=bound,
            Z=Z,
        )
        if getattr(regularizer, "convex", False):
            violations, columns = _member_violations(problems, Z, exact, first, seed)
            worst.see(violations, NOT_A_MEMBER, **columns)
        if is_known(regularizer):
            ours = np.array([certificate.stationarity(*row, regularizer) for row in problems.rows(Z)])
            gap = relative(np.abs(length - ours), scale)
            worst.see(gap, "norm {length:.6g} at Z = {Z}, recomputed {ours:.6g}", length=length, ours=ours, Z=Z)
    return worst.measurement()


def _exact(problem: Subproblem, Z: Tensor) -> tuple[Tensor, ...]:
    assert offers(problem.regularizer, "subgradient_residual")
    return (problem.regularizer.subgradient_residual(Z, problem.D * Z - problem.B, problem.lam),)


def _loosely(target: Target) -> st.SearchStrategy[Case]:
    def tolerances_of(case: Case, lowest: float) -> Array:
        """From 10^lowest to 1, another one for each problem."""
        return 10.0 ** (lowest * (1 - np.arange(len(case["B"])) / len(case["B"])))

    return st.builds(
        lambda case, lowest, factor: {**case, "tolerance": tolerances_of(case, lowest), "factor": factor},
        problem_batches(target.instances, max_condition=100.0, point="start", mild=10.0, hardest=1e4),
        st.floats(-6, 0),
        st.sampled_from([7.0, 1e-3, 1e4]),
    )


@check(
    "criterion-soundness",
    claim="Accepted means ||Z - Z*|| <= ||s||/min D and Q(Z) - Q* <= ||s||^2/(2 min D), at any scale of Q.",
    source="strong convexity; paper, eq. 7; the scale alpha_t of Algorithm 1",
    kind="regularizer",
    tolerance=tolerances.RATE,
    cases=_loosely,
    applies=needs("convex"),
    share=SHARE,
)
def measure_soundness(
    regularizer: Regularizer, B: Array, D: Array, lam: Array, start: Array, tolerance: Array, factor: float
) -> Measurement:
    """Accepted means close: ||Z - Z*|| <= ||s||/mu and Q(Z) - Q* <= ||s||^2/(2 mu), also for Q divided by a factor.

    Z* is found by the best method to rounding, Z by each iterative one to a loose tolerance.
    """
    problems, first = Problems.of(regularizer, B, D, lam), arranged(start)
    worst = WorstProblem(problems)
    exact = problems.solve("auto", 1e-12 * problems.rounding.unit)
    # Where B is zero, or next to it, a share of B is a goal that no start reaches: the start then gives the scale.
    goal = arranged(tolerance).numpy() * norms(problems.B) + 1e-12 * sizes(problems.B, problems.D * first)
    mu = problems.smallest

    def objective(Z: Tensor) -> Array:
        return sums(Z * (0.5 * problems.D * Z - problems.B)) + problems.psi(Z)

    for method in problems.methods:
        for by in (1.0, factor):
            found = problems.solve(method, goal, first, max_iterations=SOON, factor=by, to_the_end=False)
            converged = np.array([status is Status.CONVERGED for status in found.status])
            worst.see(
                np.where(~converged | (found.residual <= goal), 0.0, np.inf),
                f"{method}: converged with residual {{residual:.3g}} > {{goal:.3g}}",
                residual=found.residual,
                goal=goal,
            )
            Z = found.point
            # Both terms of the quadratic part: a constraint may keep Z far from B/D, also where B is zero.
            size_of_Q = sums(0.5 * (problems.B * problems.B / problems.D + problems.D * Z * Z))
            size_of_Q += np.abs(problems.psi(Z))
            rounding = problems.rounding.floors(Z) + problems.rounding.floors(first)
            rounding += problems.rounding.prox_error(Z)
            reach = (found.residual + exact.residual + rounding) / mu + TINY
            allowed_gap = (found.residual + rounding) ** 2 / (2 * mu) + 1e-12 * size_of_Q + TINY
            gap = objective(Z) - objective(exact.point)
            if bool((gap > allowed_gap).any()):
                allowed_gap += problems.rounding.of_Q(Z, first) + problems.rounding.of_Q(exact.point)
            shares = {
                "distance": relative(norms(Z - exact.point), reach),
                "gap in Q": relative(gap, allowed_gap),
            }
            for what, share in shares.items():
                words = f"{method}, scale {by:g}: the {what} is {{share:.6g}} times what is promised"
                # No residual is NaN: ``Problems.solve`` sees to that.
                worst.see(np.where(found.residual > goal, 0.0, share - 1), words, share=share)
    return worst.measurement()
