"""Subproblems whose exact solution is rational and known beforehand: what an enclosure must not contradict.

Where psi has a gradient or a subgradient with rational entries at Z* (norms from Pythagorean triples), B is chosen as
``D*Z* + that subgradient``, so that Z* is the minimiser whatever D is. All numbers are small dyadic ones, which float64
holds exactly.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from ramda_verify.oracles.atoms import Norm, Scalar, Simplex, Spectral
from ramda_verify.oracles.atoms.functions import ABS, SQUARE, huber
from ramda_verify.oracles.enclosure import Enclosure, enclose
from ramda_verify.oracles.exact import objective
from ramda_verify.oracles.index_sets import every
from tests.oracles.stand_ins import named


@dataclass(frozen=True)
class ExactProblem:
    """A subproblem and its solution; ``residual`` of a point as a square, where it is rational."""

    psi: Any
    B: np.ndarray
    D: np.ndarray
    lam: float
    solution: list[Fraction]
    residual: Callable[[np.ndarray], Fraction] | None = None


def dyadic(random: np.random.Generator, size: int, low: int = -64, high: int = 64) -> np.ndarray:
    return random.integers(low, high + 1, size) / 2.0 ** random.integers(0, 6, size)


def metric(random: np.random.Generator, size: int, most: int = 26) -> np.ndarray:
    """Powers of two and small multiples of them, up to 2^most apart."""
    return random.integers(1, 8, size) * 2.0 ** -random.integers(0, most + 1, size)


def soft(random: np.random.Generator, size: int = 3) -> ExactProblem:
    """L1: the soft threshold of B, over D."""
    B, D, lam, weight = dyadic(random, size), metric(random, size), 0.75, 1.5
    t, b, d = Fraction(lam) * Fraction(weight), *([*map(Fraction, values)] for values in (B, D))
    solution = [max(abs(p) - t, 0) * (1 if p > 0 else -1) / q for p, q in zip(b, d, strict=True)]

    def residual(Z: np.ndarray) -> Fraction:
        found = Fraction(0)
        for z, p, q in zip(map(Fraction, Z), b, d, strict=True):
            slope = q * z - p
            short = max(abs(slope) - t, 0) if z == 0 else abs(slope + (t if z > 0 else -t))
            found += short * short
        return found

    return ExactProblem(named("L1", reg_weight=weight), B, D, lam, solution, residual)


def elastic(random: np.random.Generator, size: int = 3) -> ExactProblem:
    """Elastic net: the soft threshold over D + 2*lam*square_weight."""
    B, D, lam = dyadic(random, size), metric(random, size), 0.5
    psi = [Scalar(1.5, every((size,)), ABS), Scalar(0.25, every((size,)), SQUARE)]
    t, extra = Fraction(3, 4), Fraction(1, 4)
    pairs = zip(map(Fraction, B), map(Fraction, D), strict=True)
    solution = [max(abs(p) - t, 0) * (1 if p > 0 else -1) / (q + extra) for p, q in pairs]
    return ExactProblem(psi, B, D, lam, solution)


def bent(random: np.random.Generator, size: int = 3) -> ExactProblem:
    """Huber's function: linear beyond its width."""
    B, D, lam, width = dyadic(random, size), metric(random, size), 2.0, Fraction(1, 2)
    solution = []
    for p, q in zip(map(Fraction, B), map(Fraction, D), strict=True):
        inside = p / (q + 2)
        solution.append(inside if abs(inside) <= width else (p - 2 * width * (1 if p > 0 else -1)) / q)
    return ExactProblem([Scalar(1.0, every((size,)), huber(0.5))], B, D, lam, solution)


