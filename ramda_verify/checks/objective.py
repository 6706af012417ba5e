"""psi where rounding has moved a point: off a thin set, off a kink, by as much as float64 cannot tell.

A prox returns a point of a set or of a manifold up to rounding, and a value that has no tolerance of its own is
infinite or far too large beside it. What is asked of a prox is written here, once for all checks: it is right to
``ACCURACY`` of the distance by which it moves w, and to ``ROUNDING`` of the numbers that it is computed from.
"""

import numpy as np

from ramda_verify.checks.helpers import Array, finite, norm, psi_value, size, tensor
from ramda_verify.worst import TINY, infinite_if_nan, relative
from solvers.regularizers.base import Regularizer, offers

EPS = float(np.finfo(np.float64).eps)
#: Share of ||w - prox(w)|| by which a prox may be wrong.
ACCURACY = 1e-9
#: What rounding may move, relative to the numbers that it acts on.
ROUNDING = 256 * EPS
#: A value may take points for members of its set that are outside by this share of their size.
LOOSENESS = 1e-5
#: A step at which a prox moves by nothing but a violated constraint.
VANISHING = 1e-20


class Psi:
    """psi of one regularizer in one case; ``constrained`` once it was seen to be infinite somewhere."""

    def __init__(self, regularizer: Regularizer) -> None:
        self.regularizer, self.constrained = regularizer, False
        self._anchors: dict[tuple[int, ...], float] = {}

    def at(self, point: Array) -> float:
        """value(point), as it is."""
        found = psi_value(self.regularizer, point)
        self.constrained |= found == np.inf
        return found

    def near(self, point: Array) -> float:
        """The lowest psi within a few roundings of the point; where the set is known by ``violation``, and the point
        belongs to it up to rounding, psi at its projection.
        """
        found = [self.at(point), *(self.at(moved) for moved in _moves(point))]
        if np.inf in found and (min(found) == np.inf):
            projected = self.projected(point)
            if self.outside(point, projected) <= self.rounding(point):
                found.append(self.at(projected))
        return min(found)

    def anchor(self, shape: tuple[int, ...]) -> float:
        """The length of prox(0, 1): the size of the numbers that psi has of its own, to which a prox rounds however
        small w is. 0 where psi is a norm.
        """
        if shape not in self._anchors:
            self._anchors[shape] = norm(finite("prox", self.regularizer.prox(tensor(np.zeros(shape)), 1.0)).numpy())
        return self._anchors[shape]

    def rounding(self, *points: Array) -> float:
        """What rounding may move an answer that is computed from these points, in the Euclidean norm."""
        return ROUNDING * (sum(norm(point) for point in points) + self.anchor(points[0].shape))

    def projected(self, point: Array) -> Array:
        """The prox with a vanishing step: the point itself, or the nearest of the set, or of its closure."""
        return finite("prox", self.regularizer.prox(tensor(point), VANISHING)).numpy()

    def outside(self, point: Array, projected: Array) -> float:
        """The distance from the set: ``violation`` where it is offered, else that to the projection."""
        if offers(self.regularizer, "violation"):
            return float(infinite_if_nan(float(self.regularizer.violation(tensor(point)))))
        return norm(projected - point)

    def rival(self, point: Array) -> tuple[Array, float]:
        """A point to compare with, and psi there; in the place of one that is in the set by a value's tolerance alone
        its projection.
        """
        found = self.at(point)
        if found == np.inf or not self.constrained:
            return point, found
        projected = self.projected(point)
        if 0 < self.outside(point, projected) <= LOOSENESS * size(point):
            return projected, self.at(projected)
        return point, found

    def size(self, point: Array) -> float:
        """What psi is a sum of: |psi(point)|, or |psi(|point|)| where terms cancel."""
        found = [self.at(point), self.at(np.abs(point))]
        return max((abs(value) for value in found if value < np.inf), default=0.0)


def _moves(point: Array) -> list[Array]:
    """The point by up to ROUNDING of its entries larger and smaller, and with its last digits cut off."""
    unit = 32 * EPS * size(point)
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
    """

    def __init__(self, psi: Psi, w: Array, step: float, z: Array, D: Array | None = None) -> None:
        # In the metric D the problem is the Euclidean one of sqrt(D)*x.
        self.root = np.ones_like(w) if D is None else np.sqrt(D)
        self.psi, self.step, self.w, self.z = psi, step, w, z
        self.at_z = psi.near(z)
        #: How far from the right answer z may be.
        rounding = ROUNDING * (norm(self.root * w) + norm(self.root * z) + psi.anchor(w.shape) * size(self.root))
        self.slack = ACCURACY * norm(self.root * (w - z)) + rounding
        self.psi_size = psi.size(z)

    def excess(self, x: Array, at_x: float, *, convex: bool = False) -> float:
        """How much lower the objective is at x than at z, in units of what the accuracy of z allows; for a convex psi,
        by how much (w - z)/step fails to be a subgradient at z. Infinite where psi is at z.
        """
        return float(self.excesses(x[None], np.array([at_x]), convex=convex)[0])

    def excesses(self, points: Array, values: Array, *, convex: bool = False) -> Array:
        """``excess`` of many points, along the first axis, and psi at each."""
        if self.at_z == np.inf:
            return np.full(len(points), np.inf)
        moves = (self.root * (points - self.z)).reshape(len(points), -1)
        back = (self.root * (self.w - self.z)).ravel()
        lengths = norms(moves)
        with np.errstate(invalid="ignore"):
            # The objective at z less that at x, arranged so that nothing cancels.
            gains = self.step * (self.at_z - values) + moves @ back - (0.0 if convex else 0.5 * lengths**2)
            rounding = ROUNDING * self.step * (self.psi_size + abs(self.at_z) + np.abs(values))
        allowed = self.slack * (norm(back) + lengths + self.slack) + rounding + TINY
        # Where psi is infinite a point is no rival.
        return np.where(np.isposinf(values), 0.0, relative(gains, np.where(np.isposinf(values), 1.0, allowed)))


def norms(rows: Array) -> Array:
    """Euclidean norms of rows, whose squares neither vanish nor overflow."""
    largest = np.maximum(np.abs(rows).max(axis=1, initial=0.0), TINY)
    return np.asarray(largest * np.sqrt(((rows / largest[:, None]) ** 2).sum(axis=1)))
