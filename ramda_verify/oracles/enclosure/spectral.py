"""``price * sum of the singular values``, at a matrix of exact rank near the point.

At ``Y = U S V'`` with orthonormal columns in U and V and a symmetric S >= 0, every ``price * (U V' + N)`` with
``U'N = 0``, ``N V = 0`` and no singular value of N above 1 is a subgradient (Watson, 1992). U and V are orthonormal to
the precision only, so that the matrix is divided by a number a little above 1 which a factorisation proves to be no
smaller than its spectral norm; what that costs is the slack.
"""

from collections.abc import Iterable

import numpy as np

from ramda_verify.oracles.answer import Array
from ramda_verify.oracles.atoms import Spectral
from ramda_verify.oracles.enclosure.balls import Ball, dot, flint, largest, length, root, zero
from ramda_verify.oracles.enclosure.factors import refined
from ramda_verify.oracles.enclosure.matrices import (
    Matrix,
    diagonal,
    from_entries,
    identity,
    matrix,
    orthonormal,
    size,
    spectral_norm_at_most,
)
from ramda_verify.oracles.enclosure.part import Balls, Member, Part

#: Singular values up to these shares of the largest are taken for zero, too: what is left of a zero is unknown.
CUTS = (1e-14, 1e-12, 1e-9, 1e-6, 1e-3)
#: Bits of the precision that the spectral norm may exceed its bound by; and shares by which N is made smaller where
#: its singular values, cut off at 1 in float64, exceed 1 by rounding.
SPARE = 40
SHRINKING = (0.0, *(2.0**-bits for bits in range(53, 29, -1)))
#: Rounds of cutting off singular values in float64, and the excess that is left to SHRINKING.
ROUNDS, ROUNDED = 50, 1e-15