def simplex(random: np.random.Generator, size: int = 3) -> ExactProblem:
    """The projection in the metric D: of all supports, the one whose multiplier fits."""
    B, D, radius = dyadic(random, size, -4, 4), metric(random, size, int(random.choice([2, 26]))), Fraction(3, 2)
    b, d = [*map(Fraction, B)], [*map(Fraction, D)]
    for code in range(1, 2**size):
        here = [i for i in range(size) if code >> i & 1]
        mu = (sum(b[i] / d[i] for i in here) - radius) / sum(1 / d[i] for i in here)
        if all((b[i] > mu) == (i in here) for i in range(size)):
            break
    solution = [(b[i] - mu) / d[i] if i in here else Fraction(0) for i in range(size)]
    return ExactProblem([Simplex(every((size,)), 1.5)], B, D, 0.5, solution)


def _made(
    psi: Any, lam: float, solution: list[int], subgradient: list[Any], random: np.random.Generator
) -> ExactProblem:
    """The problem that ``solution`` solves by this subgradient of lam*psi, in a random metric."""
    shape = (len(solution),)
    D = metric(random, shape[0], 12)
    B = [float(Fraction(q) * z + Fraction(u)) for q, z, u in zip(D, solution, subgradient, strict=True)]
    return ExactProblem(psi, np.array(B), D, lam, [*map(Fraction, solution)])


def group(random: np.random.Generator) -> ExactProblem:
    """A nonzero group (3, -4) and a zero one, which pulls with less than its price, or exactly with it."""
    psi = [Norm(5.0, np.array([0, 2])), Norm(10.0, np.array([1, 3, 4]))]
    pull = random.choice([0, 1, 2, 5]) * np.array([2, -1, 2]) * 0.5  # of length 0, 1.5, 3, 7.5
    touching = [0.0, 3.0, 4.0]  # of length 5 = 10 * 0.5
    zero = touching if random.random() < 0.3 or np.hypot(*pull[:2]) > 4 else pull.tolist()
    return _made(psi, 0.5, [3, 0, -4, 0, 0], [1.5, zero[0], -2.0, zero[1], zero[2]], random)


def weighted_groups(random: np.random.Generator) -> ExactProblem:
    """Columns of four entries: sqrt(4) is rational; (1, 1, 1, 1) has length 2."""
    psi = named("GroupLasso", reg_weight=1.5, grouping="input", layout="out_in", conv_groups=1)
    D = metric(random, 8, 12).reshape(4, 2)
    signs = random.choice([-1.0, 1.0], 4)
    # The price of a column is 0.5 * 1.5 * 2 = 1.5.
    B = D * np.stack([signs, np.zeros(4)], axis=1) + np.stack([0.75 * signs, [0.5, 0.5, -0.5, 0.25]], axis=1)
    solution = np.stack([signs, np.zeros(4)], axis=1).ravel()
    return ExactProblem(psi, B, D, 0.5, [*map(Fraction, solution)])


def sparse_group(random: np.random.Generator) -> ExactProblem:
    """A norm over all entries, |z_i| beside it: (3, 0, -4) and a group that is zero."""
    psi = [Scalar(0.5, every((6,)), ABS), Norm(5.0, np.array([0, 1, 2])), Norm(2.0, np.array([3, 4, 5]))]
    within = random.choice([-0.5, 0.0, 0.25, 0.5])
    beyond = [2.5, -0.5, 0.25] if random.random() < 0.5 else [0.5, 0.25, 0.0]
    return _made(psi, 1.0, [3, 0, -4, 0, 0, 0], [3 + 0.5, within, -4 - 0.5, *beyond], random)


def overlapping(random: np.random.Generator) -> ExactProblem:
    """Groups that share entries, with lengths 5, 4 and 0."""
    psi = [Norm(5.0, np.array([0, 1])), Norm(4.0, np.array([1, 2])), Norm(6.0, np.array([2, 3]))]
    return _made(psi, 1.0, [3, 4, 0, 0], [3.0, 4.0 + 4.0, random.choice([-5.0, 0.0, 2.0]), 1.0], random)


