"""Whether a run gets anywhere: residuals that no longer fall, and residuals that fall too slowly for their budget."""

import math

#: A tolerance below the rounding level divided by this is out of reach, whatever the method: 1/16 of a rounding.
REACH = 256
#: At the rounding level a residual that has not been halved for so many iterations will not be.
PATIENCE = 12
#: The same for Newton steps: each gains a digit or more, or rounding is in the way.
PATIENCE_OF_NEWTON = 1
#: Iterations after which a pace is measured for the first time, over their second half; then at twice as many, and so
#: on. The splitting has revised its rho up to five times by then.
FIRST_LOOK = 256


class Stagnation:
    """Counts the iterations since a residual was last halved, up to ``patience``."""

    def __init__(self, patience: int = PATIENCE) -> None:
        self._patience = patience
        self._best, self._since = math.inf, 0

    def seen(self, residual: float) -> bool:
        """Take in a residual; True where it has stopped falling."""
        if residual <= self._best / 2:
            self._best, self._since = residual, 0
        else:
            self._since += 1
        return self._since >= self._patience


class Pace:
    """Whether the residual falls fast enough for a budget of iterations.

    It falls in jumps, above all where the splitting revises its rho, so an early look takes stronger evidence: after a
    share f of the budget a run is called hopeless where at its pace the rest of the budget, divided by f, is too short.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._look = FIRST_LOOK
        self._halfway = math.inf

    def hopeless(self, count: int, smallest: float, target: float) -> bool:
        """Whether ``target`` is out of reach; ``smallest`` is the smallest residual of the first ``count`` iterations.
        False between two looks.
        """
        if count == self._look // 2:
            self._halfway = smallest
        if count < self._look:
            return False
        before, elapsed, self._halfway = self._halfway, count - self._look // 2, smallest
        self._look *= 2
        if not math.isfinite(before) or smallest <= target:
            return False
        gained, missing = math.log(before) - math.log(smallest), math.log(smallest) - math.log(target or math.ulp(0.0))
        return gained / elapsed * (self._budget - count) * self._budget / count < missing
