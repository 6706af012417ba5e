"""The loop that all iterative inner solvers share, for one problem or for many in lock-step.

A method is an iterator over points with certificates. The loop decides, problem by problem, when to stop it. A problem
of a batch that has ended leaves the computation.
"""

import math
from collections.abc import Callable, Iterator

from torch import Tensor

from solvers.subproblem.criterion import RoundingFloor, exact_member, residual_norm, rounding_floor
from solvers.subproblem.ending import RUNNING, Ending, Iterate, ended_by, status_where, unended
from solvers.subproblem.pace import PATIENCE, REACH, Pace, Stagnation
from solvers.subproblem.per_problem import (
    Flag,
    Number,
    PerProblem,
    all_of,
    any_of,
    complement,
    larger,
    put,
    rows_of,
    where,
)
from solvers.subproblem.problems import Problems
from solvers.subproblem.result import Status

#: Called after every iteration with its number (from 1), the point and the residual.
Observer = Callable[[int, Tensor, float], None]


def best_residual(problems: Problems, iterate: Iterate, level: Number) -> Number:
    """The residual of the exact minimum-norm subgradient, where there is one, else that of the certificate; and the
    certificate's where the exact one is larger by more than the rounding ``level``.

    The exact one is the smaller one but for rounding: a singular value barely above zero leaves its singular vectors,
    and with them the subdifferential at the rounded point, undetermined, while the certificate of the step stays
    accurate. A certificate in turn does not see that the point was rounded, and may be zero where that is not.
    """
    return _best(problems, residual_norm(problems, iterate.member), iterate.point, level)


def _best(problems: Problems, certificate: Number, point: Tensor, level: Number) -> Number:
    """``best_residual``, given the residual of the certificate."""
    exact = exact_member(problems, point)
    if exact is None:
        return certificate
    minimal = residual_norm(problems, exact)
    return where((certificate + level < minimal) | (minimal != minimal), certificate, minimal)


class Progress(PerProblem):
    """What the loop knows of the problems that still run.

    Arguments:
        best: for each the point to begin with, of its residual.
        tolerance, budget: of each.
        exact_always, pace, patience, usual: as in ``run``.
    """

    def __init__(
        self,
        problems: Problems,
        best: Ending,
        tolerance: Number,
        budget: Number,
        *,
        exact_always: bool,
        pace: Pace | None,
        patience: int,
        usual: float,
    ) -> None:
        self.problems, self.best, self.residual = problems, best, best.residual
        self.floor = RoundingFloor(problems)
        self._tolerance, self._budget, self._usual, self._exact_always = tolerance, budget, usual, exact_always
        self._pace, self._stagnation = pace, Stagnation(problems, patience)

    def see(self, count: int, iterate: Iterate) -> Flag:
        """Take in the iterate of a number ``count``; the status that each problem ends by here, RUNNING where it does
        not.
        """
        problems, best, tolerance = self.problems, self.best, self._tolerance
        usable = problems.finite(iterate.point)
        # A regularizer is promised finite points.
        point = where(usable, iterate.point, best.point)
        level = self.floor(point)
        if self._exact_always:
            residual = best_residual(problems, Iterate(point, iterate.member), level)
        else:
            residual = residual_norm(problems, iterate.member)
        usable = usable & (residual == residual)
        better = usable & ((residual < best.residual) | (best.residual == math.inf))
        self.best = best = Ending(
            where(better, point, best.point),
            best.status,
            best.iterations,
            where(better, residual, best.residual),
            where(better, iterate.member, best.member),
        )
        self.residual = residual
        under = (residual <= level) & (level < math.inf)
        out_of_reach = (tolerance <= level / REACH) | (larger(residual, tolerance) <= level / self._usual)
        at_rest = under & (self._stagnation.seen(residual, under) | out_of_reach)
        if any_of(at_rest):
            # An iterate far out is rounded coarsely: its level is not that of a best point near zero.
            at_rest = at_rest & (best.residual <= self.floor(best.point))
        spent = count >= self._budget
        if self._pace is not None:
            spent = spent | self._pace.hopeless(count, best.residual, larger(level / REACH, tolerance))
        status = status_where(spent, Status.ITERATION_LIMIT, problems.full(RUNNING))
        status = status_where(at_rest, Status.PRECISION_LIMIT, status)
        status = status_where(residual <= tolerance, Status.CONVERGED, status)
        return status_where(complement(usable), Status.NON_FINITE, status)


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
        residual = where(residual == residual, residual, math.inf)
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
            residual = where(unmet, _best(problems, ends.residual, ends.point, level), ends.residual)
            ends = ends._replace(
                residual=residual, status=status_where(unmet & (residual <= tolerance), Status.CONVERGED, ends.status)
            )
    return ends
