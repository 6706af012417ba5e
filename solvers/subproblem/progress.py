"""What the loop of the iterative solvers knows of the problems that still run, and by which status each ends."""

import math

from solvers.subproblem.criterion import RoundingFloor, best_residual, residual_norm
from solvers.subproblem.ending import RUNNING, Ending, Iterate, status_where
from solvers.subproblem.pace import REACH, Pace, Stagnation
from solvers.subproblem.per_problem import Flag, Number, PerProblem, any_of, complement, larger, where
from solvers.subproblem.problems import Problems
from solvers.subproblem.result import Status


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
            residual = best_residual(problems, iterate.member, point, level)
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
