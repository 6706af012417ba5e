"""Erratum: Algorithm 2 writes prox_psi where the step needs prox of theta*psi (theta*lam*psi in our normal form).

A fixed point of Z <- prox_{lam*psi}(Z - theta*(D*Z - B)) has theta*(B - D*Z) in lam*dpsi(Z): it minimises the problem
with psi weighted 1/theta = L times as much. So the literal algorithm converges, but to another problem's solution,
unless theta = 1.

Measured: the smallest ||s|| over dQ of the true problem, relative to ||B||, at the limit of the literal algorithm and
at that of ours, on random subproblems with L != 1; and the distance of both to the minimiser. Control: divided by L, so
that theta = 1, the two are the same. Kind: erratum; it succeeds where the literal residual stays above 1 %, ours falls
below 1e-9, the literal algorithm has come to rest, and the control agrees.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from paper_checks.claim import Claim, Evidence, Kind, Settings
from paper_checks.inner_run import inner_run
from paper_checks.random_subproblems import FAMILIES, RandomSubproblem, random_subproblem
from ramda_verify.engine.record import Verdict
from solvers.regularizers.base import offers

CONDITION, ITERATIONS = 20.0, 2000
LITERAL_AT_LEAST, OURS_AT_MOST = 1e-2, 1e-9


@dataclass(frozen=True)
class Limits:
    """Where the two algorithms end. Residuals relative to ||B||, distances to the norm of the minimiser."""

    family: str
    L: float
    literal_residual: float
    residual: float
    literal_distance: float
    distance: float
    literal_last_move: float
    control_difference: float

    @property
    def succeeds(self) -> bool:
        wrong = self.literal_residual >= LITERAL_AT_LEAST and self.literal_last_move <= OURS_AT_MOST
        right = self.residual <= OURS_AT_MOST and self.distance <= OURS_AT_MOST
        return wrong and right and self.control_difference <= OURS_AT_MOST


def literal(problem: RandomSubproblem, iterations: int = ITERATIONS) -> tuple[Tensor, float]:
    """Algorithm 2 to the letter: the last point and the length of the last move."""
    model, theta = problem.subproblem, 1 / problem.L
    Z = problem.start
    for _ in range(iterations):
        before = Z
        # prox_psi; the psi of this problem, weight included, is lam * regularizer.
        Z = model.regularizer.prox(Z - theta * (model.D * Z - model.B), model.lam)
    return Z, float((Z - before).norm())


def compare(family: str, seed: int) -> Limits:
    """Both algorithms on one subproblem, and the control."""
    problem = random_subproblem(family, CONDITION, seed)
    printed, last_move = literal(problem)
    ours = _ours(problem)
    # theta = 1: divided by L the problem has the same solution, and prox_psi is then the right prox.
    scaled = replace(problem, subproblem=problem.subproblem.divided_by(problem.L))
    control, _ = literal(scaled)
    size = float(problem.minimiser.norm())
    return Limits(
        family=family,
        L=problem.L,
        literal_residual=_residual(problem, printed),
        residual=_residual(problem, ours),
        literal_distance=float((printed - problem.minimiser).norm()) / size,
        distance=float((ours - problem.minimiser).norm()) / size,
        literal_last_move=last_move / size,
        control_difference=float((control - ours).norm()) / size,
    )


def _ours(problem: RandomSubproblem) -> Tensor:
    points, _ = inner_run(problem, tolerance=1e-12 * float(problem.subproblem.B.norm()), max_iterations=ITERATIONS)
    return torch.from_numpy(points[-1])


def _residual(problem: RandomSubproblem, Z: Tensor) -> float:
    """min ||s|| over s in dQ(Z), over ||B||."""
    model = problem.subproblem
    assert offers(model.regularizer, "subgradient_residual")
    member = model.regularizer.subgradient_residual(Z, model.gradient(Z), model.lam)
    return float(member.norm() / model.B.norm())


def check(settings: Settings) -> Evidence:
    """One subproblem a family."""
    found = [compare(family, settings.seed) for family in FAMILIES]
    smallest = min(one.literal_residual for one in found)
    largest = max(one.residual for one in found)
    return Evidence(
        Verdict.PASS if all(one.succeeds for one in found) else Verdict.FAIL,
        measured=f"min ||s||/||B||: {smallest:.2g} or more as printed, {largest:.1e} corrected",
        bound="0 at the minimiser",
        tolerance=f"at least {LITERAL_AT_LEAST:g} as printed, at most {OURS_AT_MOST:g} corrected",
        detail="; ".join(
            f"{one.family} (L = {one.L:.2f}): the literal limit is {100 * one.literal_distance:.0f} % away from the "
            f"minimiser, ours {one.distance:.0e}; with theta = 1 they differ by {one.control_difference:.0e}"
            for one in found
        ),
        numbers={one.family: vars(one) for one in found},
    )


CLAIM = Claim(
    id="erratum-algorithm2-prox",
    title="Algorithm 2 needs the prox of theta*psi",
    source="paper, Algorithm 2",
    statement="With prox_psi as printed proximal gradient does not converge to the minimiser; with theta*psi it does.",
    kind=Kind.ERRATUM,
    check=check,
)
