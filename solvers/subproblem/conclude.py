"""What ``solve`` and ``solve_batch`` share: a direct method or iterative ones in turn, then the verdict and (7b)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from solvers.regularizers.zero import Zero
from solvers.subproblem.criterion import lower
from solvers.subproblem.ending import Ending
from solvers.subproblem.iterate import Observer, run
from solvers.subproblem.memory import Memory
from solvers.subproblem.methods import ITERATIVE, MANY_ENTRIES, SPLITTING, directly
from solvers.subproblem.newton import ROUNDING
from solvers.subproblem.pace import PATIENCE_OF_NEWTON
from solvers.subproblem.per_problem import Flag, Number, where
from solvers.subproblem.problems import Problems
from solvers.subproblem.relay import Turn, in_turn
from solvers.subproblem.result import Leg
from solvers.subproblem.screening import screen
from solvers.subproblem.splitting import splitting, takes_newton_steps
from solvers.subproblem.verdict import certify, enforce_descent


class Request(NamedTuple):
    """The arguments of ``solve`` and ``solve_batch`` that hold for all problems, and ``tolerance``, one for each."""

    tolerance: Number
    max_iterations: int
    step_rule: str
    warm_starts: Sequence[Tensor] = ()
    observe: Observer | None = None
    report: bool = True
    backend: str = "plain"
    memory: Memory | None = None


def conclude(
    problems: Problems, methods: Sequence[str], divides: bool, reference: Tensor | None, request: Request
) -> tuple[Ending, list[tuple[Leg, ...]], Flag | None]:
    """The endings of problems that begin with the same method, the legs of each if that iterates, and whether (7b) held
    before it was enforced.

    Arguments:
        methods: a direct one, or the iterative ones in turn.
        divides: whether lam is 0, so that the solution is B/D.
    """
    legs: list[tuple[Leg, ...]] = []
    if divides:
        # No regularizer is left, whatever the method: that of psi = 0.
        problems = replace(problems, regularizer=Zero())
        ending = certify(problems, problems.B / problems.D, problems.full(0), request.tolerance)
    elif (found := directly(problems, methods[0], request.backend)) is not None:
        ending = certify(problems, *found, request.tolerance)
    else:
        ending, legs = _iterate(problems, methods, reference, request)
    if reference is None:
        return ending, legs, None
    ending, descent = enforce_descent(problems, ending, reference)
    return ending, legs, descent


def _iterate(
    problems: Problems, methods: Sequence[str], reference: Tensor | None, request: Request
) -> tuple[Ending, list[tuple[Leg, ...]]]:
    """Iterative methods in turn."""
    starts = [*([] if reference is None else [reference]), *request.warm_starts]

    def run_method(method: str, turn: Turn) -> Ending:
        some, start, observe, warm_starts = turn.problems, turn.start, request.observe, request.warm_starts
        options: dict[str, Any] = {
            "tolerance": turn.tolerance,
            "max_iterations": turn.budget,
            "observe": None if observe is None else lambda count, *seen: observe(turn.before + count, *seen),
            "pace": turn.pace,
        }
        thrifty = method == SPLITTING and some.entries >= MANY_ENTRIES
        if start is None:
            start = warm_starts[0] if thrifty and warm_starts else _best_start(some, starts)
        if method == SPLITTING:
            # Unscreened: it gains nothing where psi does not separate, and the spectral norm costs as much as a step.
            steps = splitting(some, start, tolerance=turn.tolerance, memory=request.memory)
            if takes_newton_steps(some):
                options |= {"patience": PATIENCE_OF_NEWTON, "usual": ROUNDING}
            options |= {"exact_always": False, "exact_ending": request.report, "judge_start": not thrifty}
            return run(some, steps, start, **options)
        if some.convex:
            start = screen(some, start)
        return run(some, ITERATIVE[method](some, start, step_rule=request.step_rule), start, **options)

    return in_turn(problems, methods, run_method, request.tolerance, request.max_iterations)


def _best_start(problems: Problems, starts: Sequence[Tensor]) -> Tensor:
    """The start with the lowest Q; zero where there is none."""
    best, *others = starts or [torch.zeros_like(problems.B)]
    for start in others:
        best = where(lower(problems, start, best), start, best)
    return best
