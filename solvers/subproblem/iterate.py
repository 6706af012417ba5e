"""The loop that all iterative inner solvers share: they say how to move, this says when to stop."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

from torch import Tensor

from solvers.subproblem.criterion import RoundingFloor, exact_member, residual_norm
from solvers.subproblem.model import Subproblem
from solvers.subproblem.pace import PATIENCE, REACH, Pace, Stagnation
from solvers.subproblem.result import Status
from solvers.subproblem.scale_free import is_finite


class Iterate(NamedTuple):
    """A point and a member of dQ there."""

    point: Tensor
    member: Tensor


#: Called after every iteration with its number (from 1), the point and the residual.
Observer = Callable[[int, Tensor, float], None]


class Ending(NamedTuple):
    """Where a run ended; ``member`` is a member of dQ(point), where one was kept."""

    point: Tensor
    status: Status
    iterations: int
    residual: float
    member: Tensor | None = None


def best_residual(subproblem: Subproblem, iterate: Iterate, level: float) -> float:
    """The residual of the exact minimum-norm subgradient, where there is one, else that of the certificate; and the
    certificate's where the exact one is larger by more than the rounding ``level``.

    The exact one is the smaller one but for rounding: a singular value barely above zero leaves its singular vectors,
    and with them the subdifferential at the rounded point, undetermined, while the certificate of the step stays
    accurate. A certificate in turn does not see that the point was rounded, and may be zero where that is not.
    """
    certificate = residual_norm(subproblem, iterate.member)
    exact = exact_member(subproblem, iterate.point)
    if exact is None:
        return certificate
    minimal = residual_norm(subproblem, exact)
    return certificate if certificate + level < minimal or math.isnan(minimal) else minimal


def run(
    subproblem: Subproblem,
    iterates: Iterator[Iterate],
    start: Tensor,
    *,
    tolerance: float,
    max_iterations: int,
    observe: Observer | None = None,
    exact_always: bool = True,
    judge_start: bool = True,
    pace: Pace | None = None,
    patience: int = PATIENCE,
    usual: float = REACH,
    exact_ending: bool = True,
) -> Ending:
    """Draw iterates until the residual is at most ``tolerance``; say so when that does not happen.

    Arguments:
        exact_always: every iterate is judged by the exact minimum-norm subgradient as well, where the regularizer
            offers it. Without, for a regularizer whose exact subgradient costs more than an iteration, it is computed
            once, where the certificates have not been small enough in the end.
        judge_start: the start is accepted without an iteration where its exact residual is available and small enough.
        pace: ends the run where the residual falls too slowly for the tolerance to be met within ``max_iterations``;
            the status is ITERATION_LIMIT then, and fewer iterations were made.
        patience: iterations at the level of rounding without a residual half as large.
        usual: by how much what rounding leaves is usually below its level, which is a bound. Where the tolerance is
            lower than that, such a residual will do.
        exact_ending: whether the exact residual is computed in the end at all, without ``exact_always``.

    The point returned is the one with the smallest residual. PRECISION_LIMIT takes two things: an iterate and the point
    returned, each with a residual at its own level of rounding, and either a tolerance out of reach below that of the
    iterate or a residual that no longer falls.
    """
    floor, stagnation = RoundingFloor(subproblem), Stagnation(patience)
    best = Ending(start, Status.ITERATION_LIMIT, max_iterations, math.inf)
    member = exact_member(subproblem, start) if judge_start else None
    if member is not None:
        residual = residual_norm(subproblem, member)
        best = best._replace(residual=math.inf if math.isnan(residual) else residual)
        if best.residual <= tolerance:
            return best._replace(status=Status.CONVERGED, iterations=0)
    for count in range(1, max_iterations + 1):
        iterate = next(iterates)
        residual = level = math.nan
        if is_finite(iterate.point):
            level = floor(iterate.point)
            if exact_always:
                residual = best_residual(subproblem, iterate, level)
            else:
                residual = residual_norm(subproblem, iterate.member)
        if math.isnan(residual):
            return best._replace(status=Status.NON_FINITE, iterations=count)
        if observe is not None:
            observe(count, iterate.point, residual)
        if residual < best.residual or math.isinf(best.residual):
            best = Ending(iterate.point, Status.ITERATION_LIMIT, max_iterations, residual, iterate.member)
        if residual <= tolerance:
            return best._replace(status=Status.CONVERGED, iterations=count)
        out_of_reach = tolerance <= level / REACH or max(residual, tolerance) <= level / usual
        at_rest = residual <= level < math.inf and (stagnation.seen(residual) or out_of_reach)
        # An iterate far out is rounded coarsely and says nothing of a best point near zero, which is rounded finely.
        if at_rest and best.residual <= floor(best.point):
            best = best._replace(status=Status.PRECISION_LIMIT, iterations=count)
            break
        if pace is not None and pace.hopeless(count, best.residual, max(tolerance, level / REACH)):
            best = best._replace(iterations=count)
            break
    if exact_ending and not exact_always and best.member is not None:
        residual = best_residual(subproblem, Iterate(best.point, best.member), floor(best.point))
        best = best._replace(residual=residual)
    return best._replace(status=Status.CONVERGED) if best.residual <= tolerance else best
