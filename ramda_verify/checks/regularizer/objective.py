"""psi where rounding has moved a point: off a thin set, off a kink, by as much as float64 cannot tell.

A prox returns a point of a set or of a manifold up to rounding, and a value that has no tolerance of its own is
infinite or far too large beside it. What is asked of a prox is written here, once for all checks: it is right to
``ACCURACY`` of the distance by which it moves w, and to ``ROUNDING`` of the numbers that it is computed from.
"""

import numpy as np

from ramda_verify.cases.exact_set import ROUNDING, VANISHING, with_exact_set
from ramda_verify.checks.helpers import Array, finite, norm, psi_value, size, tensor
from ramda_verify.engine.worst import TINY, relative
from solvers.regularizers.members import Regularizer

EPS = float(np.finfo(np.float64).eps)
#: Share of ||w - prox(w)|| by which a prox may be wrong.
ACCURACY = 1e-9
#: Where all numbers of a problem are smaller, its objective is lost: squares of 1e-160 vanish, in any formula of psi.
SMALLEST = 1e-130


class Psi:
    """psi of one regularizer in one case; a constraint as its set is, see exact_set.py."""

    def __init__(self, regularizer: Regularizer, shape: tuple[int, ...]) -> None:
        self.regularizer = with_exact_set(regularizer, shape)
        self._anchor: float | None = None
        self.shape = shape

    def at(self, point: Array) -> float:
        """psi(point)."""
        return psi_value(self.regularizer, point)

    def near(self, point: Array, scale: float = 0.0) -> float:
        """The lowest psi within a few roundings of the point and of numbers of size ``scale``."""
        lowest = min(self.at(point), *(self.at(moved) for moved in _moves(point, scale)))
        if lowest == np.inf:
            projected = finite("prox", self.regularizer.prox(tensor(point), VANISHING)).numpy()
            if norm(projected - point) <= ROUNDING * max(size(point), scale) * point.size**0.5:
                return self.at(projected)
        return lowest

    @property
    def anchor(self) -> float:
        """The length of prox(0, 1): the size of the numbers that psi has of its own, to which a prox rounds however
        small w is. 0 where psi is a norm.
        """
        if self._anchor is None:
            found = self.regularizer.prox(tensor(np.zeros(self.shape)), 1.0)
            self._anchor = norm(finite("prox", found).numpy())
        return self._anchor

    def rounding(self, *points: Array) -> float:
        """What rounding may move an answer that is computed from these points, in the Euclidean norm."""
        return ROUNDING * (sum(norm(point) for point in points) + self.anchor)

    def size(self, point: Array) -> float:
        """What psi is a sum of: |psi(point)|, or |psi(|point|)| where terms cancel."""
        found = [self.at(point), self.at(np.abs(point))]
        return max((abs(value) for value in found if value < np.inf), default=0.0)


def _moves(point: Array, scale: float) -> list[Array]:
    """The point by up to ROUNDING of its entries larger and smaller, and with its last digits cut off."""
    unit = 32 * EPS * max(size(point), scale)
    rng = np.random.default_rng(0)
    scaled = [point * (1 + factor * EPS) for factor in (-1, 1, -8, 8, -63, 63)]
    shaken = [point * (1 + EPS * rng.integers(-8, 9, point.shape)) for _ in range(2)]
    # Entries that should be equal, and are not in their last digits, fall on one multiple of the unit; on an edge
    # between two multiples they do so with the other grid.
    cut = [unit * (np.round(point / unit + shift) - shift) for shift in (0.0, 0.5)]
    return [*scaled, *shaken, *cut]


