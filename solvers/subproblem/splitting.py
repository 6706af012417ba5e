"""Douglas-Rachford splitting, accelerated, for convex regularizers whose prox is dear."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from solvers.regularizers.base import ProxWithDerivative, offers
from solvers.subproblem.criterion import prox_member
from solvers.subproblem.extrapolation import Extrapolation
from solvers.subproblem.iterate import Iterate
from solvers.subproblem.memory import Memory
from solvers.subproblem.model import Subproblem
from solvers.subproblem.newton import Newton
from solvers.subproblem.penalty import ALIKE, Penalty, mean_of_metric
from solvers.subproblem.scale_free import norm

#: Length of a plain step in units of the Douglas-Rachford step; any value below 2 converges.
RELAXATION = 1.6
#: An extrapolated point is kept where its move is at most this share of the last one's, or what a plain step promises.
SAFEGUARD = 0.99


class SplittingStep(NamedTuple):
    """What one prox at ``x`` shows: the iterate with its certificate, and the plain move ``T(x) - x``."""

    iterate: Iterate
    move: Tensor


def splitting_step(subproblem: Subproblem, x: Tensor, rho: Tensor, Z: Tensor | None = None) -> SplittingStep:
    """``Z = prox_{lam*psi/rho}(x)``, ``X = (B + rho*(2*Z - x)) / (D + rho)``, ``T(x) = x + RELAXATION*(X - Z)``.

    X is the prox of the quadratic part, exact in closed form because the metric is diagonal: the spread of D, which
    sets the pace of proximal gradient, enters with max D / rho and rho / min D instead of their product. And
    ``rho*(x - Z)`` lies in ``lam*dpsi(Z)``, so the certificate s = ``D*Z - B + rho*(x - Z)`` in dQ(Z) comes for free;
    ``X - Z`` is ``-s/(D + rho)``. Where ``Z`` is known already it is not computed.
    """
    if Z is None:
        Z = subproblem.prox(x, 1 / rho)
    member = prox_member(subproblem.gradient(Z), x, Z, 1 / rho)
    return SplittingStep(Iterate(Z, member), (member / (subproblem.D + rho)).mul_(-RELAXATION))


def splitting(
    subproblem: Subproblem,
    start: Tensor,
    *,
    step_rule: str = "block",
    tolerance: float = 0.0,
    memory: Memory | None = None,
) -> Iterator[Iterate]:
    """Douglas-Rachford (Lions and Mercier, 1979; Eckstein and Bertsekas, 1992) from the x whose subgradient at
    ``start`` would be ``B - D*start``; rho begins as the mean of D, see ``Penalty``. ``step_rule`` has no say: one rho
    serves all blocks. Where ``memory`` holds the prox of an earlier solve, the first iterate is the one that it gives,
    without a prox; memory is left with the last prox. ``tolerance`` is the residual that will do.

    The plain step contracts ``||T(x) - x||`` by ``contraction(subproblem, rho)`` < 1. An extrapolated point (Newton or
    Anderson) is kept where it shortens the move by the larger of that factor and SAFEGUARD, and a Newton step where it
    also halves the residual; else the plain step that it replaced is taken. So every two proxes shorten the move by
    that much: linear convergence is not put at risk. A new rho keeps Z and its subgradient. Every iterate has its own
    certificate, kept or not.

    On the subproblems of a 784-512-...-10 network after 100 steps of RAMDA this takes 8 iterations to a relative
    residual of 1e-4 where proximal gradient takes 87 and the accelerated method 38.
    """
    penalty = Penalty(subproblem, RELAXATION)
    newton, x, prox = None, None, None
    if offers(subproblem.regularizer, "prox_with_derivative"):
        memory = Memory() if memory is None else memory
        newton = Newton(subproblem, tolerance, memory)
        x, prox = _remembered(subproblem, penalty, memory)
    if x is None:
        x = start - subproblem.gradient(start) / penalty.rho
    rho = penalty.rho
    extrapolation = Extrapolation(newton)
    enough = max(SAFEGUARD, contraction(subproblem, rho))
    before: tuple[Tensor, Tensor] | None = None
    shortest = float("inf")
    while True:
        if newton is not None and prox is None:
            psi_step = float(subproblem.lam / rho)
            prox = subproblem.prox_with_derivative(x, psi_step)
            newton.remember(x, psi_step, prox)
        step = splitting_step(subproblem, x, rho, None if prox is None else prox.point)
        yield step.iterate
        Z, length = step.iterate.point, norm(step.move)
        revised = penalty.revised(x, Z, step.move, length)
        if revised is not None:
            x, rho = Z + (rho / revised) * (x - Z), revised
            enough = max(SAFEGUARD, contraction(subproblem, rho))
            extrapolation.forget()
            before, shortest = None, float("inf")
        elif before is not None and not (length <= enough * shortest and extrapolation.serves(step.iterate.member)):
            extrapolation.fail()
            x, before = before[0] + before[1], None
        else:
            proposed = extrapolation.propose(x, prox, step.iterate.member, step.move, rho)
            shortest = length
            if proposed is None:
                x, before = x + step.move, None
            else:
                x, before = proposed, (x, step.move)
        prox = None


def _remembered(
    subproblem: Subproblem, penalty: Penalty, memory: Memory
) -> tuple[Tensor | None, ProxWithDerivative | None]:
    """The x that is remembered and its prox, with the rho that it has here; where that is far from the mean of D, the
    x of the same point and multiplier, without a prox; None where nothing is remembered.
    """
    if memory.x is None:
        return None, None
    if memory.prox is None:
        memory.prox = subproblem.prox_with_derivative(memory.x, memory.step)
    if memory.prox is None:
        return None, None
    rho, mean = float(subproblem.lam) / memory.step, float(penalty.rho)
    if mean / ALIKE <= rho <= ALIKE * mean:
        penalty.rho = torch.full_like(penalty.rho, rho)
        return memory.x, memory.prox
    Z = memory.prox.point
    return Z + (rho / mean) * (memory.x - Z), None


def contraction(subproblem: Subproblem, penalty: Tensor | None = None) -> float:
    """By how much a plain step with rho = ``penalty`` (default: the mean of D) shortens the next move at least.

    The reflected prox of a quadratic with eigenvalues in [min D, max D] contracts by
    ``q = max((rho - min D)/(rho + min D), (max D - rho)/(max D + rho))`` and that of psi by 1; averaged with the
    identity with weight RELAXATION/2 this gives ``|1 - RELAXATION/2| + RELAXATION/2 * q``.
    """
    chosen = mean_of_metric(subproblem.D) if penalty is None else penalty
    rho, smallest, largest = (float(bound) for bound in (chosen, *subproblem.D.aminmax()))
    q = max((rho - smallest) / (rho + smallest), (largest - rho) / (largest + rho))
    return abs(1 - RELAXATION / 2) + RELAXATION / 2 * q
