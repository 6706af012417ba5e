"""``enclose``: what is proved of a solution, in the units of its problem."""

import torch
from torch import Tensor

from ramda_verify.oracles import enclosure
from ramda_verify.oracles.enclosure import Enclosure
from solvers import Solution, Subproblem


def enclose(solution: Solution | Tensor, subproblem: Subproblem) -> Enclosure:
    """The distance of a solution from the exact one, its residual and its gap in Q, as statements without rounding.

    Ball arithmetic (python-flint, of the extra ``verify``) encloses every number, from B, D, lam and the point as the
    exact binary fractions that they are. psi is taken from its definition in ``ramda_verify/oracles/psi.py``, never
    from the regularizer's code: it is one of the library's convex ones, or a list of atoms in
    the place of one.

    Arguments:
        solution: what ``solve`` returned, or any point of the shape of B; every dtype up to float64, on any device.
        subproblem: the problem; where ``scale`` is not 1, residual and objective are of the undivided one.

    Returns:
        The Enclosure; ``print`` shows it in a line, ``within(1e-15)`` whether ||Z - Z*|| <= 1e-15 ||Z*|| is proved.

    Raises:
        TypeError: psi is not convex, or not known apart from the regularizer's code.
        ValueError: a number is not finite, D not > 0, lam negative, or the shapes differ.
        ImportError: python-flint is not installed.
    """
    point = solution if isinstance(solution, Tensor) else solution.point
    z, b, d = (tensor.detach().cpu().double().numpy() for tensor in (point, subproblem.B, subproblem.D))
    eps = torch.finfo(point.dtype).eps
    found = enclosure.enclose(z, b, d, float(subproblem.lam), subproblem.regularizer, eps)
    return found.times(subproblem.scale)
