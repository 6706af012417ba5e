"""What a subgradient near a point proves of its distance from the minimiser.

For ``s = D*Y - B + sum u_k`` and ``f_k(x) >= f_k(Y) + <u_k, x - Y> - slack_k`` of the terms f_k of lam*psi,

    Q(x) >= Q(Y) + <s, x - Y> + 1/2 ||x - Y||_D^2 - slack        for every x, slack the sum of the slack_k.

The minimum of the right-hand side over x gives ``Q(Y) - Q(Z*) <= a^2/2 + slack`` with ``a = ||s||_{1/D}``. Together
with ``Q(Y) >= Q(Z*) + 1/2 ||Y - Z*||_D^2``, the same at x = Z* gives ``r^2 <= a r + slack`` for ``r = ||Y - Z*||_D``,
so that ``r <= (a + sqrt(a^2 + 4 slack))/2``. Q is a sum over blocks of entries that no term couples, and each block has
a smallest entry of D of its own.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ramda_verify.oracles.enclosure.balls import Ball, root, smallest, total, zero


class Bound(NamedTuple):
    """Upper bounds: squares of ``||Y - Z*||`` and ``||Y - Z*||_D``, and ``Q(Y) - Q(Z*)``."""

    square: Ball
    metric_square: Ball
    gap: Ball


def bound(s: Sequence[Ball], d: Sequence[Ball], slack: dict[int, Ball], blocks: Sequence[int]) -> Bound:
    """The bounds by a subgradient s, entries in block ``blocks[i]``; ``slack`` of the blocks that have any."""
    energy: dict[int, Ball] = {}
    least: dict[int, Ball] = {}
    for entry, metric, block in zip(s, d, blocks, strict=True):
        energy[block] = energy.get(block, zero()) + entry * entry / metric
        least[block] = smallest(least.get(block, metric), metric)
    gap = total(energy.values()) / 2 + total(slack.values())
    squares = dict(energy)
    for block, extra in slack.items():
        r = (root(energy[block]) + root(energy[block] + 4 * extra)) / 2
        squares[block] = r * r
    return Bound(total(squares[block] / least[block] for block in squares), total(squares.values()), gap)
