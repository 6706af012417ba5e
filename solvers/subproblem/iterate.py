"""The loop that all iterative inner solvers share, for one problem or for many in lock-step.

A method is an iterator over points with certificates. The loop decides, problem by problem, when to stop it. A problem
of a batch that has ended leaves the computation.
"""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from solvers.subproblem.criterion import exact_member, residual_norm, rounding_floor, smaller_residual
from solvers.subproblem.ending import RUNNING, Ending, Iterate, ended_by, status_where, unended
from solvers.subproblem.model import Subproblem
from solvers.subproblem.pace import PATIENCE, REACH, Pace
from solvers.subproblem.per_problem import (
    Flag,
    Number,
    PerProblem,
    all_of,
    any_of,
    complement,
    put,
    rows_of,
    where,
)
from solvers.subproblem.problems import Problems
from solvers.subproblem.progress import Progress
from solvers.subproblem.result import Status

#: Called after every iteration with its number (from 1), the point and the residual.
Observer = Callable[[int, Tensor, float], None]


def _psi_is_finite(subproblem: Subproblem, Z: Tensor) -> Tensor:
    return torch.isfinite(subproblem.regularizer.value(Z))


def run(
    problems: Problems,
    iterates: Iterator[Iterate],
    start: Tensor,
    *,
    tolerance: Number,
    max_iterations: Number,
    observe: Observer | None = None,
    exact_always: bool = True,
    judge_start: bool = True,
    pace: Pace | None = None,
    patience: int = PATIENCE,
    usual: float = REACH,
    exact_ending: bool = True,
) -> Ending:
    """Draw iterates until the residual is at most ``tolerance``, and report when that does not happen.

    Arguments:
        iterates: the method, begun at ``start``; for a batch a ``PerProblem``, whose ``keep`` takes problems out.
        tolerance, max_iterations: of each problem.
        observe: of a single problem.
        exact_always: every iterate is judged by the exact minimum-norm subgradient as well, where the regularizer
            offers it. Without, for a regularizer whose exact subgradient costs more than an iteration, it is computed
            once, where the certificates have not been small enough in the end.
        judge_start: the start is accepted without an iteration where its exact residual is available and small enough.
            Where psi is infinite dpsi is empty and the residual infinite, whatever the regularizer makes of it: unlike
            an iterate, a start may lie outside the set of a constraint.
        pace: ends the run where the residual falls too slowly for the tolerance to be met within ``max_iterations``;
            the status is ITERATION_LIMIT then, and fewer iterations were made.
        patience: iterations at the level of rounding without a residual half as large.
        usual: by how much what rounding leaves is usually below its level, which is a bound. Where the tolerance is
            lower than that, such a residual will do.
        exact_ending: whether the exact residual is computed in the end at all, without ``exact_always``.

    Returns:
        The ending of each problem. The point is the one with the smallest residual. PRECISION_LIMIT takes two things:
        an iterate and the point returned, each with a residual at its own level of rounding, and either a tolerance out
        of reach below that of the iterate or a residual that no longer falls.
    """
    member, residual = exact_member(problems, start) if judge_start else None, problems.full(math.inf)
    if member is not None:
        residual = residual_norm(problems, member)
        usable = (residual == residual) & problems.read(problems.each(_psi_is_finite, start))
        residual = where(usable, residual, math.inf)
    good = residual <= tolerance
    ends = unended(problems, start, residual)
    ends = ends._replace(status=status_where(good, Status.CONVERGED, ends.status))
    running = complement(good)
    if not any_of(running):
        return ends
    progress = Progress(
        problems,
        ends,
        tolerance,
        max_iterations,
        exact_always=exact_always,
        pace=pace,
        patience=patience,
        usual=usual,
    )

    def leave(over: Flag) -> None:
        progress.keep(complement(over))
        if isinstance(iterates, PerProblem):
            iterates.keep(complement(over))

    if not all_of(running):
        leave(good)
    count = 0
    while any_of(running):
        count += 1
        iterate = next(iterates)
        status = progress.see(count, iterate)
        if observe is not None and not ended_by(status, Status.NON_FINITE):
            observe(count, iterate.point, progress.residual)
        over = status != RUNNING
        if not any_of(over):
            continue
        best = progress.best._replace(status=status, iterations=progress.problems.full(count))
        done = put(problems.full(False), running, over)
        ends = put(ends, done, rows_of(best, over))
        running = running & complement(done)
        if any_of(running):
            leave(over)
    if exact_ending and not exact_always:
        unmet = (ends.residual > tolerance) & complement(ended_by(ends.status, Status.NON_FINITE))
        if any_of(unmet):
            level = rounding_floor(problems, ends.point)
            residual = where(unmet, smaller_residual(problems, ends.residual, ends.point, level), ends.residual)
            ends = ends._replace(
                residual=residual, status=status_where(unmet & (residual <= tolerance), Status.CONVERGED, ends.status)
            )
    return ends
