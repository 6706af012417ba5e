"""Functions of one number, given piece by piece, so that a minimiser can look at every piece."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ramda_verify.oracles.answer import Array

if TYPE_CHECKING:
    import cvxpy as cp

#: A function of an array, of float64 or of mpmath numbers, written with + - * / only (or what both have).
Elementwise = Callable[[Any], Any]


@dataclass(frozen=True)
class Piece:
    """A smooth function on the open interval (low, high), whose second derivative is monotone there.

    ``constant_curvature``: the second derivative is a constant, so that a stationary point has a formula.
    """

    low: float
    high: float
    value: Elementwise
    slope: Elementwise
    curvature: Elementwise
    constant_curvature: bool = True

    def mirrored(self) -> "Piece":
        """The piece of f(-x)."""
        return Piece(
            -self.high,
            -self.low,
            lambda x: self.value(-x),
            lambda x: -self.slope(-x),
            lambda x: self.curvature(-x),
            self.constant_curvature,
        )


def quadratic(low: float, high: float, a: float, b: float, c: float) -> Piece:
    """``a*x^2 + b*x + c`` on (low, high)."""
    return Piece(low, high, lambda x: (a * x + b) * x + c, lambda x: 2 * a * x + b, lambda x: 0 * x + 2 * a)


@dataclass(frozen=True)
class ScalarFunction:
    """A function of one number, its pieces in increasing order and adjoining; continuous except at ``points``.

    Attributes:
        points: where the function jumps, its value there, at most either limit (lower semicontinuous).
        convex, homogeneous: as of an ``Atom``.
        expression: the sum over the entries of a CVXPY vector; None where the function is not convex.
        spectral_expression: the sum over the singular values of a CVXPY matrix.
    """

    name: str
    pieces: tuple[Piece, ...]
    convex: bool
    homogeneous: bool = False
    points: dict[float, float] = field(default_factory=dict)
    expression: Callable[["cp.Expression"], "cp.Expression"] | None = None
    spectral_expression: Callable[["cp.Expression"], "cp.Expression"] | None = None

    @property
    def kinks(self) -> tuple[float, ...]:
        return tuple(piece.low for piece in self.pieces[1:])

    def piece_on(self, low: float, high: float) -> Piece:
        """The piece that holds the interval (low, high)."""
        return next(piece for piece in self.pieces if piece.low <= low and high <= piece.high)

    def values(self, x: Array) -> Array:
        """f, entry by entry; in the arithmetic of the entries."""
        found = x * 0
        for piece in self.pieces:
            here = (piece.low <= x) & (x <= piece.high)
            found[here] = piece.value(x[here])
        for point, value in self.points.items():
            found[x == point] = value
        return found

    def slopes(self, x: Array) -> tuple[Array, Array]:
        """Left and right derivative, entry by entry; infinite on the side of a jump upwards."""
        left, right = x * 0, x * 0
        with np.errstate(divide="ignore"):
            for piece in self.pieces:
                from_below, from_above = (piece.low < x) & (x <= piece.high), (piece.low <= x) & (x < piece.high)
                left[from_below], right[from_above] = piece.slope(x[from_below]), piece.slope(x[from_above])
        for point, value in self.points.items():
            below, above = (p for p in self.pieces if point in (p.low, p.high))
            allowed = value + 1e-12 * abs(value)
            if below.value(point) > allowed:
                left[x == point] = -np.inf
            if above.value(point) > allowed:
                right[x == point] = np.inf
        return left, right

    @property
    def steepest(self) -> tuple[float, float]:
        """The slopes far out on either side, which bound all others where the function is convex."""
        return float(self.pieces[0].slope(-1e100)), float(self.pieces[-1].slope(1e100))


def _cvxpy() -> Any:
    """CVXPY, whose import takes a second and is needed for cone programs alone."""
    import cvxpy

    return cvxpy


def even(name: str, pieces: tuple[Piece, ...], convex: bool, **more: Any) -> ScalarFunction:
    """The function f(|x|) of the pieces of f on (0, inf)."""
    return ScalarFunction(name, (*(piece.mirrored() for piece in reversed(pieces)), *pieces), convex, **more)


ABS = even(
    "abs",
    (quadratic(0.0, np.inf, 0, 1, 0),),
    True,
    homogeneous=True,
    expression=lambda x: _cvxpy().norm1(x),
    spectral_expression=lambda x: _cvxpy().normNuc(x),
)
SQUARE = ScalarFunction(
    "square",
    (quadratic(-np.inf, np.inf, 1, 0, 0),),
    True,
    expression=lambda x: _cvxpy().sum_squares(x),
    spectral_expression=lambda x: _cvxpy().sum_squares(x),
)
#: 0 at zero and 1 elsewhere: the L0 "norm", the rank.
COUNT = even("count", (quadratic(0.0, np.inf, 0, 0, 1),), False, points={0.0: 0.0})


def huber(width: float) -> ScalarFunction:
    """``x^2/2`` up to |x| = width > 0, ``width*|x| - width^2/2`` beyond."""
    line = Piece(width, np.inf, lambda x: (x - width / 2) * width, lambda x: 0 * x + width, lambda x: 0 * x)
    pieces = (quadratic(0.0, width, 0.5, 0, 0), line)
    return even("huber", pieces, True, expression=lambda x: width * width / 2 * _cvxpy().sum(_cvxpy().huber(x / width)))


def mcp(weight: float, gamma: float) -> ScalarFunction:
    """The minimax concave penalty (Zhang, 2010): ``weight*|x| - x^2/(2 gamma)`` up to |x| = gamma*weight, constant
    beyond; weight > 0, gamma > 0.

    No coefficient is rounded before x comes in: 1/gamma in float64 is far off in the 70 digits of an exact x. The end
    of the first piece is rounded, and the constant is what that piece has there, so that the function does not jump.
    """
    end = gamma * weight
    rising = Piece(
        0.0, end, lambda x: x * (weight - x / (2 * gamma)), lambda x: weight - x / gamma, lambda x: (0 * x - 1) / gamma
    )
    top = Piece(end, np.inf, lambda x: rising.value(0 * x + end), lambda x: 0 * x, lambda x: 0 * x)
    return even("mcp", (rising, top), False)


def capped(width: float) -> ScalarFunction:
    """``min(|x|, width)``, width > 0: the capped L1 penalty."""
    return even("capped", (quadratic(0.0, width, 0, 1, 0), quadratic(width, np.inf, 0, 0, width)), False)
