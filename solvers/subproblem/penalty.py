"""The penalty rho of the splitting: chosen anew, from what the iterates show, where they crawl."""

import math

from torch import Tensor

from solvers.subproblem.model import Subproblem
from solvers.subproblem.per_problem import (
    Flag,
    Number,
    PerProblem,
    any_of,
    as_tensor,
    complement,
    larger,
    root,
    smaller,
    where,
)
from solvers.subproblem.problems import Problems

#: Iterations until rho is looked at for the first time; each time after that it is left alone longer by GROWTH, so that
#: it changes less and less and the convergence of a fixed rho is not put at risk.
FIRST = 12
GROWTH = 1.5
#: The move of the splitting has to shrink by this factor an iteration, else rho is looked into. Measured on trained
#: networks (0.7 is the pace of a good rho there) and on random metrics with max D/min D up to 1e9.
CRAWL = 0.6
#: A new rho within this factor of the old one is not worth a new start of the extrapolation.
ALIKE = 2.0


class Penalty(PerProblem):
    """``rho = sqrt(a*b)``, a and b the curvatures of the two parts of Q that the last iterations have met.

    The spectral choice of Xu, Figueiredo and Goldstein (2017): the changes of X and of D*X measure the quadratic part,
    those of Z and of the member ``rho*(x - Z)`` of ``lam*dpsi(Z)`` the other; ``hybrid`` makes a curvature of two
    changes. The first rho is the mean of D, summed in units of its largest entry: the sum itself may be out of range.

    With max D/min D = 1e8 a good rho takes some 100 iterations where the mean of D takes more than 1,000.
    """

    def __init__(self, problems: Problems, relaxation: float) -> None:
        self._problems, self._relaxation = problems, relaxation
        self._low, self._high = problems.bounds(problems.D)
        self.rho = mean_of_metrics(problems)
        self._gap = FIRST
        self._due = FIRST
        self._count = 0
        self._shortest = problems.full(math.inf)
        #: The length of the move since which the shortest is measured; NaN where none was seen.
        self._mark = problems.full(math.nan)
        self._seen: tuple[Tensor, Tensor, Tensor] | None = None

    def revised(self, x: Tensor, Z: Tensor, move: Tensor, length: Number) -> Flag:
        """Whether to go on with another rho, which ``rho`` is then. To be called after every iteration: x, its prox Z,
        the move ``relaxation * (X - Z)`` and its length.
        """
        self._count += 1
        self._shortest = smaller(length, self._shortest)
        self._mark = where(self._mark == self._mark, self._mark, length)
        if self._seen is None:
            self._seen = Z, self._subgradient(x, Z), move
        if self._count < self._due:
            return self._problems.full(False)
        crawls = self._shortest > self._mark * CRAWL**self._gap
        before, self._seen, self._mark = self._seen, None, self._shortest
        self._gap = int(self._gap * GROWTH)
        self._due = self._count + self._gap
        if not any_of(crawls):
            return crawls
        wanted = self._wanted(Z - before[0], self._subgradient(x, Z) - before[1], move - before[2])
        ratio = wanted / self._problems.read(self.rho)
        revised = crawls & (wanted == wanted) & complement((ratio >= 1 / ALIKE) & (ratio <= ALIKE))
        self.rho = where(revised, as_tensor(wanted, self.rho), self.rho)
        self._shortest = where(revised, math.inf, self._shortest)
        self._mark = where(revised, math.nan, self._mark)
        return revised

    def _subgradient(self, x: Tensor, Z: Tensor) -> Tensor:
        """The member ``rho*(x - Z)`` of ``lam*dpsi(Z)``."""
        member: Tensor = self._problems.along(self.rho, Z) * (x - Z)
        return member

    def _wanted(self, Z: Tensor, member: Tensor, move: Tensor) -> Number:
        """rho from the changes of these three, NaN where they do not show it."""
        X = Z + move / self._relaxation
        quadratic, other = hybrid(self._problems, X, self._problems.D * X), hybrid(self._problems, Z, member)
        wanted = root(quadratic) * root(where(other == other, other, quadratic))
        return where(wanted == wanted, smaller(larger(wanted, self._low), self._high), wanted)


def mean_of_metrics(problems: Problems) -> Tensor:
    """``mean_of_metric`` of each problem, in the dtype of D."""
    mean: Tensor = problems.each(_mean_of_metric)
    return mean


def _mean_of_metric(subproblem: Subproblem) -> Tensor:
    return mean_of_metric(subproblem.D)


def mean_of_metric(D: Tensor) -> Tensor:
    """The mean of D, a 0-d tensor."""
    largest = D.amax()
    return largest * (D / largest).mean()


def hybrid(problems: Problems, move: Tensor, force: Tensor) -> Number:
    """The curvature c of ``force = c * move`` by the hybrid of steepest descent and minimum gradient (Zhou, Gao and
    Dai, 2006); NaN where the two point apart, or nothing moved.
    """
    length, size = problems.norm(move), problems.norm(force)
    length = where(length > 0, length, 1.0)
    # NaN or zero where the force is zero, or one of the two out of range.
    terms = (move / problems.along(length, move)) * (force / problems.along(size, force))
    cosine = problems.sum(terms)
    known = cosine > 0
    cosine = where(known, cosine, 1.0)
    found = size / length * cosine, size / length / cosine
    return where(known, where(2 * found[0] > found[1], found[0], found[1] - found[0] / 2), math.nan)
