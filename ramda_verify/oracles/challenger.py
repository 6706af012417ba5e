"""A challenger for any psi, convex or not: search for a point that beats a candidate minimiser.

It can only refute. Finding nothing better is evidence whose strength is the number of points tried, never a proof.
"""

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ramda_verify.oracles.answer import Array
from ramda_verify.oracles.index_sets import as_matrix
from ramda_verify.oracles.lazily import lazily

optimize = lazily("scipy.optimize")

#: Descent by scipy is worth its time up to this many entries.
SIMPLEX_ENTRIES = 8
#: Single entries and slices are tried one by one up to this many.
SINGLES = 256

#: An objective, the idea that it came from, and the point.
Entry = tuple[float, str, Array]


@dataclass(frozen=True)
class Challenge:
    """The best rival found. ``solved`` False: psi could not be evaluated at the candidate, nothing was tested.

    ``improvement`` is ``candidate_objective - objective``, >= 0; ``source`` says which idea found the rival.
    """

    point: Array
    objective: float
    candidate_objective: float
    source: str
    tried: int
    solved: bool
    detail: str = ""

    @property
    def improvement(self) -> float:
        return self.candidate_objective - self.objective if self.solved else math.nan


def challenge_prox(
    value: Callable[[Array], float], w: Array, step: float, candidate: Array, seed: int = 0, polish: bool = True
) -> Challenge:
    """Look for x with a lower ``step*value(x) + 1/2||x - w||^2`` than ``candidate``; ``value`` takes a
    float64 array.
    """
    w = np.asarray(w, dtype=np.float64)

    def objective(x: Array) -> float:
        return step * float(value(x)) + 0.5 * math.fsum(((x - w) ** 2).ravel())

    return _challenge(objective, w, np.asarray(candidate, dtype=np.float64), seed, polish)


def challenge_subproblem(
    value: Callable[[Array], float],
    B: Array,
    D: Array,
    lam: float,
    candidate: Array,
    seed: int = 0,
    polish: bool = True,
) -> Challenge:
    """Look for Z with a lower ``1/2<Z,D*Z> - <B,Z> + lam*value(Z)`` than ``candidate``."""
    B, D = np.asarray(B, dtype=np.float64), np.asarray(D, dtype=np.float64)

    def objective(Z: Array) -> float:
        return math.fsum((Z * (0.5 * D * Z - B)).ravel()) + lam * float(value(Z))

    return _challenge(objective, B / D, np.asarray(candidate, dtype=np.float64), seed, polish)


def _challenge(
    objective: Callable[[Array], float], centre: Array, candidate: Array, seed: int, polish: bool
) -> Challenge:
    ours = objective(candidate)
    if not math.isfinite(ours):
        return Challenge(candidate, ours, ours, "none", 0, False, f"the candidate has objective {ours}")
    random = np.random.default_rng(seed)
    ranked = [(ours, "candidate", candidate)]
    undefined = 0
    for source, x in _rivals(centre, candidate, random):
        found = objective(x)
        undefined += math.isnan(found)
        # nan never sorts; an infinite objective (an indicator) is a legitimate loser.
        if math.isfinite(found):
            ranked.append((found, source, x))
    tried = len(ranked) + undefined
    ranked.sort(key=_objective)  # of equal ones the first stays first
    if polish and candidate.size <= SIMPLEX_ENTRIES:
        polished = [_polish(objective, x, f"{source}, polished") for _, source, x in _distinct(ranked, 3)]
        ranked = sorted([*ranked[:1], *(p for p in polished if math.isfinite(p[0]))], key=_objective)
    best, source, point = ranked[0]
    detail = f"{undefined} of {tried} points had no value" if undefined else ""
    return Challenge(point, best, ours, source, tried, True, detail)


def _objective(entry: Entry) -> float:
    return entry[0]


def _distinct(ranked: list[Entry], count: int) -> list[Entry]:
    """The best ``count`` with different objectives: near copies of one point polish to the same place."""
    chosen: list[Entry] = []
    for entry in ranked:
        if all(abs(entry[0] - other[0]) > 1e-6 * (abs(entry[0]) + abs(other[0])) for other in chosen):
            chosen.append(entry)
        if len(chosen) == count:
            break
    return chosen


def _polish(objective: Callable[[Array], float], start: Array, source: str) -> Entry:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # Line searches run into regions where a user's psi is infinite; that is not worth a warning.
        warnings.simplefilter("ignore")
        found = optimize.minimize(
            lambda x: objective(x.reshape(start.shape)),
            start.ravel(),
            method="Nelder-Mead",
            options={"maxiter": 200 * start.size, "xatol": 1e-10, "fatol": 1e-14},
        )
    point = np.asarray(found.x, dtype=np.float64).reshape(start.shape)
    return objective(point), source, point


def _rivals(centre: Array, candidate: Array, random: np.random.Generator) -> Iterator[tuple[str, Array]]:
    yield "zero", np.zeros_like(centre)
    yield "centre", centre.copy()
    yield "negative", -candidate
    yield "rounded centre", np.round(centre)
    for factor in (0.5, 0.9, 0.99, 0.999, 1 - 1e-5, 1 + 1e-5, 1.001, 1.01, 1.1, 2.0):
        yield f"candidate times {factor:g}", candidate * factor
        yield f"centre times {factor:g}", centre * factor
    for share in (0.01, 0.1, 0.3, 0.5, 0.7, 0.9):
        yield "between candidate and centre", (1 - share) * candidate + share * centre
    yield from _structured(centre, candidate)
    size = max(float(np.abs(candidate).max()), float(np.abs(centre).max())) or 1.0
    for scale in 10.0 ** np.arange(-8, 1):
        for _ in range(8):
            noise = random.standard_normal(candidate.shape) * scale * size
            yield f"noise {scale:.0e}", candidate + noise
            yield f"noise {scale:.0e} on the support", candidate + noise * (candidate != 0)
            yield f"sparse noise {scale:.0e}", candidate + noise * (random.random(candidate.shape) < 0.2)


def _structured(centre: Array, candidate: Array) -> Iterator[tuple[str, Array]]:
    """Entries, slices of every axis and ranks removed from the candidate, or taken from the centre."""
    for flat in range(min(candidate.size, SINGLES)):
        index = np.unravel_index(flat, candidate.shape)
        for name, entry in (("zeroed", 0.0), ("from the centre", centre[index])):
            x = candidate.copy()
            x[index] = entry
            yield f"entry {name}", x
    for axis in range(candidate.ndim):
        for position in range(min(candidate.shape[axis], SINGLES)):
            piece = (slice(None),) * axis + (position,)
            for name, values in (("zeroed", 0.0), ("from the centre", centre[piece])):
                x = candidate.copy()
                x[piece] = values
                yield f"slice of axis {axis} {name}", x
    order = np.argsort(-np.abs(centre), axis=None)
    for kept in range(1, min(candidate.size, SINGLES)):
        x = np.zeros_like(centre)
        where = np.unravel_index(order[:kept], centre.shape)
        x[where] = centre[where]
        yield "largest entries of the centre", x
    if candidate.ndim >= 2:
        for name, source in (("candidate", candidate), ("centre", centre)):
            left, sigma, right = np.linalg.svd(as_matrix(source), full_matrices=False)
            for rank in range(1, len(sigma)):
                yield f"{name} at rank {rank}", ((left[:, :rank] * sigma[:rank]) @ right[:rank]).reshape(source.shape)
