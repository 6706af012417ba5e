"""``price * sum_i f(sigma_i)`` of the singular values of a matrix: the nuclear norm, the rank."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ramda_verify.oracles.answer import Array
from ramda_verify.oracles.atoms.atom import Atom, Indices, NoMinimiserError, Shorten
from ramda_verify.oracles.atoms.functions import ScalarFunction
from ramda_verify.oracles.atoms.scalar import Scalar, checked_minimisers
from ramda_verify.oracles.atoms.scalar_minimum import minimisers
from ramda_verify.oracles.lazily import lazily

if TYPE_CHECKING:
    import cvxpy as cp

mpmath = lazily("mpmath")

#: Iterations of the slow solver. It stands still where a step moves it by STILL of its size, and at the rounding level
#: where WAIT steps moved it by no more than CALM of that.
ITERATIONS, STILL, CALM, WAIT = 20_000, 4e-16, 1e-14, 100
RESIDUAL = 1e-40


@dataclass(frozen=True, eq=False)
class Spectral(Atom):
    """``price * sum function(sigma_i)`` of the entries at ``indices`` as a matrix of ``shape``, row by row.

    The function is even, and on [0, inf) has no kink but at zero.
    """

    price: float
    indices: Indices
    shape: tuple[int, int]
    function: ScalarFunction
    any_metric: ClassVar[bool] = False

    @property
    def convex(self) -> bool:  # type: ignore[override]
        return self.function.convex

    @property
    def homogeneous(self) -> bool:  # type: ignore[override]
        return self.function.homogeneous

    def scaled(self, factor: float) -> "Spectral":
        return replace(self, price=factor * self.price)

    def _sigma(self, z: Array) -> Array:
        return np.asarray(np.linalg.svd(z.reshape(self.shape), compute_uv=False), dtype=np.float64)

    def _values(self) -> Scalar:
        """The same function of the vector of singular values."""
        return Scalar(self.price, np.arange(min(self.shape)), self.function)

    def value(self, z: Array) -> float:
        return self._values().value(self._sigma(z))

    def exact_value(self, z: Array) -> Any:
        sigma = mpmath.svd_r(mpmath.matrix(z.reshape(self.shape).tolist()), compute_uv=False)
        return self._values().exact_value(np.array(list(sigma), dtype=object))

    @staticmethod
    def joint_expression(atoms: Sequence["Spectral"], x: "cp.Expression") -> "cp.Expression":
        import cvxpy as cp

        total = cp.Constant(0.0)
        for atom in atoms:
            if atom.function.spectral_expression is None:
                raise TypeError(f"there is no CVXPY model of {atom.function.name} of singular values")
            matrix = cp.reshape(x[atom.indices], atom.shape, order="C")
            total += atom.price * atom.function.spectral_expression(matrix)
        return total

    def residual(self, z: Array, slope: Array, relative: float) -> Array:
        """In the singular bases of z the subdifferential is ``[[price*f'(sigma), 0], [0, N]]`` with ``||N||`` up to
        price*f'(0+): the slope is compared with it block by block. Raises LinAlgError.
        """
        left, sigma, right = np.linalg.svd(z.reshape(self.shape), full_matrices=True)
        rank = int((sigma > relative * sigma.max()).sum())
        turned = left.T @ slope.reshape(self.shape) @ right.T
        turned[:rank, :rank] += self.price * np.diag(self.function.slopes(sigma[:rank])[1])
        beyond, outside, before = np.linalg.svd(turned[rank:, rank:], full_matrices=False)
        radius = self.price * float(self.function.slopes(np.zeros(1))[1][0]) if self.price > 0 else 0.0
        turned[rank:, rank:] = (beyond * np.maximum(outside - radius, 0.0)) @ before
        return np.asarray((left @ turned @ right).ravel(), dtype=np.float64)

    def multiplier(self, v: Array, z: Array, d: Array) -> Array:
        """The singular values of ``v + t*z``, t = max d, moved as ``Scalar.multiplier`` moves entries: a subgradient at
        the prox of ``z + v/t``.
        """
        top = float(d.max())
        left, sigma, right = np.linalg.svd((v + top * z).reshape(self.shape), full_matrices=False)
        zero, metric = np.zeros_like(sigma), np.full_like(sigma, top)
        moved = self._values().multiplier(sigma, zero, metric)
        return np.asarray(((left * moved) @ right).ravel(), dtype=np.float64)

    def conjugate(self, u: Array) -> float:
        """The conjugate of f at the singular values (Lewis, 1995); those rounded above a bound count as on it."""
        sigma = self._sigma(u)
        bound = self.price * self.function.steepest[1]
        if (sigma > bound * (1 + 1e-13)).any():
            return math.inf
        return self._values().conjugate(np.minimum(sigma, bound))

    def minimiser(self, b: Array, d: Array) -> Array:
        """From the SVD where the metric is constant; else, for convex functions, by proximal gradient with Nesterov's
        momentum for strongly convex problems, until it stands still.
        """
        matrix, metric = b.reshape(self.shape), d.reshape(self.shape)
        top, term = float(metric.max()), self._values().term

        def step(from_here: Array) -> Array:
            left, sigma, right = np.linalg.svd(matrix - (metric - top) * from_here, full_matrices=False)
            return np.asarray((left * minimisers(sigma, np.full_like(sigma, top), [term])) @ right, dtype=np.float64)

        point = ahead = np.zeros_like(matrix)
        if metric.min() == top:
            return step(point).ravel()
        if not self.convex:
            raise NoMinimiserError("a nonconvex function of singular values has no direct solution in this metric")
        root, calm = math.sqrt(float(metric.min()) / top), 0
        for _ in range(ITERATIONS):
            last, point = point, step(ahead)
            moved, size = float(np.abs(point - ahead).max()), float(np.abs(point).max())
            calm += moved <= CALM * size
            if moved <= STILL * size or calm > WAIT:
                return point.ravel()
            ahead = point + (1 - root) / (1 + root) * (point - last)
        raise NoMinimiserError(f"proximal gradient moved after {ITERATIONS} iterations")

    def exact_minimiser(self, b: Array, d: Array) -> Array:
        """From the SVD; there is no closed form unless the metric is constant. Checked by the factorisation error."""
        if min(d) != max(d):
            raise NoMinimiserError("a function of singular values has no closed form in a metric that is not constant")
        matrix = mpmath.matrix(b.reshape(self.shape).tolist())
        try:
            left, sigma, right = mpmath.svd_r(matrix, full_matrices=False)
        except (RuntimeError, ZeroDivisionError) as error:
            raise NoMinimiserError(f"the SVD failed: {error}") from error
        size, left_over = mpmath.norm(matrix, 2), mpmath.norm(left * mpmath.diag(list(sigma)) * right - matrix, 2)
        if left_over > RESIDUAL * size:
            raise NoMinimiserError(f"the SVD leaves an error of {mpmath.nstr(left_over, 3)}")
        values = np.array(list(sigma), dtype=object)
        kept = checked_minimisers(values, values * 0 + d[0], [self._values().term])
        return np.array(list(left * mpmath.diag(list(kept)) * right), dtype=object)

    def thresholds(self, b: Array) -> list[float] | None:
        return self._values().thresholds(self._sigma(b))

    def shortened(self, w: Array, shorten: Shorten) -> Array:
        """``W V diag(r_i/s_i) V'`` with ``W'W = V diag(s^2) V'`` and r_i the shortened s_i. Raises LinAlgError."""
        matrix = w.reshape(self.shape)
        wide = matrix.shape[1] > matrix.shape[0]
        tall = matrix.T if wide else matrix
        squares, basis = np.linalg.eigh(tall.T @ tall)
        lengths = np.sqrt(np.maximum(squares, 0.0))
        found = self._values().shortened(lengths, shorten)
        kept = np.divide(found, lengths, out=np.zeros_like(lengths), where=lengths > 0)
        shrunken = tall @ (basis * kept) @ basis.T
        return np.asarray((shrunken.T if wide else shrunken).ravel(), dtype=np.float64)
