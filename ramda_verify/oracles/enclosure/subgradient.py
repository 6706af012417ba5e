"""A subgradient of Q at a point, as short as the terms allow, and bounds on the length of the shortest one."""

from collections.abc import Sequence
from typing import NamedTuple

from ramda_verify.oracles.enclosure.balls import Ball, dot, flint, length, middle, squares, zero
from ramda_verify.oracles.enclosure.part import Balls, Member, Part

#: Rounds over parts that share entries; each of them ends with a subgradient.
ROUNDS = 200
#: Bits of the precision that a round may still move by before it counts as standing still.
SPARE = 24


class Subgradient(NamedTuple):
    """``s``, the slack of every part, and a ball or a lower bound of dist(0, dQ(Y))."""

    s: list[Ball]
    slack: list[Ball]
    shortest: Ball


def subgradient(parts: Sequence[Part], y: Balls, slope: Balls, disjoint: bool) -> Subgradient:
    """``slope + sum u_k``. Parts that share entries take their best member in turn, which is block descent on a square
    over one convex set for each; of those that share none a single round finds the shortest.
    """
    points = [[y[i] for i in part.indices] for part in parts]
    members = [Member([zero()] * len(part.indices), zero(), True) for part in parts]
    left = list(slope)
    goal = squares(slope) * flint.arb(2) ** (2 * SPARE - 2 * flint.ctx.prec)
    for _ in range(1 if disjoint else ROUNDS):
        before = list(left)
        for number, part in enumerate(parts):
            wanted = [members[number].u[j] - left[i] for j, i in enumerate(part.indices)]
            # Any vector may be asked for; a centre has no radius that would grow from round to round.
            found = part.member(points[number], wanted if disjoint else middle(wanted))
            for j, i in enumerate(part.indices):
                left[i] = left[i] + found.u[j] - members[number].u[j]
            if not disjoint:
                left = middle(left)
            members[number] = found
        if squares(a - b for a, b in zip(left, before, strict=True)) <= goal:
            break
    s = list(slope)
    for part, member in zip(parts, members, strict=True):
        for j, i in enumerate(part.indices):
            s[i] = s[i] + member.u[j]
    if disjoint and all(member.nearest for member in members):
        shortest = length(s)
    else:
        shortest = _separated(parts, points, slope, middle(s))
    return Subgradient(s, [member.slack for member in members], shortest)


def _separated(parts: Sequence[Part], points: Sequence[Balls], slope: Balls, direction: Balls) -> Ball:
    """A lower bound on every ``||slope + sum u_k||``: its component along ``direction``, by the least of each part."""
    size = length(direction)
    if not size > 0:
        return zero()
    along = dot(slope, direction)
    for part, point in zip(parts, points, strict=True):
        least = part.least(point, [direction[i] for i in part.indices])
        if least is None:
            return zero()
        along = along + least
    return along / size if along > 0 else zero()
