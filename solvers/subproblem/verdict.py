"""The verdict on a point: the certificate of a direct solution, and (7b) for any."""

import math

import torch
from torch import Tensor

from solvers.subproblem.criterion import (
    best_residual,
    certainly_descends,
    descends,
    exact_member,
    residual_norm,
    rounding_floor,
)
from solvers.subproblem.ending import Ending, ended_by, status_of_all, status_where
from solvers.subproblem.per_problem import Flag, Number, all_of, any_of, complement, where
from solvers.subproblem.problems import Problems
from solvers.subproblem.proximal_gradient import proximal_gradient
from solvers.subproblem.result import Status


def certify(problems: Problems, point: Tensor, iterations: Number, tolerance: Number) -> Ending:
    """Residual and status of direct solutions; without an exact subgradient one PG step from them brings a
    certificate.
    """
    usable = problems.finite(point)
    if not all_of(usable):
        point = where(usable, point, torch.zeros_like(point))
    exact = exact_member(problems, point)
    if exact is not None:
        residual, level = residual_norm(problems, exact), rounding_floor(problems, point, problems.D)
    else:
        step = next(proximal_gradient(problems, point))
        held = problems.finite(step.point)
        step = step._replace(point=where(held, step.point, point))
        point = where(usable, step.point, point)
        level = rounding_floor(problems, step.point)
        residual = best_residual(problems, step.member, step.point, level)
        usable = usable & held
    usable = usable & (residual == residual)
    status = status_of_all(problems, Status.NOT_STATIONARY)
    status = status_where((residual <= level) & (residual < math.inf), Status.PRECISION_LIMIT, status)
    status = status_where(residual <= tolerance, Status.CONVERGED, status)
    status = status_where(complement(usable), Status.NON_FINITE, status)
    return Ending(point, status, iterations, where(usable, residual, math.inf))


def enforce_descent(problems: Problems, ending: Ending, reference: Tensor) -> tuple[Ending, Flag]:
    """(7b): where the objective rose, one PG step from the reference, and the reference itself if rounding
    spoils that.

    Returns:
        The endings, and whether each point had (7b) before.
    """
    broken = ended_by(ending.status, Status.NON_FINITE)
    descent = complement(broken) & _descent(problems, ending, reference)
    if all_of(descent):
        return ending, descent
    step = next(proximal_gradient(problems, reference))
    better = problems.finite(step.point)
    stepped = where(better, step.point, reference)
    if any_of(better):
        better = better & descends(problems, stepped, reference)
    point = where(better, stepped, reference)
    exact = exact_member(problems, reference)
    own = problems.full(math.inf) if exact is None else residual_norm(problems, exact)
    certified = best_residual(problems, step.member, point, rounding_floor(problems, point))
    residual = where(better, certified, own)
    residual = where(residual == residual, residual, math.inf)
    status = status_where(complement(broken), Status.FELL_BACK, ending.status)
    fallen = (point, status, ending.iterations, residual)
    return Ending(*(where(descent, kept, new) for kept, new in zip(ending[:4], fallen, strict=True))), descent


def _descent(problems: Problems, ending: Ending, reference: Tensor) -> Flag:
    """Whether Q is not above that of the reference; by the certificate where that shows it."""
    certain = problems.full(False)
    if ending.member is not None and problems.convex:
        certain = certainly_descends(problems, ending.point, ending.member, reference)
    return certain if all_of(certain) else certain | descends(problems, ending.point, reference)