class SpectralPart(Part):
    """``lam * price * sum of singular values`` of the entries as a matrix; ``rank`` of the matrices Y."""

    def __init__(self, atom: Spectral, lam: Ball, rank: int | None = None) -> None:
        super().__init__(atom, lam)
        self.atom, self.rank, self.shape = atom, rank, atom.shape
        self.price = lam * flint.arb(atom.price)
        self.left: Matrix = None
        self.right: Matrix = None
        self.core: Matrix = None
        self.given = False

    def choices(self, z: Balls, eps: float) -> Iterable[Part]:
        """The rank without what rounding makes of zeros first, then others near it."""
        sigma = _decomposed(_floats(z, self.shape)[0])[1]
        cuts = (max(self.shape) * eps, *CUTS)
        ranks = [int((sigma > cut * sigma.max(initial=0.0)).sum()) for cut in cuts]
        return [SpectralPart(self.atom, self.lam, rank) for rank in dict.fromkeys(ranks)]

    def nearby(self, z: Balls) -> Balls | None:
        """The point from its largest singular values, with vectors that are orthonormal; zero itself stays."""
        if not self.given:
            left, _, right = _decomposed(_floats(z, self.shape)[0])
            self.left = orthonormal(matrix(left[:, : self.rank]))
            self.right = orthonormal(matrix(right[: self.rank].T))
            near = self.left.transpose() * from_entries(self.shape, z) * self.right
            # The diagonal of U'ZV is at least as near as the singular values of float64, and has the unit of z.
            self.core = diagonal([largest(near[i, i].mid(), zero()) for i in range(near.nrows())])
        if not self.core.nrows():
            return None if all(entry.is_zero() for entry in z) else [zero() for _ in z]
        return list((self.left * self.core * self.right.transpose()).entries())

    def refined(self, y: Balls, slope: Balls, d: Balls) -> Part | None:
        """At the factors to which Newton's method leads."""
        found = refined(self, y, slope, d) if self.core.nrows() and self.price > 0 and not self.given else None
        if found is None:
            return None
        part = SpectralPart(self.atom, self.lam, self.rank)
        part.left, part.core, part.right, part.given = *found, True
        return part

    def member(self, y: Balls, v: Balls) -> Member:
        """``price/c * (U V' + N)``, N the part of v/price in the complements, its singular values cut off at 1."""
        if not self.price > 0:
            return Member([zero() for _ in y], zero(), True)
        within = self.left * self.right.transpose()
        # Any N will do. With radii, which a small price magnifies, no bound on its norm could be proved.
        rest = self._across(from_entries(self.shape, [(entry / self.price).mid() for entry in v])).mid()
        for _ in range(ROUNDS):
            # Each round takes off what exceeds 1, up to the rounding of float64.
            scaled, unit = _floats(rest.entries(), self.shape)
            beyond, sigma, before = _decomposed(scaled)
            excess = np.maximum(sigma - float(1 / unit), 0.0)
            if excess.max(initial=0.0) <= ROUNDED * sigma.max(initial=0.0) and not sigma.max(initial=0.0) * unit > 2:
                break
            rest = self._across((rest - matrix((beyond * excess) @ before) * unit).mid()).mid()
        rest = self._across(rest.mid())
        # At zero there is no U V', whose singular values are at the bound.
        bound = 1 + (flint.arb(2) ** (SPARE - flint.ctx.prec) if self.core.nrows() else zero())
        for share in SHRINKING:
            whole = within + rest * flint.arb(1 - share)
            if spectral_norm_at_most(whole, bound):
                u = [self.price / bound * entry for entry in whole.entries()]
                return Member(u, self._slack(y, u), False)
        return Member([zero() for _ in y], flint.arb.pos_inf(), False)

    def _across(self, values: Matrix) -> Matrix:
        """``(I - U U') X (I - V V')``."""
        rows, columns = self.shape
        left = identity(rows) - self.left * self.left.transpose()
        right = identity(columns) - self.right * self.right.transpose()
        return left * values * right

    def _slack(self, y: Balls, u: Balls) -> Ball:
        """At least ``price * sum of the singular values of y - <u, y>``."""
        return self.value(y).upper() - dot(u, y)

    def value(self, y: Balls) -> Ball:
        """The sum of the singular values of ``U S V'`` is trace S, but for what ``||U|| ||V||`` is off 1."""
        gram = [basis.transpose() * basis for basis in (self.left, self.right)]
        apart = [root(size(g - identity(g.nrows()))) for g in gram]
        above = root(1 + apart[0]) * root(1 + apart[1])
        below = root(1 - apart[0]) * root(1 - apart[1])
        return self.price * self.core.trace() * below.union(above)

    def change(self, z: Balls, y: Balls) -> Ball:
        """At most ``sqrt(rank) * ||z - y||`` apart, in units of the price."""
        apart = self.price * flint.arb(min(self.shape)).sqrt() * length(a - b for a, b in zip(z, y, strict=True))
        return (-apart).union(apart)


def _floats(balls: Iterable[Ball], shape: tuple[int, int]) -> tuple[Array, Ball]:
    """The centres in float64 as multiples of a unit: 1, or a power of two where they would leave the range."""
    centres = [ball.mid() for ball in balls]
    top = max((abs(centre) for centre in centres), default=zero())
    power = _exponent(top)
    unit = flint.arb(2) ** (power if abs(power) > 500 else 0)
    return np.array([float(centre / unit) for centre in centres], dtype=np.float64).reshape(shape), unit


def _exponent(ball: Ball) -> int:
    mantissa, exponent = ball.man_exp()
    return int(exponent) + int(mantissa).bit_length()


def _decomposed(values: Array) -> tuple[Array, Array, Array]:
    """The singular value decomposition; of zero where numpy's does not converge: any vectors will do."""
    try:
        left, sigma, right = np.linalg.svd(values, full_matrices=False)
    except np.linalg.LinAlgError:
        left, sigma, right = np.linalg.svd(np.zeros_like(values), full_matrices=False)
    return left, sigma, right
