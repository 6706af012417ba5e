"""A stochastic convex problem built backwards from its solution, for every registered regularizer that allows it.

    minimise  E 1/2 <W - T - xi, A*(W - T - xi)> + psi(W),   A > 0 elementwise, E xi = 0

Choose a structured W*, a member v of dpsi(W*) strictly inside where it is a set, and T = W* + v/A: then
-A*(W* - T) = v, so W* is the solution and its support is identified with a known margin. W* is sparse in every sense at
once, in entries, rows, columns and rank, and v comes from the oracle's atoms of psi: so no class has a branch.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np

from ramda_verify.engine.targets import known_regularizers
from ramda_verify.oracles.certificate import shortest
from ramda_verify.oracles.psi import atoms_of, is_known
from solvers.regularizers.base import offers
from solvers.regularizers.members import HasStructure

Array = np.ndarray

#: v uses this share of the room that dpsi leaves at a structured zero, so the margin is 1 - SHARE.
SHARE = 0.5
#: Every weight of psi.
WEIGHT = 0.1
#: The matrix W*, its nonzero blocks, each of rank 1, and the sizes of the entries of their factors.
SHAPE = (6, 8)
BLOCKS = ((slice(0, 2), slice(0, 3)), (slice(2, 4), slice(3, 6)))
SMALLEST, LARGEST = 0.8, 1.5
#: A random direction of this size leaves dpsi(W*) in every direction that it has; singular values below are zero.
OUTSIDE, RANK_TOLERANCE = 100.0, 1e-12


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


def plantable() -> tuple[str, ...]:
    """Names of the registered regularizers with a planted problem: convex, finite everywhere, with a structure, and
    known to the oracles.
    """
    return tuple(name for name, cls in known_regularizers().items() if _allows(cls))


def _allows(cls: type) -> bool:
    wanted = offers(cls, "examples") and offers(cls, "structure") and offers(cls, "convex")
    return wanted and not offers(cls, "violation") and is_known(_plainest(cls))


def _plainest(cls: Any) -> Any:
    """The first example, with WEIGHT for all of its weights."""
    example = cls.examples()[0]
    return replace(example, **{field.name: WEIGHT for field in fields(example) if field.name.endswith("weight")})


def planted(name: str, seed: int) -> Planted:
    """The problem of a regularizer.

    Arguments:
        name: one of ``plantable()``.
        seed: decides W*, v and A.

    Raises:
        KeyError: the name is none of these.
    """
    if name not in plantable():
        raise KeyError(f"name must be one of {', '.join(plantable())}, got {name!r}")
    rng, regularizer = np.random.default_rng(seed), _plainest(known_regularizers()[name])
    solution = _structured(rng)
    member = _inner_subgradient(regularizer, solution, rng)
    curvature = rng.uniform(0.5, 2.0, SHAPE)
    return Planted(name, regularizer, solution, curvature, solution + member / curvature)


def _structured(rng: np.random.Generator) -> Array:
    """Two blocks of rank 1 that share no row and no column, zero elsewhere, rows and columns in random order."""
    solution = np.zeros(SHAPE)
    for block in BLOCKS:
        rows, columns = solution[block].shape
        signed = rng.uniform(SMALLEST, LARGEST, rows + columns) * rng.choice([-1.0, 1.0], rows + columns)
        solution[block] = np.outer(signed[:rows], signed[rows:])
    return solution[rng.permutation(SHAPE[0])][:, rng.permutation(SHAPE[1])]


def _inner_subgradient(regularizer: Any, solution: Array, rng: np.random.Generator) -> Array:
    """A member of dpsi(W*) at SHARE of the way from the middle of two opposite ones to one of them."""
    atoms, direction = atoms_of(regularizer, SHAPE), OUTSIDE * rng.standard_normal(solution.size)
    ends = [shortest(atoms, solution.ravel(), g, RANK_TOLERANCE) - g for g in (-direction, direction)]
    middle, half = (ends[0] + ends[1]) / 2, (ends[0] - ends[1]) / 2
    return (middle + SHARE * half).reshape(SHAPE)
