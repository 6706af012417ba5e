"""What the enclosure asks of every term of ``lam*psi``."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ramda_verify.oracles.atoms import Atom
from ramda_verify.oracles.enclosure.balls import Ball, zero

Balls = Sequence[Ball]


class Member(NamedTuple):
    """A vector u with ``f(x) >= f(y) + <u, x - y> - slack`` for all x.

    ``nearest``: u encloses the subgradient that is nearest to what was asked for.
    """

    u: list[Ball]
    slack: Ball
    nearest: bool


class Bend(NamedTuple):
    """The second derivative of a part at a point: a diagonal, None at entries that a kink holds, plus
    ``column column' / give``; a give of zero lets no step go along the column.
    """

    diagonal: Sequence[Ball | None]
    column: Balls | None = None
    give: Ball | None = None


class Part(ABC):
    """A convex atom f with the exact factor lam, at the entries ``indices`` of a flat point.

    All vectors are of these entries, in their order. A point is given by balls; an entry that is zero is the exact
    ball zero.
    """

    def __init__(self, atom: Atom, lam: Ball) -> None:
        self.indices: list[int] = atom.indices.tolist()
        self.lam = lam

    def choices(self, z: Balls, eps: float) -> Iterable["Part"]:
        """This part, or several ways of it to come to a point. The best of them bounds the distance; the residual is
        that of the first, whose point differs from z by roundings of size ``eps`` only.
        """
        return (self,)

    def nearby(self, z: Balls) -> Balls | None:
        """A point near z at which ``member`` knows the subdifferential; None where z is such a point."""
        return None

    def refined(self, y: Balls, slope: Balls, d: Balls) -> "Part | None":
        """This part with a point of its own that is nearer to the minimiser, where it knows one: the next ``nearby``
        leads there. ``slope`` is D*Y - B.
        """
        return None

    @abstractmethod
    def member(self, y: Balls, v: Balls) -> Member:
        """A subgradient at y near v."""

    def least(self, y: Balls, direction: Balls) -> Ball | None:
        """A lower bound on <u, direction> over all subgradients u at y; None where there is none."""
        return None

    @abstractmethod
    def value(self, y: Balls) -> Ball:
        """f(y), at a point where ``member`` knows the subdifferential."""

    def bend(self, y: Balls) -> Bend:
        """The second derivative along the entries that no kink holds."""
        return Bend([None] * len(y))

    def change(self, z: Balls, y: Balls) -> Ball:
        """f(z) - f(y); zero for an indicator, whose constraint counts as met."""
        return zero()
