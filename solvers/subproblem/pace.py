"""Whether a run gets anywhere: residuals that no longer fall, and residuals that fall too slowly for their budget."""

import math

from solvers.subproblem.per_problem import Flag, Number, PerProblem, any_of, larger, log, where
from solvers.subproblem.problems import Problems

#: A tolerance below the rounding level divided by this is out of reach, whatever the method: 1/16 of a rounding.
REACH = 256
#: At the rounding level a residual that has not been halved for so many iterations will not be.
PATIENCE = 12
#: The same for Newton steps: each gains a digit or more, or rounding is in the way.
PATIENCE_OF_NEWTON = 1
#: Iterations after which a pace is measured for the first time, over their second half; then at twice as many, and so
#: on. The splitting has revised its rho up to five times by then.
FIRST_LOOK = 256


class Stagnation(PerProblem):
    """Counts the iterations since a residual was last halved, up to ``patience``."""

    def __init__(self, problems: Problems, patience: int = PATIENCE) -> None:
        self._patience = patience
        self._best, self._since = problems.full(math.inf), problems.full(0)

    def seen(self, residual: Number, counts: Flag) -> Flag:
        """Take in a residual where it ``counts``; True where it has stopped falling."""
        halved = counts & (residual <= self._best / 2)
        self._best = where(halved, residual, self._best)
        self._since = where(halved, 0, self._since + counts)
        return self._since >= self._patience


class Pace(PerProblem):
    """Whether the residual falls fast enough for a budget of iterations.

    It falls in jumps, above all where the splitting revises its rho, so an early look takes stronger evidence: after a
    share f of the budget a run is called hopeless where at its pace the rest of the budget, divided by f, is too short.
    """

    def __init__(self, problems: Problems, budget: Number) -> None:
        self._budget, self._never = budget, problems.full(False)
        self._look = FIRST_LOOK
        self._halfway = problems.full(math.inf)

    def hopeless(self, count: int, smallest: Number, target: Number) -> Flag:
        """Whether ``target`` is out of reach; ``smallest`` is the smallest residual of the first ``count`` iterations.
        False between two looks.
        """
        if count == self._look // 2:
            self._halfway = smallest
        if count < self._look:
            return self._never
        before, elapsed, self._halfway = self._halfway, count - self._look // 2, smallest
        self._look *= 2
        known = smallest > target
        if not any_of(known):
            return known
        before, smallest, target = (where(known, number, 1.0) for number in (before, smallest, target))
        gained, missing = log(before) - log(smallest), log(smallest) - log(larger(target, math.ulp(0.0)))
        return known & (gained / elapsed * (self._budget - count) * self._budget / count < missing)
