"""A stochastic convex problem built backwards from its solution, one for each regularizer.

    minimise  E 1/2 <W - T - xi, A*(W - T - xi)> + psi(W),   A > 0 elementwise, E xi = 0

Choose a structured W*, a member v of dpsi(W*) strictly inside where it is a set, and T = W* + v/A: then
-A*(W* - T) = v, so W* is the solution and its support is identified with a known margin.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from solvers import L1, GroupLasso, NuclearNorm
from solvers.regularizers.members import HasStructure

Array = np.ndarray

#: v uses this share of the room that dpsi leaves at a structured zero, so the margin is 1 - SHARE.
SHARE = 0.5


@dataclass(frozen=True)
class Planted:
    """The problem: its regularizer, solution, curvature A and target T."""

    name: str
    regularizer: HasStructure
    solution: Array
    curvature: Array
    target: Array

    def gradients(self, seed: int, noise: float = 0.1) -> Iterator[Callable[[Array], Array]]:
        """Unbiased stochastic gradients ``A*(W - T - xi)``, one a step."""
        rng = np.random.default_rng(seed)
        while True:
            xi = noise * rng.standard_normal(self.target.shape)
            yield partial(self._gradient, xi)

    def _gradient(self, xi: Array, W: Array) -> Array:
        return self.curvature * (W - self.target - xi)


def planted(name: str, seed: int) -> Planted:
    """The problem of regularizer ``name``: "l1", "group_lasso" or "nuclear_norm". Raises KeyError on another."""
    rng = np.random.default_rng(seed)
    return _BUILDERS[name](rng)


def _planted_l1(rng: np.random.Generator) -> Planted:
    weight = 0.1
    solution = rng.standard_normal(30)
    solution[rng.permutation(30)[:18]] = 0.0
    solution = np.where(solution != 0, solution + 0.5 * np.sign(solution), 0.0)
    member = np.where(solution != 0, weight * np.sign(solution), weight * SHARE * rng.uniform(-1, 1, 30))
    return _finish("l1", L1(weight), solution, member, rng)


def _planted_group_lasso(rng: np.random.Generator) -> Planted:
    weight, rows, columns = 0.1, 5, 20
    price = weight * np.sqrt(rows)
    solution = rng.standard_normal((rows, columns))
    solution[:, rng.permutation(columns)[:12]] = 0.0
    norms = np.linalg.norm(solution, axis=0)
    inside = rng.standard_normal((rows, columns))
    inside *= SHARE * price * rng.uniform(0, 1, columns) / np.linalg.norm(inside, axis=0)
    member = np.where(norms > 0, price * solution / np.where(norms > 0, norms, 1.0), inside)
    return _finish("group_lasso", GroupLasso(weight, "input"), solution, member, rng)


def _planted_nuclear_norm(rng: np.random.Generator) -> Planted:
    weight, rows, columns, rank = 0.2, 6, 8, 2
    left, _ = np.linalg.qr(rng.standard_normal((rows, rows)))
    right, _ = np.linalg.qr(rng.standard_normal((columns, columns)))
    sigma = rng.uniform(1.0, 2.0, rank)
    solution = (left[:, :rank] * sigma) @ right[:, :rank].T
    inside = np.diag(SHARE * rng.uniform(0, 1, rows - rank))
    member = weight * (left[:, :rank] @ right[:, :rank].T + left[:, rank:] @ inside @ right[:, rank:rows].T)
    return _finish("nuclear_norm", NuclearNorm(weight), solution, member, rng)


def _finish(name: str, regularizer: HasStructure, solution: Array, member: Array, rng: np.random.Generator) -> Planted:
    curvature = rng.uniform(0.5, 2.0, solution.shape)
    return Planted(name, regularizer, solution, curvature, solution + member / curvature)


_BUILDERS = {"l1": _planted_l1, "group_lasso": _planted_group_lasso, "nuclear_norm": _planted_nuclear_norm}
