"""Where the prox jumps or has a kink along a ray, it does so in the right place.

A threshold that is slightly off shows only between the wrong one and the right one, and where a user's thresholds lie
is not known. So the jumps and kinks of ``t -> prox(t*u, step)`` and of ``step -> prox(w, step)`` are found by
bisection, for any regularizer, and the answers on both sides of each compared with each other and with all others
found on the way: at the objective of every point no answer to another may be lower.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from hypothesis import strategies as st

from ramda_verify import tolerances
from ramda_verify.cases.strategies import prox_cases, seeds
from ramda_verify.checks.helpers import Array, finite, norm, size, tensor
from ramda_verify.checks.regularizer.objective import ProxProblem, Psi
from ramda_verify.engine.property import check
from ramda_verify.engine.record import Case, Measurement, NothingClaimed
from ramda_verify.engine.targets import Target
from ramda_verify.engine.worst import Worst
from solvers.regularizers.members import Regularizer

#: Positions along the ray before bisection: four a decade.
COARSE = 10.0 ** np.linspace(-5, 5, 41)

#: Intervals that are bisected, and how often: to a dozen roundings of t, where there is still a middle.
INTERVALS, HALVINGS = 4, 48

#: A kink keeps its bend as the interval shrinks; what is merely curved halves it each time.
PATIENCE, LEFT = 6, 0.2

#: Positions on both sides of a jump or kink, relative to it, and how many of those that bisection left next to it.
BESIDE, NEAREST = (1e-12, 1e-9, 1e-6, 1e-4, 1e-3, 1e-2), 8


Prox = Callable[[Array, float], Array]


@dataclass(frozen=True)
class Answer:
    """prox at one position of the ray."""

    position: float
    w: Array
    step: float
    z: Array


class Ray:
    """The prox along a line of inputs, remembered."""

    def __init__(self, problem: Callable[[float], tuple[Array, float]], prox: Prox) -> None:
        self.problem, self.prox = problem, prox
        self.answers: dict[float, Answer] = {}

    def at(self, position: float) -> Answer:
        if position not in self.answers:
            w, step = self.problem(position)
            self.answers[position] = Answer(position, w, step, self.prox(w, step))
        return self.answers[position]

    def bend(self, low: float, high: float) -> float:
        """How far the prox at the middle is from the mean of both ends, per unit of the ray."""
        ends = 0.5 * (self.at(low).z + self.at(high).z)
        return norm(self.at((low + high) / 2).z - ends) / (high - low)

    def breaks(self) -> list[float]:
        """Positions of jumps and kinks, between the two ends of what bisection left."""
        positions = [float(p) for p in COARSE]
        intervals = sorted(pairwise(positions), key=lambda pair: -self.bend(*pair))
        found = []
        for low, high in intervals[:INTERVALS]:
            first = self.bend(low, high)
            if first == 0:
                break
            for halving in range(HALVINGS):
                middle = (low + high) / 2
                left, right = self.bend(low, middle), self.bend(middle, high)
                low, high = (low, middle) if left >= right else (middle, high)
                if halving == PATIENCE and max(left, right) < LEFT * first:
                    break
            else:
                found.append(high)
        return found


def _seeded(target: Target) -> st.SearchStrategy[Case]:
    return st.builds(lambda case, seed: {**case, "seed": seed}, prox_cases(target.instances), seeds())


@check(
    "prox-rays",
    claim="Jumps and kinks of the prox along rays of w and of the step lie where both sides are equally good.",
    source="definition of the prox, at positions found by bisection",
    kind="regularizer",
    tolerance=tolerances.PROX,
    cases=_seeded,
    share=0.3,
)
def measure_rays(regularizer: Regularizer, w: Array, step: float, seed: int) -> Measurement:
    """By how much some answer along the ray is beaten by another, in units of what the accuracy of a prox allows."""
    if not np.any(w):
        raise NothingClaimed("a ray needs a direction")

    def prox(point: Array, s: float) -> Array:
        return finite("prox", regularizer.prox(tensor(point), s).detach().numpy())

    psi, worst = Psi(regularizer, w.shape), Worst()
    direction = _direction(w, seed)
    for ray in (Ray(lambda t: (t * direction, step), prox), Ray(lambda s: (w, s * step), prox)):
        _compare(_chosen(ray, ray.breaks()), psi, worst)
    return worst.measurement()


def _direction(w: Array, seed: int) -> Array:
    """w, one of its entries, or one of its slices, at the size of 1: the thresholds of entries, groups and all."""
    rng = np.random.default_rng(seed)
    direction, kind = np.zeros_like(w), rng.integers(3)
    if kind == 0:
        direction = w
    elif kind == 1:
        place = rng.choice(np.flatnonzero(w))
        direction.flat[place] = w.flat[place]
    else:
        axis = int(rng.integers(w.ndim))
        at = tuple(rng.integers(w.shape[axis]) if k == axis else slice(None) for k in range(w.ndim))
        direction[at] = w[at]
    return direction / size(direction) if np.any(direction) else w / size(w)


def _chosen(ray: Ray, breaks: Sequence[float]) -> list[Answer]:
    """The coarse positions, those beside a break and those nearest to it: bisection leaves hundreds that are alike."""
    chosen = {float(p) for p in COARSE}
    for position in breaks:
        chosen.update(sorted(ray.answers, key=lambda other: abs(other - position))[:NEAREST])
        chosen.update(position * (1 + sign * offset) for offset in BESIDE for sign in (-1, 1))
    return [ray.at(position) for position in sorted(chosen)]


def _compare(answers: Sequence[Answer], psi: Psi, worst: Worst) -> None:
    """Every answer against all others."""
    problems = [ProxProblem(psi, a.w, a.step, a.z) for a in answers]
    points, values = np.stack([a.z for a in answers]), np.array([problem.as_rival for problem in problems])
    for problem in problems:
        excess = problem.excesses(points, values)
        best = int(np.argmax(excess))
        worst.see(float(excess[best]), partial(problem.beaten_by, points[best]))
