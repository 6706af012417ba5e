"""Accelerated proximal gradient with restart, for convex regularizers."""

from collections.abc import Iterator
from math import sqrt

from torch import Tensor

from solvers.subproblem.criterion import prox_member
from solvers.subproblem.iterate import Iterate
from solvers.subproblem.model import Subproblem
from solvers.subproblem.scale_free import is_finite, product


def accelerated_proximal_gradient(
    subproblem: Subproblem, start: Tensor, *, step_rule: str = "block"
) -> Iterator[Iterate]:
    """FISTA (Beck and Teboulle, 2009) with the gradient restart of O'Donoghue and Candes (2015, section 3.2).

    The certificate belongs to the point that is returned, though the step is taken from the extrapolated point. Q need
    not fall at every step; ``solve`` enforces (7b) at the end.
    """
    theta = 1 / subproblem.step_lipschitz(step_rule)
    Z = Y = start
    t = 1.0
    while True:
        w = Y - theta * subproblem.gradient(Y)
        Z_next = subproblem.prox(w, theta)
        yield Iterate(Z_next, prox_member(subproblem.gradient(Z_next), w, Z_next, theta))
        move, t_next = Z_next - Z, (1 + sqrt(1 + 4 * t * t)) / 2
        # Momentum that points uphill is dropped (1/theta weighs the blocks as the step does), and one that would leave
        # the range of the dtype.
        uphill = bool(product((Y - Z_next) / theta, move) > 0)
        Y = Z_next + (t - 1) / t_next * move
        if uphill or not is_finite(Y):
            t, Y = 1.0, Z_next
        else:
            t = t_next
        Z = Z_next
