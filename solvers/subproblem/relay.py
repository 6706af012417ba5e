"""Two methods on one problem within one budget: where one stalls, the other goes on from the best point so far."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

from solvers.subproblem.ending import Ending, ended_by, status_where
from solvers.subproblem.pace import Pace
from solvers.subproblem.per_problem import Flag, Number, any_of, complement, put, rows_of, where
from solvers.subproblem.problems import Problems
from solvers.subproblem.result import Leg, Status


class Turn(NamedTuple):
    """The problems whose turn it is to be solved by a method, and of each the tolerance, the point to start from (None:
    the method's own), the iterations that are left and those that were made before.
    """

    problems: Problems
    tolerance: Number
    start: Tensor | None
    budget: Number
    before: Number
    pace: Pace | None


#: Runs a method.
RunMethod = Callable[[str, Turn], Ending]


class Relayed(NamedTuple):
    """The best ending of each problem, with the iterations of all its legs, and its legs in order."""

    ending: Ending
    legs: list[tuple[Leg, ...]]


def in_turn(
    problems: Problems, methods: Sequence[str], run_method: RunMethod, tolerance: Number, budget: int
) -> Relayed:
    """Run the methods in order, each until it ends, meets a NaN or is too slow for the budget that is left.

    Where none of them ends, the first that met no NaN takes what is left of the budget. A single method is never cut
    short.
    """
    relay = _Relay(problems, methods, run_method, tolerance, budget)
    for place in range(len(methods)):
        relay.run(place, relay.going, paced=len(methods) > 1)
    for place in range(len(methods)):
        relay.run(place, relay.going & (relay.sound == place), paced=False)
    assert relay.best is not None
    return Relayed(relay.best, relay.legs)


class _Relay:
    """Of each problem the best ending so far, the iterations spent, the legs, whether it goes on, and the place of the
    first method that met no NaN.
    """

    def __init__(
        self, problems: Problems, methods: Sequence[str], run_method: RunMethod, tolerance: Number, budget: int
    ) -> None:
        self._problems, self._methods, self._run_method = problems, methods, run_method
        self._tolerance, self._budget, self._none = tolerance, budget, len(methods)
        self.best: Ending | None = None
        self._spent, self.going, self.sound = problems.full(0), problems.full(True), problems.full(self._none)
        self.legs: list[tuple[Leg, ...]] = [()] * problems.B.shape[: problems.lead].numel()

    def run(self, place: int, mine: Flag, paced: bool) -> None:
        """Run the method at ``place`` on the problems flagged in ``mine``."""
        if not any_of(mine):
            return
        problems, best = rows_of(self._problems, mine), rows_of(self.best, mine)
        tolerance, before = rows_of(self._tolerance, mine), rows_of(self._spent, mine)
        left = self._budget - before
        pace = Pace(problems, left) if paced else None
        start = None if best is None else best.point
        method = self._methods[place]
        found = self._run_method(method, Turn(problems, tolerance, start, left, before, pace))
        spent = before + found.iterations
        broken = ended_by(found.status, Status.NON_FINITE)
        unfinished = (broken | ended_by(found.status, Status.ITERATION_LIMIT)) & (spent < self._budget)
        sound = rows_of(self.sound, mine)
        sound = where(complement(broken) & (sound == self._none), place, sound)
        self.best = put(self.best, mine, better(best, found, spent))
        self._spent, self.going = put(self._spent, mine, spent), put(self.going, mine, unfinished)
        self.sound = put(self.sound, mine, sound)
        for row, count in zip(_places(mine), _listed(found.iterations), strict=True):
            self.legs[row] = (*self.legs[row], Leg(method, count))


def _listed(numbers: Number) -> list[int]:
    return numbers.tolist() if isinstance(numbers, Tensor) else [numbers]


def _places(flags: Flag) -> list[int]:
    return flags.nonzero().squeeze(1).tolist() if isinstance(flags, Tensor) else [0]


def better(best: Ending | None, found: Ending, spent: Number) -> Ending:
    """What is known after a leg: its status, and the point with the smaller residual of the two. A NaN that a method
    met after another one had found a point is no news of that point.
    """
    if best is None:
        return found._replace(iterations=spent)
    kept = best.residual < found.residual
    broken = ended_by(found.status, Status.NON_FINITE) & complement(ended_by(best.status, Status.NON_FINITE))
    return Ending(
        where(kept, best.point, found.point),
        status_where(broken, Status.ITERATION_LIMIT, found.status),
        spent,
        where(kept, best.residual, found.residual),
        where(kept, best.member, found.member),
    )
