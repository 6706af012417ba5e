"""``price * ||z||``: its gradient away from zero, the ball of radius price at zero."""

from ramda_verify.oracles.atoms import Norm
from ramda_verify.oracles.enclosure.balls import Ball, dot, flint, is_exactly_zero, length, smallest, zero
from ramda_verify.oracles.enclosure.part import Balls, Bend, Member, Part


class NormPart(Part):
    """``lam * price * ||z||_2``; the price is not rounded where the atom knows its factors."""

    def __init__(self, atom: Norm, lam: Ball) -> None:
        super().__init__(atom, lam)
        if atom.factors is None:
            self.price = lam * flint.arb(atom.price)
        else:
            weight, entries = atom.factors
            self.price = lam * flint.arb(weight) * flint.arb(entries).sqrt()

    def member(self, y: Balls, v: Balls) -> Member:
        size = length(y)
        if size > 0:
            return Member([self.price * entry / size for entry in y], zero(), True)
        if not all(map(is_exactly_zero, y)):
            # Whether y is zero is not known at this precision: any vector of the ball of radius price.
            whole = (-self.price).union(self.price)
            return Member([whole for _ in y], zero(), False)
        pull = length(v)
        if self.price >= pull:
            return Member(list(v), zero(), True)
        share = smallest(self.price / pull, flint.arb(1)) if pull > 0 else zero().union(flint.arb(1))
        return Member([share * entry for entry in v], zero(), True)

    def least(self, y: Balls, direction: Balls) -> Ball | None:
        size = length(y)
        if size > 0:
            return self.price * dot(y, direction) / size
        return -self.price * length(direction)

    def value(self, y: Balls) -> Ball:
        return self.price * length(y)

    def bend(self, y: Balls) -> Bend:
        size = length(y)
        if not self.price > 0:
            return Bend([zero()] * len(y))
        if not size > 0:
            return Bend([None] * len(y))
        return Bend([self.price / size] * len(y), y, -(size**3) / self.price)

    def change(self, z: Balls, y: Balls) -> Ball:
        return self.price * (length(z) - length(y))