def nuclear(random: np.random.Generator) -> ExactProblem:
    """Rank one, ``2^k * 65 * u v'`` with u = (3, 4)/5 and v = (5, 12)/13; the rest of the dual up to the bound."""
    within = np.outer([3.0, 4.0], [5.0, 12.0])  # 65 u v'
    beyond = np.outer([4.0, -3.0], [12.0, -5.0]) * random.choice([-0.5, 0.0, 0.75, 1.0])
    D = metric(random, 4, 6).reshape(2, 2)
    solution = within * 2.0 ** random.integers(-3, 4)
    B = D * solution + 65.0 * 0.5 * (within + beyond) / 65.0
    psi = [Spectral(65.0, every((2, 2)), (2, 2), ABS)]
    return ExactProblem(psi, B, D, 0.5, [*map(Fraction, solution.ravel())])


PROBLEMS = (
    *(soft, elastic, bent, simplex, group, weighted_groups, sparse_group, overlapping, nuclear),
    *(lambda random: soft(random, 1), lambda random: simplex(random, 1), lambda random: elastic(random, 2)),
)


def points(problem: ExactProblem, random: np.random.Generator) -> list[np.ndarray]:
    """The solution rounded to float64 and to float32, and moved on its support by 1e-16 to 1."""
    exact = np.array([float(z) for z in problem.solution]).reshape(problem.B.shape)
    found = [exact, exact.astype(np.float32).astype(np.float64)]
    for size in (1e-16, 1e-12, 1e-8, 1e-3, 0.3):
        found.append(exact * (1 + size * random.uniform(-1, 1, exact.shape)))
    return found


def is_on_the_set(problem: ExactProblem, Z: np.ndarray) -> bool:
    total = sum(map(Fraction, Z.ravel().tolist()))
    return not any(isinstance(atom, Simplex) and total != Fraction(atom.radius) for atom in _atoms(problem.psi))


def _atoms(psi: Any) -> list[Any]:
    return psi if isinstance(psi, list) else []


def contradictions(problem: ExactProblem, Z: np.ndarray) -> list[str]:
    """What an enclosure states about Z that is not so, in exact arithmetic (the gap in Q in 70 digits)."""
    found: Enclosure = enclose(Z, problem.B, problem.D, problem.lam, problem.psi)
    z, d = ([*map(Fraction, values.ravel().tolist())] for values in (Z, problem.D))
    move = [a - b for a, b in zip(z, problem.solution, strict=True)]
    distance = sum(m * m for m in move)
    in_metric = sum(q * m * m for q, m in zip(d, move, strict=True))
    wrong = []
    if Fraction(found.distance) ** 2 < distance:
        wrong.append(f"distance {found.distance} < {float(distance) ** 0.5}")
    if Fraction(found.metric_distance) ** 2 < in_metric:
        wrong.append(f"distance in the metric {found.metric_distance} < {float(in_metric) ** 0.5}")
    if problem.residual is not None:
        square = problem.residual(Z)
        if not Fraction(found.residual.low) ** 2 <= square <= Fraction(found.residual.high) ** 2:
            wrong.append(f"residual {found.residual}, exactly {float(square) ** 0.5}")
    at_Z = objective(Z, problem.B, problem.D, problem.lam, problem.psi)
    lowest = objective(_rational(problem), problem.B, problem.D, problem.lam, problem.psi)
    rounding = 1e-60 * (abs(at_Z) + abs(lowest) + 1e-200)
    if found.objective_gap < abs(at_Z - lowest) - rounding:
        wrong.append(f"gap {found.objective_gap} < {at_Z - lowest}")
    if not found.optimum.low - rounding <= lowest <= found.optimum.high + rounding:
        wrong.append(f"optimum {lowest} outside {found.optimum}")
    return wrong


def _rational(problem: ExactProblem) -> np.ndarray:
    """The solution as mpmath numbers of 70 digits."""
    from mpmath import mp

    with mp.workdps(80):
        exact = [mp.mpf(z.numerator) / z.denominator for z in problem.solution]
    return np.array(exact, dtype=object).reshape(problem.B.shape)