class ProxProblem:
    """``step*psi(x) + 1/2||x - w||^2``, or in a metric ``step*psi(x) + 1/2<x - w, D*(x - w)>``, and a point that was
    returned for it, compared with others.

    Where the point loses, what rounding may have done to it is found out, and it is compared once more.
    """

    def __init__(self, psi: Psi, w: Array, step: float, z: Array, D: Array | None = None) -> None:
        # In the metric D the problem is the Euclidean one of sqrt(D)*x.
        self.root = np.ones_like(w) if D is None else np.sqrt(D)
        self.psi, self.step, self.w, self.z = psi, step, w, z
        #: psi at z: for z as a rival of others as it is, for z itself as low as rounding lets it be.
        self.as_rival = self.at_z = psi.at(z)
        self.psi_size = 0.0
        rounding = ROUNDING * (norm(self.root * w) + norm(self.root * z) + psi.anchor * size(self.root))
        #: How far from the right answer z may be.
        self.slack = ACCURACY * norm(self.root * (w - z)) + rounding
        self._euclidean, self._forgiving = D is None, False
        if self.at_z == np.inf:
            self._forgive()

    def _forgive(self) -> None:
        """Take in what rounding may have done to z: off a kink or out of a set; across a jump."""
        self._forgiving = True
        self.at_z, self.psi_size = self.psi.near(self.z, size(self.w)), self.psi.size(self.z)
        if self._euclidean:
            self.slack += jitter(self.psi.regularizer, self.w, self.step, self.z)

    def excess(self, x: Array, at_x: float, *, convex: bool = False) -> float:
        """How much lower the objective is at x than at z, in units of what the accuracy of z allows; for a convex psi,
        by how much (w - z)/step fails to be a subgradient at z. Infinite where psi is at z.
        """
        return float(self.excesses(x[None], np.array([at_x]), convex=convex)[0])

    def excesses(self, points: Array, values: Array, *, convex: bool = False) -> Array:
        """``excess`` of many points, along the first axis, and psi at each."""
        if self.at_z == np.inf:
            return np.full(len(points), np.inf)
        found = self._excesses(points, values, convex)
        if not self._forgiving and not found.max(initial=0.0) <= 1.0:
            self._forgive()
            found = self._excesses(points, values, convex)
        return found

    def _excesses(self, points: Array, values: Array, convex: bool) -> Array:
        # In units of the problem's own size, whose square need not be a number that float64 holds.
        unit = size(self.root * self.w, self.root * self.z, self.root * points)
        if unit < SMALLEST:
            return np.zeros(len(points))
        moves = (self.root * (points - self.z) / unit).reshape(len(points), -1)
        back, slack, step = (self.root * (self.w - self.z) / unit).ravel(), self.slack / unit, self.step / unit
        lengths = norms(moves)
        with np.errstate(all="ignore"):
            # The objective at z less that at x, arranged so that nothing cancels.
            fall = (self.at_z - values) / unit * step
            gains = fall + moves @ back - (0.0 if convex else 0.5 * lengths**2)
            rounding = ROUNDING * (self.psi_size + abs(self.at_z) + np.abs(values)) / unit * step
        allowed = slack * (norm(back) + lengths + slack) + rounding + TINY
        # Where psi is infinite a point is no rival.
        return np.where(np.isposinf(values), 0.0, relative(gains, np.where(np.isposinf(values), 1.0, allowed)))


def jitter(regularizer: Regularizer, w: Array, step: float, z: Array) -> float:
    """How far the last digits of w and of the step move the answer z: all the way at a jump, and where a formula is
    badly conditioned by as much as its rounding.
    """
    low, high = 1 - 4 * EPS, 1 + 4 * EPS
    shaken = 4 * EPS * size(w) * np.random.default_rng(0).choice((-1.0, 1.0), w.shape)
    nearby = [(w * low, step), (w * high, step), (w, step * low), (w, step * high)]
    nearby += [(w + shaken, step), (w - shaken, step)]
    answers = [finite("prox", regularizer.prox(tensor(point), s)).numpy() for point, s in nearby]
    return max(norm(answer - z) for answer in answers)


def norms(rows: Array) -> Array:
    """Euclidean norms of rows, whose squares neither vanish nor overflow."""
    largest = np.maximum(np.abs(rows).max(axis=1, initial=0.0), TINY)
    return np.asarray(largest * np.sqrt(((rows / largest[:, None]) ** 2).sum(axis=1)))
