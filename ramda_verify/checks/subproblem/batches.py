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

from ramda_verify.cases.exact_set import ROUNDING, ExactSet
from ramda_verify.checks.helpers import Array, finite, tensor
from ramda_verify.checks.regularizer.objective import ACCURACY, STEP_ROUNDING, Psi
from ramda_verify.checks.subproblem.rows import column, norms, sizes
from ramda_verify.engine.record import Measurement
from ramda_verify.engine.worst import Worst, infinite_if_nan
from ramda_verify.oracles.psi import is_known
from solvers.regularizers.members import Regularizer
from solvers.subproblem import Status, Subproblem, available_methods, solve, solve_batch
from solvers.subproblem.batch_problem import OfOneProblem, SubproblemBatch
from solvers.subproblem.criterion import rounding_floor
from solvers.subproblem.ending import Iterate
from solvers.subproblem.methods import ITERATIVE

EPS = float(np.finfo(np.float64).eps)
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

    @property
    def unit(self) -> Array:
        """What a residual of each problem is small beside: the largest of B, and of D times the numbers that psi has of
        its own, to which a prox rounds; of ours it rounds to the least of psi only.
        """
        own = self._psi.anchor if is_known(self.regularizer) else self._psi.own_size
        return np.maximum(sizes(self.B), self.largest * own)

    @cached_property
    def _psi(self) -> Psi:
        return Psi(self.regularizer, tuple(self.B.shape[1:]))

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

    def terms(self, points: Tensor) -> Array:
        """lam * psi of the magnitudes of the entries, with and without two signs in three: what psi may be a difference
        of; at least lam * psi at its own size. 0 where that is infinite.
        """
        signs = torch.where(torch.arange(self.B[0].numel()) % 3 == 0, 1.0, -1.0).reshape(self.B.shape[1:])
        found = np.stack([self.psi(points.abs()), self.psi(signs * points.abs())])
        own = np.abs(self.lam.numpy() * self._psi.value_at_own_size)
        return np.maximum(np.where(np.isfinite(found), np.abs(found), 0.0).max(axis=0), own)

    def near(self, points: Tensor, scale: Array) -> Array:
        """The lowest lam * psi within a few roundings of points that were computed from numbers of size ``scale``."""
        unit = torch.as_tensor(32 * EPS * np.maximum(sizes(points), scale)).reshape(-1, *(1,) * (points.ndim - 1))
        cut = [unit * (torch.round(points / unit + shift) - shift) for shift in (0.0, 0.5)]
        return np.asarray(self.psi(torch.stack([points, *cut])).min(axis=0))

    def _blur(self, points: Tensor, *origins: Tensor) -> Array:
        """How far rounding moves lam * psi of points that were computed from numbers of the size of ``origins`` and of
        B/D: by the slope of psi times 32 roundings. 0 where psi is not convex, since across a jump that is no rounding.
        """
        if not self.single.convex:
            return np.zeros(len(self))
        unit = 32 * EPS * np.maximum(sizes(points, *origins), sizes(self.B / self.D))
        return unit * self._slope(points, unit)

    def _slope(self, points: Tensor, unit: Array) -> Array:
        """The largest change of lam * psi over a few moves of all entries by ``unit``, divided by it: about the length
        of a subgradient.
        """
        signs = torch.as_tensor(np.random.default_rng(0).choice((-1.0, 1.0), (4, *points.shape)))
        values = self.psi(torch.cat([points.unsqueeze(0), points + column(unit, points) * signs]))
        moved = np.abs(values[1:] - values[0])
        return np.asarray(np.where(np.isfinite(moved), moved, 0.0).max(axis=0) / unit)

    def prox_error(self, points: Tensor) -> Array:
        """What the inexactness of a user's prox, as much of it as is allowed, may do to a residual at these points: its
        share of the move that made them, which is the slope over D, and the rounding of its step. 0 of ours.
        """
        if is_known(self.regularizer):
            return np.zeros(len(self))
        move = norms(self.D * points - self.B)
        return ACCURACY * move + STEP_ROUNDING * self._slope(points, 1e-3 * sizes(points, self.B / self.D))

    def edge(self, points: Tensor) -> Array:
        """How far rounding may put points on either side of the edge of a set, relative to them and to what they are
        projections of: some slope/D away. 0 where psi is finite.
        """
        if not isinstance(self.regularizer, ExactSet):
            return np.zeros(len(self))
        moves = (self.B - self.D * points) / column(self.largest, points)
        return np.asarray(ROUNDING * sizes(points, moves) * self.B[0].numel() ** 0.5)

    def rounding_of_Q(self, points: Tensor, *origins: Tensor) -> Array:
        """How far rounding moves Q at points that were computed from numbers of the size of ``origins``: the sums that
        psi is; the points, by the slope of psi; or over the edge of a set by the slope of the rest.
        """
        slope = norms(self.B - self.D * points)
        blur = ROUNDING * self.terms(points) + self._blur(points, *origins)
        return np.asarray(blur + 2 * slope * self.edge(points))

    def floors(self, points: Tensor) -> Array:
        """What rounding alone can leave of a residual at these points."""
        return np.asarray(rounding_floor(self.batch, points))

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
