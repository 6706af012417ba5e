"""Semismooth Newton steps on the normal map of a subproblem, for regularizers that can differentiate their prox."""

import math

import torch
from torch import Tensor

from solvers.regularizers.members import ProxWithDerivative
from solvers.subproblem.criterion import RoundingFloor
from solvers.subproblem.krylov import Krylov
from solvers.subproblem.memory import Memory
from solvers.subproblem.model import Subproblem
from solvers.subproblem.scale_free import is_finite, norm

#: The most products with the derivative in a step.
PRODUCTS = 30
#: Share of the residual that the linear system keeps at most.
LOOSEST = 0.5
#: Share of the target to which a system is solved that is the last one, as far as its nonlinearity shows.
LAST = 0.5
#: The rounding level of criterion.py is meant as a bound; what is seen is smaller by about this.
ROUNDING = 16
#: A step is kept where it leaves at most this share of the residual.
GAIN = 0.5
#: A model that missed a share m is taken to miss m**ORDER the next time.
ORDER = 1.25
#: No linear model is trusted to be better than this.
SMALLEST_MISS = 1e-4
#: Share of a system's residual below which an error of the model is not told from it.
VISIBLE = 0.1


class Newton:
    """Proposes x - d with ``F(x) - F'(x) d`` nearly zero, F the normal map (Robinson, 1992)

        F(x) = D*Z - B + rho*(x - Z),  Z = prox_{lam*psi/rho}(x),

    which is the member of dQ(Z) that certifies Z: its zeros give the solution. With J the derivative of the prox its
    derivative is ``rho + (D - rho)*J``. The system is solved in units of rho and scaled from the right by the inverse
    of ``rho + (D - rho)*g``, g the mean of J's left factor. It is solved as far as the linear model can be trusted, by
    what the last one missed, and no further than the target asks for (Eisenstat and Walker, 1996).
    """

    def __init__(self, subproblem: Subproblem, tolerance: float, memory: Memory) -> None:
        self._D, self._scale, self._tolerance = subproblem.D, subproblem.scale, tolerance
        self._floor = RoundingFloor(subproblem)
        self._target: float | None = None
        self._krylov: Krylov | None = None
        self._memory, self._missed, self._first = memory, memory.missed, True
        self._before: tuple[float, float] | None = None

    def remember(self, x: Tensor, step: float, prox: ProxWithDerivative | None) -> None:
        """Leave a prox, if there is one, to the next solve."""
        if prox is not None:
            self._memory.x, self._memory.step, self._memory.prox = x, step, prox

    def serves(self, member: Tensor) -> bool:
        """Whether the last step, if there was one, shortened the residual as a linear model that holds does.

        Where D is small the residual hardly sees a step: a long one that leaves most of the residual leads away.
        """
        return self._before is None or norm(member) <= GAIN * self._before[0]

    def forget(self) -> None:
        """Expect nothing of the last step, as where it was not kept."""
        self._before = None

    def propose(self, x: Tensor, prox: ProxWithDerivative, member: Tensor, rho: Tensor) -> Tensor | None:
        """The next x, or None where numbers leave the range of the dtype. ``prox`` is that at x, with derivative."""
        length = norm(member)
        if not 0 < length / float(rho) < torch.finfo(x.dtype).max:
            return None
        self._learn(length)
        if self._target is None:
            self._target = max(self._tolerance, self._floor(prox.point) / ROUNDING) / self._scale
        tolerance = max(LAST * self._target / length, min(LOOSEST, self._missed))
        spread = (self._D / rho).sub_(1)
        scaling = (spread * prox.gain).add_(1).reciprocal_()

        def operator(v: Tensor) -> Tensor:
            d = scaling * v
            return d.addcmul_(spread, prox.derivative(d))

        self._krylov = self._krylov or Krylov(x, PRODUCTS)
        found, rest = self._krylov.solve(operator, member / length, tolerance)
        self._before = length, rest * length
        proposed = x.addcmul(scaling, found, value=-length / float(rho))
        return proposed if is_finite(proposed) else None

    def _learn(self, length: float) -> None:
        """Take in by how much the last linear model was wrong; an error that is small will be smaller by a square."""
        if self._before is None:
            return
        before, predicted = self._before
        # Squares of ratios: those of the lengths may be out of range.
        left, expected = min(length / before, 1.0), predicted / before
        missed = math.sqrt(max(left**2 - expected**2, 0.0)) if left < 1 else 1.0
        # Below a part of what the system was left with it cannot be seen.
        missed = min(1.0, max(missed, VISIBLE * expected, SMALLEST_MISS))
        if self._first:
            self._memory.missed, self._first = missed, False
        self._missed = missed**ORDER
