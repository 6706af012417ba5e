"""``price * sum f(z_i)``: an interval of slopes at every entry."""

from ramda_verify.oracles.atoms import Scalar
from ramda_verify.oracles.atoms.functions import Piece
from ramda_verify.oracles.enclosure.balls import Ball, flint, largest, smallest, total, zero
from ramda_verify.oracles.enclosure.part import Balls, Bend, Member, Part


class ScalarPart(Part):
    """``lam * price * sum function(z_i)``, the function read from its pieces."""

    def __init__(self, atom: Scalar, lam: Ball) -> None:
        super().__init__(atom, lam)
        self.price = lam * flint.arb(atom.price)
        self.pieces = [(flint.arb(p.low), flint.arb(p.high), p) for p in atom.function.pieces]

    def member(self, y: Balls, v: Balls) -> Member:
        found = []
        for entry, wanted in zip(y, v, strict=True):
            low, high = self._slopes(entry)
            found.append(low if low is high else largest(low, smallest(wanted, high)))
        return Member(found, zero(), True)

    def least(self, y: Balls, direction: Balls) -> Ball | None:
        return total(
            smallest(*(slope * move for slope in self._slopes(entry))) for entry, move in zip(y, direction, strict=True)
        )

    def value(self, y: Balls) -> Ball:
        return self.price * total(self._value(entry) for entry in y)

    def bend(self, y: Balls) -> Bend:
        """Held where two pieces meet with different slopes."""
        found: list[Ball | None] = []
        for entry in y:
            low, high = self._slopes(entry)
            found.append(self.price * self._pieces(entry)[0].curvature(entry) if low.overlaps(high) else None)
        return Bend(found)

    def change(self, z: Balls, y: Balls) -> Ball:
        return self.price * total(self._value(a) - self._value(b) for a, b in zip(z, y, strict=True))

    def _pieces(self, x: Ball) -> list[Piece]:
        """Those on which x lies, or may lie."""
        return [piece for low, high, piece in self.pieces if not (x < low or x > high)]

    def _slopes(self, x: Ball) -> tuple[Ball, Ball]:
        """Left and right derivative with the price, the same object where they are one number; of a ball that may lie
        on either side of a kink, bounds on both.
        """
        here = self._pieces(x)
        left = self.price * here[0].slope(x)
        return left, left if len(here) == 1 else self.price * here[-1].slope(x)

    def _value(self, x: Ball) -> Ball:
        values = [piece.value(x) for piece in self._pieces(x)]
        for value in values[1:]:
            values[0] = values[0].union(value)
        return values[0]
