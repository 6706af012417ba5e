"""Douglas-Rachford splitting, accelerated, for convex regularizers whose prox is dear."""

import math
from collections.abc import Iterator
from typing import NamedTuple, TypeGuard, cast

import torch
from torch import Tensor

from solvers.regularizers.base import offers
from solvers.regularizers.members import ProxWithDerivative
from solvers.subproblem.criterion import prox_member
from solvers.subproblem.ending import Iterate
from solvers.subproblem.extrapolation import Extrapolation
from solvers.subproblem.memory import Memory
from solvers.subproblem.model import Subproblem
from solvers.subproblem.newton import Newton
from solvers.subproblem.penalty import ALIKE, Penalty, mean_of_metrics
from solvers.subproblem.per_problem import Flag, Number, PerProblem, any_of, complement, larger, where
from solvers.subproblem.problems import Problems

#: Length of a plain step in units of the Douglas-Rachford step; any value below 2 converges.
RELAXATION = 1.6
#: An extrapolated point is kept where its move is at most this share of the last one's, or what a plain step promises.
SAFEGUARD = 0.99


class SplittingStep(NamedTuple):
    """What one prox at ``x`` shows: the iterate with its certificate, and the plain move ``T(x) - x``."""

    iterate: Iterate
    move: Tensor


def splitting_step(problems: Problems, x: Tensor, rho: Tensor, Z: Tensor | None = None) -> SplittingStep:
    """``Z = prox_{lam*psi/rho}(x)``, ``X = (B + rho*(2*Z - x)) / (D + rho)``, ``T(x) = x + RELAXATION*(X - Z)``.

    X is the prox of the quadratic part, exact in closed form because the metric is diagonal: the spread of D, which
    sets the pace of proximal gradient, enters with max D / rho and rho / min D instead of their product. And
    ``rho*(x - Z)`` lies in ``lam*dpsi(Z)``, so the certificate s = ``D*Z - B + rho*(x - Z)`` in dQ(Z) comes for free;
    ``X - Z`` is ``-s/(D + rho)``. Where ``Z`` is known already it is not computed.
    """
    if Z is None:
        Z = problems.prox(x, 1 / rho)
    along = problems.along(rho, x)
    member = prox_member(problems.gradient(Z), x, Z, 1 / along)
    return SplittingStep(Iterate(Z, member), (member / (problems.D + along)).mul_(-RELAXATION))


def splitting(
    problems: Problems,
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
    return _Splitting(problems, start, tolerance, memory)


def takes_newton_steps(problems: Problems) -> TypeGuard[Subproblem]:
    """Whether the prox is differentiated: of one problem. In a batch each would solve a system of its own length."""
    return isinstance(problems, Subproblem) and offers(problems.regularizer, "prox_with_derivative")


class _Splitting(PerProblem):
    def __init__(self, problems: Problems, start: Tensor, tolerance: float, memory: Memory | None) -> None:
        self._problems, self._penalty = problems, Penalty(problems, RELAXATION)
        self._newton: Newton | None = None
        self._prox: ProxWithDerivative | None = None
        x: Tensor | None = None
        if takes_newton_steps(problems):
            memory = Memory() if memory is None else memory
            self._newton = Newton(problems, tolerance, memory)
            x, self._prox = _remembered(problems, self._penalty, memory)
        rho = problems.along(self._penalty.rho, start)
        self._x = start - problems.gradient(start) / rho if x is None else x
        self._extrapolation = Extrapolation(problems, self._newton)
        self._enough = larger(contraction(problems, self._penalty.rho), SAFEGUARD)
        #: The last x and move; whether an extrapolated point followed; the shortest move since rho was chosen.
        self._before: tuple[Tensor, Tensor] | None = None
        self._extrapolated: Flag = problems.full(False)
        self._shortest: Number = problems.full(math.inf)
        self._step: SplittingStep | None = None

    def __iter__(self) -> Iterator[Iterate]:
        return self

    def __next__(self) -> Iterate:
        # The next x is chosen when a point is asked for: the last one needs none.
        if self._step is not None:
            self._advance(self._step)
        rho, Z = self._penalty.rho, None
        if self._newton is not None:
            if self._prox is None:
                psi_step = float(self._problems.lam / rho)
                self._prox = cast(Subproblem, self._problems).prox_with_derivative(self._x, psi_step)
                self._newton.remember(self._x, psi_step, self._prox)
            Z = None if self._prox is None else self._prox.point
        self._step = splitting_step(self._problems, self._x, rho, Z)
        return self._step.iterate

    def _advance(self, step: SplittingStep) -> None:
        """Choose the next x from what the step at this one shows."""
        problems, x, (Z, member), move, rho = self._problems, self._x, step.iterate, step.move, self._penalty.rho
        length = problems.norm(move)
        revised = self._penalty.revised(x, Z, move, length)
        short = length <= self._enough * self._shortest
        rejected = self._extrapolated & complement(revised) & complement(short & self._extrapolation.serves(member))
        onward = complement(revised | rejected)
        following, learned = x, onward
        if any_of(onward):
            following, learned = self._extrapolation.propose(x, self._prox, member, move, rho)
        if any_of(rejected):
            assert self._before is not None
            following = where(rejected, self._before[0] + self._before[1], following)
            self._extrapolation.fail(rejected)
        if any_of(revised):
            # A new rho keeps Z and its subgradient.
            ratio = problems.along(rho / self._penalty.rho, x)
            following = where(revised, Z + ratio * (x - Z), following)
            self._enough = larger(contraction(problems, self._penalty.rho), SAFEGUARD)
            self._extrapolation.forget(revised)
        self._shortest = where(revised, math.inf, where(rejected, self._shortest, length))
        self._extrapolated = learned & onward
        self._before, self._x, self._prox = (x, move), following, None


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


def contraction(problems: Problems, penalty: Tensor | None = None) -> Number:
    """By how much a plain step with rho = ``penalty`` (default: the mean of D) shortens the next move at least.

    The reflected prox of a quadratic with eigenvalues in [min D, max D] contracts by
    ``q = max((rho - min D)/(rho + min D), (max D - rho)/(max D + rho))`` and that of psi by 1; averaged with the
    identity with weight RELAXATION/2 this gives ``|1 - RELAXATION/2| + RELAXATION/2 * q``.
    """
    rho = problems.read(mean_of_metrics(problems) if penalty is None else penalty)
    smallest, largest = problems.bounds(problems.D)
    q = larger((rho - smallest) / (rho + smallest), (largest - rho) / (largest + rho))
    return abs(1 - RELAXATION / 2) + RELAXATION / 2 * q
