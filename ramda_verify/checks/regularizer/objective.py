"""psi where rounding has moved a point: off a thin set, off a kink, by as much as float64 cannot tell.

A prox returns a point of a set or of a manifold up to rounding, and a value that has no tolerance of its own is
infinite or far too large beside it. What is asked of a prox is written here, once for all checks: it is right to
``ACCURACY`` of the distance by which it moves w, and to ``ROUNDING`` of the numbers that it is computed from.
"""

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from ramda_verify.cases.exact_set import ROUNDING, VANISHING, ExactSet, edge, with_exact_set
from ramda_verify.checks.helpers import Array, finite, norm, psi_value, shown, size, tensor
from ramda_verify.engine.worst import TINY, relative
from solvers.regularizers.base import offers
from solvers.regularizers.members import Regularizer

EPS = float(np.finfo(np.float64).eps)
#: Share of ||w - prox(w)|| by which a prox may be wrong.
ACCURACY = 1e-9
#: Roundings of the step, of which a prox may have added multiples to w and taken them away again.
STEP_ROUNDING = 8 * EPS
#: Where all numbers of a problem are smaller, its objective is lost: squares of 1e-160 vanish, in any formula of psi.
SMALLEST = 1e-130
#: Powers of ten among which the size of a number that psi has of its own is looked for.
OWN_SIZES = range(-6, 7)
#: psi has one where psi(2w)/psi(w) is no longer what it is for small w, by this share.
BENT = 0.05
#: Cube root of a rounding: the share of psi that rounding may change where psi is a root, up to the third, of what is
#: zero up to rounding. What changes by more is a jump, unless it changes gradually.
STEEP = EPS ** (1 / 3)
#: Share of a change of psi that a quarter of the move may make: a square's is 1/16, that of the root above is 0.63.
GRADUAL = 0.75


class Psi:
    """psi of one regularizer in one case; a constraint as its set is, see exact_set.py."""

    def __init__(self, regularizer: Regularizer, shape: tuple[int, ...]) -> None:
        self.regularizer = with_exact_set(regularizer, shape)
        self.shape = shape

    def at(self, point: Array) -> float:
        """psi(point)."""
        return psi_value(self.regularizer, point)

    def near(self, point: Array, scale: float) -> float:
        """The lowest psi within a few roundings of the point and of numbers of size ``scale``."""
        lowest = min(self.at(point), *(self.at(moved) for moved in _moves(point, scale)))
        if lowest == np.inf:
            projected = finite("prox", self.regularizer.prox(tensor(point), VANISHING)).numpy()
            if norm(projected - point) <= edge(max(size(point), scale), point.size):
                return self.at(projected)
        return lowest

    @cached_property
    def anchor(self) -> float:
        """The length of prox(0, 1), to which a prox rounds however small w is. 0 where psi is least at zero."""
        return norm(finite("prox", self.regularizer.prox(tensor(np.zeros(self.shape)), 1.0)).numpy())

    @cached_property
    def own_size(self) -> float:
        """The size of the numbers that psi has of its own, such as a threshold or the 1 of log(1 + |w|), to which prox
        and value round however small w is: the anchor, or where psi ceases to grow at the power of ||w|| at which it
        begins. 0 where psi is a norm or a square.
        """
        rising = np.linspace(1.0, 2.0, math.prod(self.shape)).reshape(self.shape)
        first: float | None = None
        for exponent in OWN_SIZES:
            once, twice = (self.at(10.0**exponent * factor * rising) for factor in (1.0, 2.0))
            if once == np.inf:
                continue
            growth = 1.0 if once == twice else float(np.divide(twice, once)) if once else np.inf
            first = growth if first is None else first
            if not abs(growth - first) <= BENT * abs(first):
                return max(self.anchor, 10.0**exponent)
        return self.anchor

    def rounding(self, *points: Array) -> float:
        """What rounding may move an answer that is computed from these points, in the Euclidean norm."""
        return ROUNDING * (sum(norm(point) for point in points) + self.anchor)

    @cached_property
    def value_at_own_size(self) -> float:
        """psi of a tensor of its own size, to whose rounding smaller values may be computed; 0 where there is none."""
        found = self.at(np.full(self.shape, self.own_size)) if self.own_size > 0 else 0.0
        return found if found < np.inf else 0.0

    def value_rounding(self, point: Array) -> float:
        """What rounding, of the point or within psi, may change in psi at the point."""
        return ROUNDING * self.size(point) + self.spread(point)

    def slope(self, point: Array, scale: float) -> float:
        """The largest change of psi over a few moves of the entries by a thousandth of their size, divided by it: about
        the length of a subgradient. 0 where psi is infinite.

        Zeros are moved by a thousandth of ``scale``, the size of the numbers of the problem, beside which psi may jump
        or be steep without end: over smaller moves its slope would be as large as one likes.
        """
        unit = 1e-3 * max(size(point), SMALLEST)
        return max(self._slope(point, unit, zeros=False), self._slope(point, max(unit, 1e-3 * scale)))

    def spread(self, point: Array) -> float:
        """How far a few roundings of the point's nonzero entries move psi where it is steep, as the root of a singular
        value is at zero, or where large entries have a small psi, as their distance to the next integer. 0 where it
        jumps.
        """
        unit = 8 * EPS * max(size(point), SMALLEST)
        change, of_a_quarter = (moved * self._slope(point, moved, zeros=False) for moved in (unit, unit / 4))
        return float(unless_jump(change, of_a_quarter, self.size(point)))

    def _slope(self, point: Array, unit: float, *, zeros: bool = True) -> float:
        def values(stack: Array) -> Array:
            return np.array([[self.at(moved)] for moved in stack[:, 0]])

        return float(slopes(values, point[None], np.array([unit]), zeros=zeros)[0])

    def size(self, point: Array) -> float:
        """What psi is a sum of: |psi(point)|, or |psi(|point|)| or psi with the signs of two entries in three changed,
        where terms cancel, or psi at its own size.
        """
        mixed = mixed_signs(point.shape) * np.abs(point)
        found = [self.at(point), self.at(np.abs(point)), self.at(mixed), self.value_at_own_size]
        return max((abs(value) for value in found if value < np.inf), default=0.0)


