"""Proximal gradient on the subproblem: the paper's Algorithm 2."""

from collections.abc import Iterator

from torch import Tensor

from solvers.subproblem.criterion import prox_member
from solvers.subproblem.ending import Iterate
from solvers.subproblem.per_problem import PerProblem
from solvers.subproblem.problems import Problems


def proximal_gradient(problems: Problems, start: Tensor, *, step_rule: str = "block") -> Iterator[Iterate]:
    """``Z <- prox_{theta*lam*psi}(Z - theta*(D*Z - B))`` from ``start``, with a certificate at every point.

    theta = 1/L for convex psi and 1/(2L) otherwise (paper, Algorithm 2); L = max D over everything ("global", as in
    the paper) or over each block of a regularizer that separates ("block", faster: a group pays for its own entries).
    Each step lowers Q.
    """
    return _ProximalGradient(problems, start, step_rule)


class _ProximalGradient(PerProblem):
    def __init__(self, problems: Problems, start: Tensor, step_rule: str) -> None:
        L = problems.step_lipschitz(step_rule)
        self._problems, self._theta = problems, 1 / L if problems.convex else 1 / (2 * L)
        self._Z, self._slope = start, problems.gradient(start)

    def __iter__(self) -> Iterator[Iterate]:
        return self

    def __next__(self) -> Iterate:
        problems, along = self._problems, self._problems.along(self._theta, self._Z)
        w = self._Z - along * self._slope
        self._Z = problems.prox(w, self._theta)
        self._slope = problems.gradient(self._Z)
        return Iterate(self._Z, prox_member(self._slope, w, self._Z, along))
