"""Proximal gradient on the subproblem: the paper's Algorithm 2."""

from collections.abc import Iterator

from torch import Tensor

from solvers.subproblem.criterion import prox_member
from solvers.subproblem.iterate import Iterate
from solvers.subproblem.model import Subproblem


def proximal_gradient(subproblem: Subproblem, start: Tensor, *, step_rule: str = "block") -> Iterator[Iterate]:
    """``Z <- prox_{theta*lam*psi}(Z - theta*(D*Z - B))`` from ``start``, with a certificate at every point.

    theta = 1/L for convex psi and 1/(2L) otherwise (paper, Algorithm 2); L = max D over everything ("global", as in
    the paper) or over each block of a regularizer that separates ("block", faster: a group pays for its own entries).
    Each step lowers Q.
    """
    L = subproblem.step_lipschitz(step_rule)
    theta = 1 / L if subproblem.convex else 1 / (2 * L)
    Z, slope = start, subproblem.gradient(start)
    while True:
        w = Z - theta * slope
        Z = subproblem.prox(w, theta)
        slope = subproblem.gradient(Z)
        yield Iterate(Z, prox_member(slope, w, Z, theta))
