"""The indicator of a simplex: nonnegative entries with a given sum."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ramda_verify.oracles.answer import Array
from ramda_verify.oracles.atoms.atom import Atom, Indices, NoMinimiserError
from ramda_verify.oracles.lazily import lazily

if TYPE_CHECKING:
    import cvxpy as cp

mpmath = lazily("mpmath")


@dataclass(frozen=True, eq=False)
class Simplex(Atom):
    """0 where ``z >= 0`` and ``sum z = radius``, else infinite; radius > 0."""

    indices: Indices
    radius: float
    convex: ClassVar[bool] = True
    homogeneous: ClassVar[bool] = False

    def scaled(self, factor: float) -> "Simplex":
        return self

    def value(self, z: Array) -> float:
        return 0.0

    def exact_value(self, z: Array) -> Any:
        return mpmath.mpf(0)

    def violation(self, z: Array) -> float:
        return math.hypot(*(z - self.feasible(z)))

    def feasible(self, z: Array) -> Array:
        return self.minimiser(z, np.ones_like(z))

    @staticmethod
    def joint_expression(atoms: Sequence["Simplex"], x: "cp.Expression") -> "cp.Expression":
        import cvxpy as cp

        sets = [(x[atom.indices] >= 0, cp.sum(x[atom.indices]) == atom.radius) for atom in atoms]
        return cp.transforms.indicator([constraint for both in sets for constraint in both])

    def residual(self, z: Array, slope: Array, relative: float) -> Array:
        """A normal vector has one entry, mu, where z > 0, and at most mu elsewhere. mu is the mean of -slope over the
        support and those entries beyond it that exceed the mean, the largest first.
        """
        support, v = z > 0, -slope
        chosen, mu = v[support].tolist(), math.fsum(v[support]) / max(int(support.sum()), 1)
        for entry in sorted(v[~support], reverse=True):
            if chosen and entry <= mu:
                break
            chosen.append(entry)
            mu = math.fsum(chosen) / len(chosen)
        return np.where(support, mu - v, np.minimum(mu - v, 0.0))

    def multiplier(self, v: Array, z: Array, d: Array) -> Array:
        """``v + d*(z - x)`` for the projection x of ``z + v/d`` in the metric d: a normal vector at x."""
        return v + d * (z - self.minimiser(v + d * z, d))

    def conjugate(self, u: Array) -> float:
        """The support function, ``radius * max u``."""
        return self.radius * float(u.max())

    def minimiser(self, b: Array, d: Array) -> Array:
        """``z = max(b - mu, 0)/d`` with the one mu of which they sum to the radius: the k entries of largest b are
        nonzero, and every k is tried.
        """
        order = np.argsort(-b)
        numerators, weights = np.cumsum((b / d)[order]), np.cumsum((1 / d)[order])
        mus = (numerators - self.radius) / weights
        # b exceeds mu on the support and nowhere else: the largest mu of all k has this property.
        mu = max(mus)
        return np.maximum(b - mu, b * 0) / d

    def exact_minimiser(self, b: Array, d: Array) -> Array:
        z = self.minimiser(b, d)
        if abs(sum(z) - mpmath.mpf(self.radius)) > mpmath.mpf(10) ** -40 * self.radius:
            raise NoMinimiserError(f"the projection on the simplex sums to {sum(z)}, not {self.radius}")
        return z
