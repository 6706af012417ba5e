"""Random subproblems with a chosen condition number and a known solution, and their objective in plain NumPy."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from solvers import L1, GroupLasso, NuclearNorm, Regularizer
from solvers.subproblem import Status, Subproblem, solve

Array = np.ndarray

REG_WEIGHT = 0.3


@dataclass(frozen=True)
class Family:
    """One convex regularizer: its shape, the threshold that leaves about half of the structure, and psi on a stack of
    points, written apart from the regularizer.
    """

    regularizer: Regularizer
    shape: tuple[int, ...]
    threshold: float
    value: Callable[[Array], Array]


FAMILIES = {
    "L1": Family(L1(REG_WEIGHT), (40,), 0.7, lambda points: np.abs(points).sum(axis=1)),
    "GroupLasso": Family(
        GroupLasso(REG_WEIGHT, "input"),
        (5, 8),
        0.9,
        lambda points: np.sqrt(5) * np.sqrt((points**2).sum(axis=1)).sum(axis=1),
    ),
    "NuclearNorm": Family(
        NuclearNorm(REG_WEIGHT), (5, 8), 2.0, lambda points: np.linalg.svd(points, compute_uv=False).sum(axis=1)
    ),
}


class NoSolutionError(RuntimeError):
    """The truth that a check compares with could not be computed to the accuracy that it needs."""


@dataclass(frozen=True)
class RandomSubproblem:
    """``min 1/2<Z,D*Z> - <B,Z> + lam*psi(Z)`` with max D = L and max D / min D = ``condition``, and its solution."""

    family: str
    condition: float
    subproblem: Subproblem
    start: torch.Tensor
    minimiser: torch.Tensor

    @property
    def L(self) -> float:
        return float(self.subproblem.D.max())

    @property
    def mu(self) -> float:
        return float(self.subproblem.D.min())

    @property
    def distance(self) -> float:
        """||Z_0 - Z*||."""
        return float((self.start - self.minimiser).norm())

    def objective_drop(self, before: Array, after: Array) -> tuple[Array, Array]:
        """``Q(before) - Q(after)`` for stacks of points, and a bound on its rounding error.

        The quadratic part is <b - a, D*(b + a)/2 - B>, which does not cancel where both are close.
        """
        B, D = self.subproblem.B.numpy(), self.subproblem.D.numpy()
        value, scale = FAMILIES[self.family].value, self.subproblem.lam * REG_WEIGHT
        before, after = np.broadcast_arrays(before, after)
        terms = ((before - after) * (0.5 * D * (before + after) - B)).reshape(len(after), -1)
        psi = scale * value(before), scale * value(after)
        # The smallest number keeps it positive where both points are zero.
        size = np.abs(terms).sum(axis=1) + psi[0] + psi[1]
        rounding = 64 * np.finfo(float).eps * size + np.finfo(float).tiny
        return terms.sum(axis=1) + psi[0] - psi[1], rounding


def random_subproblem(family: str, condition: float, seed: int) -> RandomSubproblem:
    """Draw one. L is drawn apart from the condition, so that a step that forgets it shows.

    Raises NoSolutionError where the solution is not certified to 1e-12 ||B||, which bounds its error by that over mu.
    """
    rng = np.random.default_rng([seed, round(condition), list(FAMILIES).index(family)])
    made = FAMILIES[family]
    L = 10 ** rng.uniform(0.3, 1.0)
    D = L * condition ** -rng.uniform(0, 1, made.shape)
    slowest, fastest = rng.choice(D.size, 2, replace=False)
    D.flat[slowest], D.flat[fastest] = L / condition, L
    B = rng.standard_normal(made.shape)
    # Kept away from zero, so that the direction of least curvature decides the speed.
    B.flat[slowest] = 4.0
    subproblem = Subproblem(torch.tensor(B), torch.tensor(D), made.threshold / REG_WEIGHT, made.regularizer)
    start = torch.tensor(rng.standard_normal(made.shape))
    tolerance = 1e-12 * float(subproblem.B.norm())
    solution = solve(subproblem, tolerance=tolerance, max_iterations=100_000)
    if solution.status not in (Status.CONVERGED, Status.PRECISION_LIMIT) or solution.residual > 100 * tolerance:
        raise NoSolutionError(f"{family}, condition {condition:g}, seed {seed}: {solution.status.value}")
    return RandomSubproblem(family, condition, subproblem, start, solution.point)
