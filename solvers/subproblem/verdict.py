"""The verdict on a point: the certificate of a direct solution, and (7b) for any."""

import math

import torch
from torch import Tensor

from solvers.subproblem.criterion import certainly_descends, descends, exact_member, residual_norm, rounding_floor
from solvers.subproblem.iterate import Ending, Iterate, best_residual
from solvers.subproblem.model import Subproblem
from solvers.subproblem.proximal_gradient import proximal_gradient
from solvers.subproblem.result import Status
from solvers.subproblem.scale_free import is_finite


def certify(subproblem: Subproblem, point: Tensor, iterations: int, tolerance: float) -> Ending:
    """Residual and status of a direct solution; without an exact subgradient one PG step from it brings a
    certificate.
    """
    if not is_finite(point):
        return Ending(torch.zeros_like(point), Status.NON_FINITE, iterations, math.inf)
    exact = exact_member(subproblem, point)
    if exact is not None:
        residual, floor = residual_norm(subproblem, exact), rounding_floor(subproblem, point, subproblem.D)
    else:
        step: Iterate = next(proximal_gradient(subproblem, point))
        if not is_finite(step.point):
            return Ending(point, Status.NON_FINITE, iterations, math.inf)
        point, floor = step.point, rounding_floor(subproblem, step.point)
        residual = best_residual(subproblem, step, floor)
    if math.isnan(residual):
        return Ending(point, Status.NON_FINITE, iterations, math.inf)
    if residual <= tolerance:
        status = Status.CONVERGED
    elif residual <= floor and residual < math.inf:
        status = Status.PRECISION_LIMIT
    else:
        status = Status.NOT_STATIONARY
    return Ending(point, status, iterations, residual)


def enforce_descent(subproblem: Subproblem, ending: Ending, reference: Tensor) -> tuple[Ending, bool]:
    """(7b): where the objective rose, one PG step from the reference, and the reference itself if rounding
    spoils that.
    """
    if ending.status is not Status.NON_FINITE:
        member = ending.member if subproblem.convex else None
        if member is not None and certainly_descends(subproblem, ending.point, member, reference):
            return ending, True
        if descends(subproblem, ending.point, reference):
            return ending, True
    step = next(proximal_gradient(subproblem, reference))
    if is_finite(step.point) and descends(subproblem, step.point, reference):
        point, level = step.point, rounding_floor(subproblem, step.point)
        residual = best_residual(subproblem, step, level)
    else:
        exact = exact_member(subproblem, reference)
        point, residual = reference, math.inf if exact is None else residual_norm(subproblem, exact)
    status = ending.status if ending.status is Status.NON_FINITE else Status.FELL_BACK
    return Ending(point, status, ending.iterations, math.inf if math.isnan(residual) else residual), False
