"""Two methods on one problem within one budget: where one stalls, the other goes on from the best point so far."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from torch import Tensor

from solvers.subproblem.iterate import Ending
from solvers.subproblem.pace import Pace
from solvers.subproblem.result import Leg, Status


class RunMethod(Protocol):
    """Runs a method from ``start`` (None: from its own), for at most ``budget`` iterations after ``before`` others."""

    def __call__(self, method: str, start: Tensor | None, budget: int, before: int, pace: Pace | None) -> Ending: ...


class Relayed(NamedTuple):
    """The best ending, with the iterations of all legs, and the legs in order."""

    ending: Ending
    legs: tuple[Leg, ...]


def in_turn(methods: Sequence[str], run_method: RunMethod, budget: int) -> Relayed:
    """Run the methods in order, each until it ends, meets a NaN or is too slow for the budget that is left.

    Where none of them ends, the first that met no NaN takes what is left of the budget. A single method is never cut
    short.
    """
    legs: list[Leg] = []
    sound: list[str] = []
    best, spent = None, 0
    for turn in range(len(methods) + 1):
        last = turn == len(methods) or len(methods) == 1
        if turn == len(methods):
            if not sound:
                break
            method = sound[0]
        else:
            method = methods[turn]
        start, left = None if best is None else best.point, budget - spent
        found = run_method(method, start, left, spent, None if last else Pace(left))
        legs.append(Leg(method, found.iterations))
        spent += found.iterations
        best = better(best, found, spent)
        broken = found.status is Status.NON_FINITE
        stalled = found.status is Status.ITERATION_LIMIT and spent < budget
        if last or spent == budget or not (broken or stalled):
            break
        if not broken:
            sound.append(method)
    assert best is not None
    return Relayed(best, tuple(legs))


def better(best: Ending | None, found: Ending, spent: int) -> Ending:
    """What is known after a leg: its status, and the point with the smaller residual of the two. A NaN that a method
    met after another one had found a point is no news of that point.
    """
    point = found if best is None or not best.residual < found.residual else best
    status = found.status
    if status is Status.NON_FINITE and best is not None and best.status is not Status.NON_FINITE:
        status = Status.ITERATION_LIMIT
    return point._replace(status=status, iterations=spent)
