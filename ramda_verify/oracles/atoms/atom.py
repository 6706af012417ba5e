"""What every term of psi offers to the oracles."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from numpy.typing import NDArray

from ramda_verify.oracles.answer import Array

if TYPE_CHECKING:
    import cvxpy as cp

Indices = NDArray[Any]
#: (length, cost) -> the r in [0, length] of least ``cost(r) + 1/2 (r - length)^2``.
Shorten = Callable[[float, Callable[[float], float]], float]


class NoMinimiserError(Exception):
    """The atom has no direct minimiser for these numbers; the message says why."""


class Atom(ABC):
    """A function of the entries of a tensor at ``indices`` (flat, row-major), its price included.

    Every method takes the entries at ``indices`` only, in their order, as vectors of float64; those with "exact" in
    their names take arrays of mpmath numbers (dtype object) and compute at mpmath's current precision. Atoms of one psi
    may share indices: nothing here assumes that they do not.
    """

    indices: Indices
    #: Convex; and f(s*z) = s*f(z) for all s > 0.
    convex: ClassVar[bool]
    homogeneous: ClassVar[bool]
    #: A sum over entries: no entry's solution depends on another's.
    separable: ClassVar[bool] = False
    #: ``minimiser`` has an answer for every diagonal metric, not for a constant one only.
    any_metric: ClassVar[bool] = True

    @abstractmethod
    def scaled(self, factor: float) -> Self:
        """``factor`` times this function, factor >= 0; the product with the price is rounded to float64."""

    @abstractmethod
    def value(self, z: Array) -> float:
        """The function at z; 0 at every point for an indicator, whose other half is ``violation``."""

    @abstractmethod
    def exact_value(self, z: Array) -> Any:
        """As ``value``, an mpmath number."""

    def violation(self, z: Array) -> float:
        """Distance of z to the set where the function is finite."""
        return 0.0

    def feasible(self, z: Array) -> Array:
        """The nearest point at which the function is finite."""
        return z

    @staticmethod
    @abstractmethod
    def joint_expression(atoms: Sequence[Any], x: "cp.Expression") -> "cp.Expression":
        """The sum of several atoms of this class as a convex CVXPY expression of the whole flat tensor ``x``.

        Raises TypeError where there is none.
        """

    @abstractmethod
    def residual(self, z: Array, slope: Array, relative: float) -> Array:
        """The shortest ``slope + s`` with s in the (limiting) subdifferential at z; where that is one point or convex,
        exactly. ``relative``: singular values up to this multiple of the largest count as zero.
        """

    @abstractmethod
    def multiplier(self, v: Array, z: Array, d: Array) -> Array:
        """A u at which ``conjugate`` is finite, near v; v itself where v is a subgradient at z. ``d`` > 0 is the metric
        of the problem. Convex atoms only.
        """

    @abstractmethod
    def conjugate(self, u: Array) -> float:
        """``sup_z <u, z> - f(z)``, inf where it is infinite beyond rounding. Convex atoms only."""

    @abstractmethod
    def minimiser(self, b: Array, d: Array) -> Array:
        """The global ``argmin_z 1/2<z, d*z> - <b, z> + f(z)``, d > 0. Raises NoMinimiserError."""

    @abstractmethod
    def exact_minimiser(self, b: Array, d: Array) -> Array:
        """As ``minimiser``, to at least 40 digits, which it has checked. Raises NoMinimiserError."""

    def thresholds(self, b: Array) -> list[float] | None:
        """The factors of this atom at which, alone, parts of ``minimiser(b, d)`` turn zero; None where not known."""
        return None

    def shortened(self, w: Array, shorten: Shorten) -> Array | None:
        """The prox of this function at w by line searches (``naive_prox``); None where no line leads there."""
        return None
