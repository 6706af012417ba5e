"""A batch of subproblems under test: the first is for ``solve``, the others for ``solve_batch``; one alone for both.

So every claim about a solution is asked of both solvers, whichever is at fault. The first problem is the one that
Hypothesis drew entry by entry, and may be slow; it would hold up the batch. Sizes and norms here have one entry per
problem.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ramda_verify.checks.helpers import Array, finite, tensor
from ramda_verify.checks.subproblem.rounding import Rounding
from ramda_verify.engine.record import Measurement
from ramda_verify.engine.worst import Worst, infinite_if_nan
from solvers.regularizers.members import Regularizer
from solvers.subproblem import Status, Subproblem, available_methods, solve, solve_batch
from solvers.subproblem.batch_problem import OfOneProblem, SubproblemBatch
from solvers.subproblem.ending import Iterate
from solvers.subproblem.methods import ITERATIVE

#: Enough for proximal gradient at the condition numbers drawn for it (at most 100) down to 1e-10.
ITERATIONS = 20_000

#: Share of cases of a check that takes some 15 problems a case: twice the problems of a check that takes one.
SHARE = 0.15


@dataclass(frozen=True)
class Answers:
    """What the solvers said, one row per problem."""

    point: Tensor
    residual: Array
    status: tuple[Status, ...]


@dataclass(frozen=True)
class Problems:
    """B, D and lam of a case as tensors; the last is solved by ``solve``, see ``arranged``."""

    B: Tensor
    D: Tensor
    lam: Tensor
    regularizer: Regularizer
    checked: int

    @classmethod
    def of(cls, regularizer: Regularizer, B: Array, D: Array, lam: Array) -> "Problems":
        return cls(arranged(B), arranged(D), arranged(lam), regularizer, len(B))

    @classmethod
    def alone(cls, regularizer: Regularizer, B: Array, D: Array, lam: float) -> "Problems":
        """One problem."""
        return cls(tensor(B[None]), tensor(D[None]), tensor(np.array([lam])), regularizer, 1)

    def __len__(self) -> int:
        return len(self.B)

    @property
    def single(self) -> Subproblem:
        """The last one."""
        return Subproblem(self.B[-1], self.D[-1], float(self.lam[-1]), self.regularizer)

    @property
    def batch(self) -> SubproblemBatch:
        return SubproblemBatch(self.B, self.D, self.lam, self.regularizer)

    @property
    def methods(self) -> tuple[str, ...]:
        return available_methods(self.single)

    @property
    def smallest(self) -> Array:
        """mu of each problem."""
        return self.D.reshape(len(self), -1).amin(dim=1).numpy()

    @property
    def largest(self) -> Array:
        """L of each problem."""
        return self.D.reshape(len(self), -1).amax(dim=1).numpy()

    @cached_property
    def rounding(self) -> Rounding:
        """What rounding does to numbers of these problems."""
        return Rounding(self)

    def solve(
        self,
        method: str,
        tolerance: Array | float,
        reference: Tensor | None = None,
        *,
        max_iterations: int = ITERATIONS,
        factor: float = 1.0,
        to_the_end: bool = True,
    ) -> Answers:
        """Solve all, each to its own tolerance, where Q may have been divided by ``factor``.

        Unless ``to_the_end`` is False, an end that is neither convergence nor rounding raises: theory promises
        convergence long before the limit at the condition numbers drawn here, and a direct solution that is not
        stationary is wrong. So does, in any case, what no finite problem has: an end in numbers that are not finite, a
        point with such an entry, a residual that is NaN.
        """
        goals = torch.as_tensor(np.broadcast_to(tolerance, len(self)).copy(), dtype=torch.float64)
        many = solve_batch(
            self.B[:-1] / factor,
            self.D[:-1] / factor,
            self.lam[:-1] / factor,
            self.regularizer,
            None if reference is None else reference[:-1],
            tolerance=goals[:-1],
            method=method,
            max_iterations=max_iterations,
            scale=factor,
        )
        one = solve(
            self.single if factor == 1.0 else self.single.divided_by(factor),
            None if reference is None else reference[-1],
            tolerance=float(goals[-1]),
            method=method,
            max_iterations=max_iterations,
        )
        answers = Answers(
            torch.cat([many.point, one.point.unsqueeze(0)]),
            np.append(many.residual.numpy(), one.residual),
            (*many.status, one.status),
        )
        finite(f"the points of {method}", answers.point)
        for row, (status, residual) in enumerate(zip(answers.status, answers.residual, strict=True)):
            ended = status in (Status.CONVERGED, Status.PRECISION_LIMIT) or not to_the_end
            if not ended or status is Status.NON_FINITE or np.isnan(residual):
                raise ArithmeticError(f"{self.name(row)}, {method}: {status.value} (residual {residual:.3g})")
        return answers

    def iterates(self, method: str, start: Tensor, count: int, **options: Any) -> Iterator[Iterate]:
        """``count`` points of an iterative method with their certificates. Raises ArithmeticError if it ends early."""
        many = SubproblemBatch(self.B[:-1], self.D[:-1], self.lam[:-1], self.regularizer)
        pairs = zip(
            ITERATIVE[method](many, start[:-1], **options),
            ITERATIVE[method](self.single, start[-1], **options),
            strict=False,
        )
        made = 0
        for all_but_one, one in islice(pairs, count):
            made += 1
            yield Iterate(*(torch.cat([a, b.unsqueeze(0)]) for a, b in zip(all_but_one, one, strict=True)))
        if made < count:
            raise ArithmeticError(f"{method} ended by itself after {made} iterations")

    def each(self, function: OfOneProblem, *tensors: Tensor) -> Tensor:
        """The first result of a function of one problem, for all."""
        return self.batch.each(function, *tensors)[0]

    def psi(self, points: Tensor) -> Array:
        """lam * psi of one point per problem, or, with one more dimension in front, of many."""
        values = psi(self.regularizer, points.reshape(-1, *self.B.shape[1:])).numpy()
        return self.lam.numpy() * values.reshape(points.shape[: points.ndim - self.B.ndim + 1])

    def rows(self, points: Tensor) -> Iterator[tuple[Array, Array, Array, float]]:
        """Z, B, D and lam of each problem, as the oracles take them."""
        arrays = (points.numpy(), self.B.numpy(), self.D.numpy(), self.lam.tolist())
        return zip(*arrays, strict=True)

    def name(self, row: int) -> str:
        return "problem 0, by solve" if row == len(self) - 1 else f"problem {row + 1 if self.checked > 1 else 0}"


def arranged(array: Array) -> Tensor:
    """A tensor of the array with its first entry last; of a single entry, twice."""
    return tensor(np.concatenate([array[1:] if len(array) > 1 else array, array[:1]]))


def psi(regularizer: Regularizer, points: Tensor) -> Tensor:
    """psi of each of the points, without lam."""

    def value(problem: Subproblem, Z: Tensor) -> tuple[Tensor, ...]:
        return (problem.regularizer.value(Z).double(),)

    weights = torch.zeros(len(points), dtype=torch.float64)
    return SubproblemBatch(points, points, weights, regularizer).each(value, points)[0]


def feasible_rows(regularizer: Regularizer, points: Tensor) -> Tensor:
    """The points, or their prox where psi is infinite there. Raises ArithmeticError where psi is NaN."""
    values = psi(regularizer, points)
    outside = values == torch.inf
    if bool(outside.any()):
        rows = [regularizer.prox(point, 1.0) if bad else point for point, bad in zip(points, outside, strict=True)]
        points = finite("prox", torch.stack(rows))
    finite("psi at the start", torch.where(outside, 0.0, values))
    return points


class WorstProblem:
    """The largest violation over the problems of a batch, and of which problem it is."""

    def __init__(self, problems: Problems) -> None:
        self.problems, self.worst = problems, Worst()

    def see(self, violations: Array, words: str, **columns: Array | Tensor) -> None:
        """Take one violation per problem in.

        ``words`` explains the worst of them, with the entries of ``columns`` for its problem put in by ``str.format``.
        """
        violations = infinite_if_nan(violations)
        row = int(np.argmax(violations))
        entries = {name: column[row].tolist() for name, column in columns.items()}
        self.worst.see(violations[row], f"{self.problems.name(row)}: {words.format(**entries)}")

    def measurement(self, excess: float = 0.0) -> Measurement:
        """The worst, less ``excess``. Raises NothingClaimed where nothing was seen."""
        found = self.worst.measurement(self.problems.checked)
        return replace(found, violation=found.violation - excess)
