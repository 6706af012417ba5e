"""The indicator of a simplex: its normal vectors have one entry where z > 0, and none larger elsewhere."""

from ramda_verify.oracles.atoms import Simplex
from ramda_verify.oracles.enclosure.balls import Ball, flint, smallest, total, zero
from ramda_verify.oracles.enclosure.part import Balls, Bend, Member, Part


class SimplexPart(Part):
    """0 where ``z >= 0`` and ``sum z = radius``; lam > 0 changes nothing."""

    def __init__(self, atom: Simplex, lam: Ball) -> None:
        super().__init__(atom, lam)
        self.radius = flint.arb(atom.radius)

    def nearby(self, z: Balls) -> Balls | None:
        """The nonnegative entries, scaled so that they sum to the radius exactly; all alike where none is positive."""
        kept = [entry if entry > 0 else zero() for entry in z]
        whole = total(kept)
        if whole == self.radius and not any(entry < 0 for entry in z):
            return None
        if not whole > 0:
            return [self.radius / len(kept) for _ in kept]
        return [entry * self.radius / whole for entry in kept]

    def value(self, y: Balls) -> Ball:
        return zero()

    def bend(self, y: Balls) -> Bend:
        """The sum of the entries is fixed, and the zeros are."""
        one = flint.arb(1)
        return Bend([zero() if entry > 0 else None for entry in y], [one] * len(y), zero())

    def member(self, y: Balls, v: Balls) -> Member:
        """``u_i = mu`` on the support, ``min(v_i, mu)`` elsewhere; any mu will do. The nearest u has for mu the mean of
        v over the support and the entries above the mean.
        """
        support = [entry > 0 for entry in y]
        chosen = [wanted for wanted, inside in zip(v, support, strict=True) if inside]
        others = sorted((w for w, inside in zip(v, support, strict=True) if not inside), key=_centre, reverse=True)
        mu, sure = total(chosen) / len(chosen), True
        while others and not others[0] <= mu:
            sure = sure and others[0] > mu
            chosen.append(others.pop(0))
            mu = total(chosen) / len(chosen)
        sure = sure and all(entry <= mu for entry in others)
        u = [mu if inside else smallest(wanted, mu) for wanted, inside in zip(v, support, strict=True)]
        return Member(u, zero(), sure)


def _centre(ball: Ball) -> Ball:
    return ball.mid()