def mixed_signs(shape: tuple[int, ...]) -> Array:
    """1 for one entry in three, -1 for the others: neighbours differ, and so do the parts of most other differences."""
    return np.where(np.arange(math.prod(shape)) % 3 == 0, 1.0, -1.0).reshape(shape)


def unless_jump(change: Any, of_a_quarter: Any, psi_size: Any) -> Array:
    """Changes of psi by a rounding of the point; 0 where it jumps: where they are too large a share of its size to come
    from that, and a quarter of the move changes it as much.
    """
    return np.where((change <= STEEP * psi_size) | (of_a_quarter <= GRADUAL * change), change, 0.0)


def slopes(values: Callable[[Array], Array], points: Array, units: Array, *, zeros: bool = True) -> Array:
    """Of each point the largest change of a function over four moves of all entries, or of all but zeros, by its unit,
    divided by it: about the length of a subgradient. 0 where the function is infinite. ``values`` takes points along
    two first axes.
    """
    signs = np.random.default_rng(0).choice((-1.0, 1.0), (4, *points.shape))
    moves = units.reshape(-1, *(1,) * (points.ndim - 1)) * np.where(zeros | (points != 0), signs, 0.0)
    found = values(np.concatenate([points[None], points + moves]))
    with np.errstate(invalid="ignore"):
        moved = np.abs(found[1:] - found[0])
    return np.asarray(np.where(np.isfinite(moved), moved, 0.0).max(axis=0) / units)


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
        #: What rounding may change in psi at z.
        self.psi_rounding = 0.0
        rounding = ROUNDING * (norm(self.root * w) + norm(self.root * z) + psi.anchor * size(self.root))
        #: How far from the right answer z may be.
        self.slack = ACCURACY * norm(self.root * (w - z)) + rounding
        self._own_size = size(self.root * w, self.root * z)
        self._euclidean, self._forgiving = D is None, False
        if self.at_z == np.inf:
            self._forgive()

    def _forgive(self) -> None:
        """Take in what rounding may have done to z: off a kink or out of a set; across a jump."""
        self._forgiving = True
        self.at_z = self.psi.near(self.z, size(self.w))
        self.psi_rounding = self.psi.value_rounding(self.z)
        if isinstance(self.psi.regularizer, ExactSet):
            self.slack += edge(size(self.root * self.z), self.z.size)
        if self._euclidean:
            self.slack += jitter(self.psi.regularizer, self.w, self.step, self.z)
            self.slack += ROUNDING * self.psi.own_size
            self.slack += STEP_ROUNDING * self.step * self.psi.slope(self.z, size(self.w))

    def excess(self, x: Array, at_x: float, *, convex: bool = False) -> float:
        """How much lower the objective is at x than at z, in units of what the accuracy of z allows; for a convex psi,
        by how much (w - z)/step fails to be a subgradient at z. Infinite where psi is at z.
        """
        return float(self.excesses(x[None], np.array([at_x]), convex=convex)[0])

    def beaten_by(self, x: Array) -> str:
        """The sentence that says that the objective is lower at x."""
        return f"prox({shown(self.w)}, {self.step:.17g}) is {shown(self.z)}; {shown(x)} is lower"

    def excesses(self, points: Array, values: Array, *, convex: bool = False) -> Array:
        """``excess`` of many points, along the first axis, and psi at each."""
        if self.at_z == np.inf:
            return np.full(len(points), np.inf)
        found = self._excesses(points, values, convex)
        if not self._forgiving and found.max() > 1.0:
            self._forgive()
            found = self._excesses(points, values, convex)
        return found

    def _excesses(self, points: Array, values: Array, convex: bool) -> Array:
        # In units of the problem's own size, whose square need not be a number that float64 holds.
        unit = max(self._own_size, size(self.root * points))
        if unit < SMALLEST:
            return np.zeros(len(points))
        moves = (self.root * (points - self.z) / unit).reshape(len(points), -1)
        back, slack, step = (self.root * (self.w - self.z) / unit).ravel(), self.slack / unit, self.step / unit
        lengths = norms(moves)
        with np.errstate(all="ignore"):
            # The objective at z less that at x, arranged so that nothing cancels.
            fall = (self.at_z - values) / unit * step
            gains = fall + moves @ back - (0.0 if convex else 0.5 * lengths**2)
            rounding = (self.psi_rounding + ROUNDING * (abs(self.at_z) + np.abs(values))) / unit * step
        allowed = slack * (norm(back) + lengths + slack) + rounding + TINY
        # Where psi is infinite a point is no rival.
        return np.where(np.isposinf(values), 0.0, relative(gains, allowed))


def jitter(regularizer: Regularizer, w: Array, step: float, z: Array) -> float:
    """How far the last digits of w and of the step move the answer z: all the way at a jump, and where a formula is
    badly conditioned by as much as its rounding. Of a convex psi the right answer moves no further than w does, and
    with the step by the same share of w - z: what a prox moves beyond that is its error.
    """
    low, high = 1 - 4 * EPS, 1 + 4 * EPS
    shaken = 4 * EPS * size(w) * np.random.default_rng(0).choice((-1.0, 1.0), w.shape)
    nearby = [(w * low, step), (w * high, step), (w, step * low), (w, step * high)]
    nearby += [(w + shaken, step), (w - shaken, step)]
    answers = [finite("prox", regularizer.prox(tensor(point), s)).numpy() for point, s in nearby]
    moved = max(norm(answer - z) for answer in answers)
    return min(moved, ROUNDING * (norm(w) + norm(w - z))) if offers(regularizer, "convex") else moved


def norms(rows: Array) -> Array:
    """Euclidean norms of rows, whose squares neither vanish nor overflow."""
    largest = np.abs(rows).max(axis=1, initial=TINY)
    return np.asarray(largest * np.sqrt(((rows / largest[:, None]) ** 2).sum(axis=1)))
