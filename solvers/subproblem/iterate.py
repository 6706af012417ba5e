"""The loop that all iterative inner solvers share: they say how to move, this says when to stop."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from solvers.subproblem.criterion import exact_member, residual_norm, rounding_floor
from solvers.subproblem.model import Subproblem
from solvers.subproblem.result import Status


class Iterate(NamedTuple):
    """A point and a member of dQ there."""

    point: Tensor
    member: Tensor


#: Called after every iteration with its number (from 1), the point and the residual.
Observer = Callable[[int, Tensor, float], None]


class Ending(NamedTuple):
    """Where a run ended; ``member`` is the member of dQ(point) that its residual measures, where it was kept."""

    point: Tensor
    status: Status
    iterations: int
    residual: float
    member: Tensor | None = None


def best_residual(subproblem: Subproblem, iterate: Iterate) -> float:
    """The smaller of two residuals: the exact minimum-norm subgradient's, where there is one, and the certificate's.

    The exact one is smaller but for rounding: a singular value barely above zero leaves its singular vectors, and with
    them the subdifferential at the rounded point, undetermined, while the certificate of the step stays accurate.
    """
    certificate = residual_norm(subproblem, iterate.member)
    exact = exact_member(subproblem, iterate.point)
    return certificate if exact is None else min(certificate, residual_norm(subproblem, exact))


def run(
    subproblem: Subproblem,
    iterates: Iterator[Iterate],
    start: Tensor,
    *,
    tolerance: float,
    max_iterations: int,
    observe: Observer | None = None,
) -> Ending:
    """Draw iterates until the residual is at most ``tolerance``; say so when that does not happen.

    The start itself is accepted without a single iteration where the exact residual is available and small enough.
    """
    point, residual = start, float("inf")
    exact = exact_member(subproblem, start)
    if exact is not None:
        residual = residual_norm(subproblem, exact)
        if residual <= tolerance:
            return Ending(start, Status.CONVERGED, 0, residual)
    for count in range(1, max_iterations + 1):
        iterate = next(iterates)
        if not bool(torch.isfinite(iterate.point).all()):
            return Ending(point, Status.NON_FINITE, count, residual)
        point, residual = iterate.point, best_residual(subproblem, iterate)
        if observe is not None:
            observe(count, point, residual)
        if residual <= tolerance:
            return Ending(point, Status.CONVERGED, count, residual)
        if residual <= rounding_floor(subproblem, point):
            return Ending(point, Status.PRECISION_LIMIT, count, residual)
    return Ending(point, Status.ITERATION_LIMIT, max_iterations, residual)


def run_by_certificates(
    subproblem: Subproblem,
    iterates: Iterator[Iterate],
    start: Tensor,
    *,
    tolerance: float,
    max_iterations: int,
    observe: Observer | None = None,
) -> Ending:
    """``run`` for a regularizer whose exact subgradient costs more than an iteration: the certificates decide.

    The exact one is asked for once, and only where the certificate of the last point is not small enough. The start is
    not judged: its first iteration does that.
    """
    point, residual = start, float("inf")
    for count in range(1, max_iterations + 1):
        iterate = next(iterates)
        if not bool(torch.isfinite(iterate.point).all()):
            return Ending(point, Status.NON_FINITE, count, residual)
        point, residual = iterate.point, residual_norm(subproblem, iterate.member)
        rounding = residual <= rounding_floor(subproblem, point)
        if residual > tolerance and (rounding or count == max_iterations):
            residual = best_residual(subproblem, iterate)
        if observe is not None:
            observe(count, point, residual)
        if residual <= tolerance:
            return Ending(point, Status.CONVERGED, count, residual, iterate.member)
        if rounding:
            return Ending(point, Status.PRECISION_LIMIT, count, residual)
    return Ending(point, Status.ITERATION_LIMIT, max_iterations, residual)
