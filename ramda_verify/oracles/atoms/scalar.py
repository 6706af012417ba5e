"""``price * sum_i f(z_i)`` for a function f of one number: L1, elastic net, MCP, the number of nonzeros."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ramda_verify.oracles.answer import Array
from ramda_verify.oracles.atoms.atom import Atom, Indices, NoMinimiserError, Shorten
from ramda_verify.oracles.atoms.functions import ScalarFunction
from ramda_verify.oracles.atoms.scalar_minimum import Term, minimisers, objective
from ramda_verify.oracles.lazily import lazily

if TYPE_CHECKING:
    import cvxpy as cp

mpmath = lazily("mpmath")

EPS = float(np.finfo(np.float64).eps)
#: Largest slope, relative to b, that an exact minimiser may leave; how far off its neighbours are, relatively; and what
#: is no difference between two objectives in 70 digits.
RESIDUAL, SIDESTEP, ROUNDING = 1e-40, 1e-10, 1e-60


@dataclass(frozen=True, eq=False)
class Scalar(Atom):
    """``price * sum function(z_i)`` over the entries at ``indices``; price >= 0."""

    price: float
    indices: Indices
    function: ScalarFunction
    separable: ClassVar[bool] = True

    @property
    def convex(self) -> bool:  # type: ignore[override]
        return self.function.convex

    @property
    def homogeneous(self) -> bool:  # type: ignore[override]
        return self.function.homogeneous

    @property
    def term(self) -> Term:
        return self.price, self.function

    def scaled(self, factor: float) -> "Scalar":
        return replace(self, price=factor * self.price)

    def value(self, z: Array) -> float:
        return self.price * math.fsum(self.function.values(z))

    def exact_value(self, z: Array) -> Any:
        return mpmath.mpf(self.price) * mpmath.fsum(self.function.values(z))

    @staticmethod
    def joint_expression(atoms: Sequence["Scalar"], x: "cp.Expression") -> "cp.Expression":
        import cvxpy as cp

        total = cp.Constant(0.0)
        for atom in atoms:
            if atom.function.expression is None:
                raise TypeError(f"{atom.function.name} is not convex: there is no CVXPY model of it")
            total += atom.price * atom.function.expression(x[atom.indices])
        return total

    def residual(self, z: Array, slope: Array, relative: float) -> Array:
        """Between the one-sided derivatives at a convex kink, one of the two at a concave one."""
        if self.price == 0:
            return slope
        left, right = (slope + self.price * side for side in self.function.slopes(z))
        inside = np.where(left > 0, left, np.where(right < 0, right, 0.0))
        return np.where(left <= right, inside, np.where(np.abs(left) < np.abs(right), left, right))

    def multiplier(self, v: Array, z: Array, d: Array) -> Array:
        """``v + d*(z - x)`` for the minimiser x of ``1/2 d x^2 - (v + d*z) x + price*f(x)``, a subgradient there."""
        low, high = (self.price * slope for slope in self.function.steepest)
        return np.clip(v + d * (z - minimisers(v + d * z, d, [self.term])), low, high)

    def conjugate(self, u: Array) -> float:
        low, high = (self.price * slope for slope in self.function.steepest)
        if (u < low - 8 * EPS * abs(low)).any() or (u > high + 8 * EPS * abs(high)).any():
            return math.inf
        x = minimisers(u, np.zeros_like(u), [self.term])
        return -math.fsum(objective(x, u, np.zeros_like(u), [self.term]))

    def minimiser(self, b: Array, d: Array) -> Array:
        return minimisers(b, d, [self.term])

    def exact_minimiser(self, b: Array, d: Array) -> Array:
        return checked_minimisers(b, d, [self.term])

    def thresholds(self, b: Array) -> list[float] | None:
        if not self.function.homogeneous:
            return None
        return [float(size) / self.price for size in np.abs(b)] if self.price > 0 else []

    def shortened(self, w: Array, shorten: Shorten) -> Array:
        def cost(sign: float) -> Any:
            return lambda r: self.price * float(self.function.values(np.array([sign * r]))[0])

        return np.array([math.copysign(shorten(abs(x), cost(math.copysign(1.0, x))), x) for x in w])


def checked_minimisers(b: Array, d: Array, terms: Sequence[Term]) -> Array:
    """As ``minimisers``, of mpmath numbers, checked: zero lies between the one-sided derivatives of the objective, to
    40 digits, and no neighbour is lower.

    Raises NoMinimiserError.
    """
    x = minimisers(b, d, terms)
    left = right = d * x - b
    for price, function in terms:
        if price == 0:
            continue
        below, above = function.slopes(x)
        left, right = left + price * below, right + price * above
    if ((left > RESIDUAL * abs(b)) | (right < -RESIDUAL * abs(b))).any():
        raise NoMinimiserError(f"a point found for b = {b}, d = {d} is not stationary to 40 digits")
    here = objective(x, b, d, terms)
    for move in (SIDESTEP, -SIDESTEP):
        beside = objective(x + move * np.where(x == 0, abs(b) / d, abs(x)), b, d, terms)
        if (beside < here - ROUNDING * (abs(here) + b * b / d)).any():
            raise NoMinimiserError(f"a neighbour of the point found for b = {b}, d = {d} is lower")
    return x
