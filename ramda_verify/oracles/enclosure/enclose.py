"""``enclose``: the residual of a point and its distance from the minimiser, as statements that hold exactly."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from ramda_verify.oracles.answer import Array
from ramda_verify.oracles.atoms import Atom, Norm, Scalar, Simplex, Spectral
from ramda_verify.oracles.enclosure.balls import (
    Ball,
    above,
    below,
    dot,
    exactly,
    flint,
    is_exactly_zero,
    length,
    root,
    total,
    zero,
)
from ramda_verify.oracles.enclosure.blocks import block_of_each
from ramda_verify.oracles.enclosure.bound import bound
from ramda_verify.oracles.enclosure.newton import improved
from ramda_verify.oracles.enclosure.norm import NormPart
from ramda_verify.oracles.enclosure.part import Part
from ramda_verify.oracles.enclosure.result import Enclosure, Interval
from ramda_verify.oracles.enclosure.scalar import ScalarPart
from ramda_verify.oracles.enclosure.simplex import SimplexPart
from ramda_verify.oracles.enclosure.spectral import SpectralPart
from ramda_verify.oracles.enclosure.subgradient import subgradient
from ramda_verify.oracles.psi import atoms_of, disjoint, is_known

PARTS: dict[type[Atom], Any] = {Norm: NormPart, Scalar: ScalarPart, Simplex: SimplexPart, Spectral: SpectralPart}
#: Bits at first, doubled until the enclosure is sharp, and at most.
BITS, MOST_BITS = 192, 6144
#: An enclosure is sharp where the residual is known to this share of itself, or is below that share of B and D*Z.
SHARP, NEGLIGIBLE = 2.0**-20, 2.0**-90


def why_not(regularizer: Any, shape: tuple[int, ...]) -> str | None:
    """The reason why points of a subproblem with this psi cannot be enclosed; None where they can."""
    if not is_known(regularizer):
        return "psi is not known as a sum of atoms"
    atoms = atoms_of(regularizer, shape)
    if not all(atom.convex for atom in atoms):
        return "psi is not convex"
    if any(type(atom) not in PARTS for atom in atoms):
        return "a term of psi has no enclosure"
    spectral = [atom for atom in atoms if isinstance(atom, Spectral)]
    if any(not atom.function.homogeneous for atom in spectral):
        return "of functions of singular values only their sum has an enclosure"
    if spectral and len(atoms) > 1:
        return "a function of singular values has no enclosure together with other terms"
    return None


def applies(regularizer: Any, shape: tuple[int, ...]) -> bool:
    """Whether points of a subproblem with this psi can be enclosed."""
    return why_not(regularizer, shape) is None


def enclose(point: Array, B: Array, D: Array, lam: float, regularizer: Any, eps: float | None = None) -> Enclosure:
    """The theorem about ``point`` as the minimiser of ``1/2<Z,D*Z> - <B,Z> + lam*psi(Z)``.

    The numbers are read as the exact rationals that they are, and psi as its definition has it: no price is rounded. At
    lam = 0 there is no psi, and no constraint either.

    Arguments:
        point, B, D: arrays of one shape, float64 or narrower; D > 0.
        lam: the weight of psi, >= 0.
        regularizer: one that ``applies`` accepts, or a list of atoms.
        eps: the relative rounding of the point, by that of its dtype if None: the residual is that of a matrix whose
            singular values below max(m, n)*eps times the largest are zero. The distance does not depend on it.

    Raises:
        TypeError where psi is none that has an enclosure; ValueError where the numbers are no subproblem.

    Source: Rockafellar, Convex Analysis (1970), sections 23 and 31; Johansson, Arb (2017), for the arithmetic.
    """
    z, b, d = (_checked(name, value) for name, value in (("point", point), ("B", B), ("D", D)))
    if not z.shape == b.shape == d.shape:
        raise ValueError(f"point, B and D must have one shape, got {z.shape}, {b.shape} and {d.shape}")
    if not (d > 0).all():
        raise ValueError(f"D must be > 0, got {d.min()}")
    if not (math.isfinite(lam) and lam >= 0):
        raise ValueError(f"lam must be finite and >= 0, got {lam}")
    reason = why_not(regularizer, z.shape)
    if reason is not None:
        raise TypeError(f"regularizer {regularizer!r} has no enclosure: {reason}")
    if eps is None:
        kind = np.asarray(point).dtype
        eps = float(np.finfo(kind if np.issubdtype(kind, np.floating) else np.float64).eps)
    atoms = sorted(atoms_of(regularizer, z.shape), key=lambda atom: not atom.separable) if lam > 0 else []
    blocks, bits = block_of_each(atoms, z.size), BITS
    while True:
        with flint.ctx.workprec(bits):
            found = _at_this_precision(z, b, d, lam, atoms, blocks, eps)
        if found.sharp or bits >= MOST_BITS:
            return found.enclosure
        bits *= 2


def _checked(name: str, value: Array) -> Array:
    found = np.asarray(value)
    numbers = found.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name} must be finite, got {numbers[~np.isfinite(numbers)][0]}")
    with np.errstate(invalid="ignore"):
        as_given = numbers.astype(found.dtype)  # and not the other way round: an int64 would be rounded to be compared
    if not (as_given == found).all():
        raise ValueError(f"{name} must hold float64 numbers or narrower ones, got {found.dtype}")
    return numbers


class _Found(NamedTuple):
    enclosure: Enclosure
    distance: Ball
    sharp: bool
    s: list[Ball]


class _Problem(NamedTuple):
    """The numbers as balls, the block of every entry, and whether no two atoms share one."""

    z: list[Ball]
    b: list[Ball]
    d: list[Ball]
    blocks: Sequence[int]
    apart: bool


def _at_this_precision(
    z: Array, b: Array, d: Array, lam: float, atoms: Sequence[Atom], blocks: Sequence[int], eps: float
) -> _Found:
    """The best of the ways in which the parts may come to a point."""
    problem, weight = _Problem(exactly(z), exactly(b), exactly(d), blocks, disjoint(atoms)), flint.arb(lam)
    parts = [PARTS[type(atom)](atom, weight) for atom in atoms]
    choices = product(*(part.choices([problem.z[i] for i in part.indices], eps) for part in parts))
    first, *others = (_by(chosen, problem) for chosen in choices)
    for other in others:
        first = _best(first, other)
    return first


def _by(parts: Sequence[Part], problem: _Problem) -> _Found:
    """What is proved from Z itself, or the point near it, and from where a Newton step leads."""
    y = _near(problem.z, parts)
    first = _from(y, parts, problem)
    better = improved(parts, y, first.s, problem.d, problem.blocks)
    slope = [metric * entry - pull for metric, entry, pull in zip(problem.d, y, problem.b, strict=True)]
    again = [part.refined(*([values[i] for i in part.indices] for values in (y, slope, problem.d))) for part in parts]
    if any(again):
        parts = [new or part for new, part in zip(again, parts, strict=True)]
        return _best(first, _from(_near(better or y, parts), parts, problem))
    if better is None:
        return first
    return _best(first, _from(_near(better, parts), parts, problem))


def _best(first: _Found, second: _Found) -> _Found:
    """All that both prove; the residual is that of the first."""
    nearer = min(first, second, key=lambda one: one.distance)
    bounds = [found.enclosure for found in (first, second)]
    both = replace(
        nearer.enclosure,
        residual=bounds[0].residual,
        moved=bounds[0].moved,
        metric_distance=min(found.metric_distance for found in bounds),
        objective_gap=min(found.objective_gap for found in bounds),
        optimum=Interval(max(found.optimum.low for found in bounds), min(found.optimum.high for found in bounds)),
    )
    return first._replace(enclosure=both, distance=nearer.distance, sharp=nearer.sharp)


def _near(z: Sequence[Ball], parts: Sequence[Part]) -> list[Ball]:
    """z, moved to where every part knows its subdifferential."""
    y = list(z)
    for part in parts:
        near = part.nearby([y[i] for i in part.indices])
        if near is not None:
            for i, entry in zip(part.indices, near, strict=True):
                y[i] = entry
    return y


def _from(y: list[Ball], parts: Sequence[Part], problem: _Problem) -> _Found:
    """The theorem from a point y at which every part knows its subdifferential."""
    z, b, d, blocks, apart = problem
    slope = [metric * entry - pull for metric, entry, pull in zip(d, y, b, strict=True)]
    s, slacks, shortest = subgradient(parts, y, slope, apart)
    slack: dict[int, Ball] = {}
    for part, extra in zip(parts, slacks, strict=True):
        if not is_exactly_zero(extra):
            block = blocks[part.indices[0]]
            slack[block] = slack.get(block, zero()) + extra
    limits = bound(s, d, slack, blocks)
    at_y = dot(y, [metric * entry / 2 - pull for metric, entry, pull in zip(d, y, b, strict=True)])
    at_y = at_y + total(part.value([y[i] for i in part.indices]) for part in parts)
    move = [a - c for a, c in zip(z, y, strict=True)]
    moved, moved_in_metric = length(move), root(total(m * m * metric for m, metric in zip(move, d, strict=True)))
    distance, in_metric = (root(limits.square) + moved).upper(), root(limits.metric_square) + moved_in_metric
    rise = dot(move, [metric * (a + c) / 2 - pull for metric, a, c, pull in zip(d, z, y, b, strict=True)])
    for part in parts:
        if any(not is_exactly_zero(move[i]) for i in part.indices):
            rise = rise + part.change([z[i] for i in part.indices], [y[i] for i in part.indices])
    gap = rise.union(rise + limits.gap)
    # A subgradient with a slack is within sqrt(slack*top) of one at a point within sqrt(slack/top), for every top > 0
    # (Broendsted and Rockafellar, 1965); D times that move is at most as much again where top is max D.
    spent, top = total(slacks), max(d, key=float)
    near = root(spent * top)
    long, moved_at_most = length(s) + 2 * near, moved + root(spent / top)
    enclosure = Enclosure(
        residual=Interval(max(0.0, below(shortest)), above(long)),
        moved=above(moved_at_most),
        distance=above(distance),
        metric_distance=above(in_metric),
        relative_distance=_relative(distance, length(z)),
        objective_gap=above(gap.abs_upper()),
        optimum=Interval(below(at_y - limits.gap), above(at_y)),
        bits=flint.ctx.prec,
    )
    scale = length(b) + length(metric * entry for metric, entry in zip(d, y, strict=True))
    sharp = long.upper() - long.lower() <= SHARP * long.upper() or long.upper() <= NEGLIGIBLE * scale
    pull_in_metric = total(pull * pull / metric for pull, metric in zip(b, d, strict=True))
    known = spent <= SHARP * limits.gap or spent.upper() <= NEGLIGIBLE * pull_in_metric
    return _Found(enclosure, distance if distance.is_finite() else flint.arb.pos_inf(), bool(sharp and known), s)


def _relative(distance: Ball, size: Ball) -> float:
    """``||Z - Z*|| / ||Z*||`` with ``||Z*|| >= ||Z|| - ||Z - Z*||``."""
    if distance == 0:
        return 0.0
    left = size - distance
    return above(distance / left) if left > 0 else math.inf
