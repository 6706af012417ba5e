"""``price * ||z||_2``: a group of a group LASSO."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ramda_verify.oracles.answer import Array
from ramda_verify.oracles.atoms.atom import Atom, Indices, NoMinimiserError, Shorten
from ramda_verify.oracles.lazily import lazily

if TYPE_CHECKING:
    import cvxpy as cp

mpmath = lazily("mpmath")

EPS = float(np.finfo(np.float64).eps)
#: Bisections of the multiplier: 220 halvings are 66 digits of the bracket.
BISECTIONS = 220
#: Largest relative residual of the optimality condition that an exact minimiser may leave.
RESIDUAL = 1e-40


@dataclass(frozen=True, eq=False)
class Norm(Atom):
    """``price * ||z||_2`` of the entries at ``indices``; price >= 0.

    ``factors``: (weight, n) where the price stands for ``weight * sqrt(n)``, which float64 rounds.
    """

    price: float
    indices: Indices
    factors: tuple[float, int] | None = None
    convex: ClassVar[bool] = True
    homogeneous: ClassVar[bool] = True

    def scaled(self, factor: float) -> "Norm":
        return replace(self, price=factor * self.price, factors=None)

    def value(self, z: Array) -> float:
        # hypot neither overflows nor underflows where a sum of squares would.
        return self.price * math.hypot(*z)

    def exact_value(self, z: Array) -> Any:
        return mpmath.mpf(self.price) * mpmath.norm(list(z))

    @staticmethod
    def joint_expression(atoms: Sequence["Norm"], x: "cp.Expression") -> "cp.Expression":
        """The groups of one size are the rows of a matrix: thousands of single norms would take CVXPY minutes."""
        import cvxpy as cp

        total = cp.Constant(0.0)
        for size in sorted({atom.indices.size for atom in atoms}):
            same = [atom for atom in atoms if atom.indices.size == size]
            rows = cp.reshape(x[np.concatenate([atom.indices for atom in same])], (len(same), size), order="C")
            total += np.array([atom.price for atom in same]) @ cp.norm(rows, 2, axis=1)
        return total

    def residual(self, z: Array, slope: Array, relative: float) -> Array:
        """The gradient at z != 0; at zero what sticks out of the ball of radius price."""
        length, pull = math.hypot(*z), math.hypot(*slope)
        if length > 0:
            return slope + self.price * (z / length)
        return slope * (max(pull - self.price, 0.0) / pull if pull > 0 else 0.0)

    def multiplier(self, v: Array, z: Array, d: Array) -> Array:
        size = math.hypot(*v)
        return v * (min(1.0, self.price / size) if size > 0 else 0.0)

    def conjugate(self, u: Array) -> float:
        return 0.0 if math.hypot(*u) <= self.price * (1 + 8 * EPS) else math.inf

    def minimiser(self, b: Array, d: Array) -> Array:
        """By the dual: ``z = (b - u)/d`` with u the projection of b on the ball in the metric 1/d, its multiplier found
        by bracketing (the library solves a primal equation for ||z||).
        """
        from scipy.optimize import brentq

        t = self.price
        if np.linalg.norm(b) <= t:
            return np.zeros_like(b)
        if t == 0:
            return b / d

        def excess(log_multiplier: float) -> float:
            return float(np.linalg.norm(b / (1 + np.exp(log_multiplier) * d)) / t - 1)

        low, high = -60.0, 60.0
        while excess(high) > 0:
            high += 60
        while excess(low) < 0:
            low -= 60
        multiplier = np.exp(brentq(excess, low, high, xtol=1e-14, rtol=1e-15, maxiter=500))
        # b - u = multiplier*d*b/(1 + multiplier*d), written so that nothing cancels.
        return np.asarray(multiplier * b / (1 + multiplier * d), dtype=np.float64)

    def exact_minimiser(self, b: Array, d: Array) -> Array:
        """By the dual ``min 1/2 <b-u, (b-u)/d>, ||u|| <= price``: u = b/(1 + nu*d) with nu bisected on ||u|| = price.

        Checked by the optimality condition at the point itself.
        """
        t, size = mpmath.mpf(self.price), mpmath.norm(list(b))
        if size <= t:
            return b * 0
        if t == 0:
            return b / d
        low, high = (size / t - 1) / max(d), (size / t - 1) / min(d)
        for _ in range(BISECTIONS):
            nu = (low + high) / 2
            low, high = (nu, high) if mpmath.norm(list(b / (1 + nu * d))) > t else (low, nu)
        z = (b - b / (1 + (low + high) / 2 * d)) / d
        length = mpmath.norm(list(z))
        if length == 0 or mpmath.norm(list(d * z - b + t * z / length)) > RESIDUAL * size:
            raise NoMinimiserError(f"the multiplier of the group at {self.indices[0]} was not found to 40 digits")
        return z

    def thresholds(self, b: Array) -> list[float]:
        return [math.hypot(*b) / self.price] if self.price > 0 else []

    def shortened(self, w: Array, shorten: Shorten) -> Array:
        """Among all z of one length the one along w is nearest to w."""
        length = math.sqrt(math.fsum(w**2))
        return w * (shorten(length, lambda r: self.price * r) / length if length > 0 else 0.0)
