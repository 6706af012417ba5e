"""The penalty rho of the splitting: chosen anew, from what the iterates show, where they crawl."""

import math

import torch
from torch import Tensor

from solvers.subproblem.model import Subproblem
from solvers.subproblem.scale_free import norm

#: Iterations until rho is looked at for the first time; each time after that it is left alone longer by GROWTH, so that
#: it changes less and less and the convergence of a fixed rho is not put at risk.
FIRST = 12
GROWTH = 1.5
#: The move of the splitting has to shrink by this factor an iteration, else rho is looked into. Measured on trained
#: networks (0.7 is the pace of a good rho there) and on random metrics with max D/min D up to 1e9.
CRAWL = 0.6
#: A new rho within this factor of the old one is not worth a new start of the extrapolation.
ALIKE = 2.0


class Penalty:
    """``rho = sqrt(a*b)``, a and b the curvatures of the two parts of Q that the last iterations have met.

    The spectral choice of Xu, Figueiredo and Goldstein (2017): the changes of X and of D*X measure the quadratic part,
    those of Z and of the member ``rho*(x - Z)`` of ``lam*dpsi(Z)`` the other; ``hybrid`` makes a curvature of two
    changes. The first rho is the mean of D, summed in units of its largest entry: the sum itself may be out of range.

    With max D/min D = 1e8 a good rho takes some 100 iterations where the mean of D takes more than 1,000.
    """

    def __init__(self, subproblem: Subproblem, relaxation: float) -> None:
        self._D = subproblem.D
        self._relaxation = relaxation
        self._low, self._high = (float(bound) for bound in subproblem.D.aminmax())
        self.rho = mean_of_metric(subproblem.D)
        self._gap = FIRST
        self._due = FIRST
        self._count = 0
        self._begin()

    def _begin(self) -> None:
        self._shortest = math.inf
        self._mark: float | None = None
        self._seen: tuple[Tensor, Tensor, Tensor] | None = None

    def revised(self, x: Tensor, Z: Tensor, move: Tensor, length: float) -> Tensor | None:
        """Another rho to go on with, or None. To be called after every iteration: x, its prox Z, the move
        ``relaxation * (X - Z)`` and its length.
        """
        self._count += 1
        self._shortest = min(self._shortest, length)
        self._mark = length if self._mark is None else self._mark
        if self._seen is None:
            self._seen = Z, self.rho * (x - Z), move
        if self._count < self._due:
            return None
        crawls = self._shortest > self._mark * CRAWL**self._gap
        before, self._seen, self._mark = self._seen, None, self._shortest
        self._gap = int(self._gap * GROWTH)
        self._due = self._count + self._gap
        wanted = self._wanted(Z - before[0], self.rho * (x - Z) - before[1], move - before[2]) if crawls else None
        if wanted is None or 1 / ALIKE <= wanted / float(self.rho) <= ALIKE:
            return None
        self._begin()
        self.rho = torch.full_like(self.rho, wanted)
        return self.rho

    def _wanted(self, Z: Tensor, member: Tensor, move: Tensor) -> float | None:
        """rho from the changes of these three."""
        X = Z + move / self._relaxation
        quadratic, other = hybrid(X, self._D * X), hybrid(Z, member)
        if quadratic is None:
            return None
        wanted = math.sqrt(quadratic) * math.sqrt(quadratic if other is None else other)
        return min(max(wanted, self._low), self._high)


def mean_of_metric(D: Tensor) -> Tensor:
    """The mean of D, a 0-d tensor."""
    largest = D.amax()
    return largest * (D / largest).mean()


def hybrid(move: Tensor, force: Tensor) -> float | None:
    """The curvature c of ``force = c * move`` by the hybrid of steepest descent and minimum gradient (Zhou, Gao and
    Dai, 2006); None where the two point apart, or nothing moved.
    """
    length, size = norm(move), norm(force)
    if not (0 < length < math.inf and 0 < size < math.inf):
        return None
    cosine = float(torch.sum((move / length) * (force / size)))
    if not cosine > 0:
        return None
    smaller, larger = size / length * cosine, size / length / cosine
    return smaller if 2 * smaller > larger else larger - smaller / 2
