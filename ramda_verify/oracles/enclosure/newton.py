"""A point much nearer to the minimiser: one step of Newton's method with zeros and kinks held fast.

Around a point whose zeros are those of Z*, Q is smooth along the entries that are not held, and a step squares the
relative error. It is a step towards Z* only where the guess is right; what is proved of the point that it leads to does
not rest on that.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ramda_verify.oracles.enclosure.balls import Ball, flint, total, zero
from ramda_verify.oracles.enclosure.part import Balls, Part


class Term(NamedTuple):
    """``column column' / give``, the column by its entries."""

    column: dict[int, Ball]
    give: Ball


def improved(parts: Sequence[Part], y: Balls, s: Balls, d: Balls, blocks: Sequence[int]) -> list[Ball] | None:
    """``y - H^-1 s`` with H the second derivative of Q along the free entries, block by block; the centres, as exact
    balls. None where every part is held fast: then s is as good as Z*.
    """
    diagonal, bends = list(d), False
    free = [True] * len(y)
    terms: dict[int, list[Term]] = {}
    for part in parts:
        bend = part.bend([y[i] for i in part.indices])
        for i, entry in zip(part.indices, bend.diagonal, strict=True):
            if entry is None:
                free[i] = False
            else:
                diagonal[i], bends = diagonal[i] + entry, True
        if bend.column is not None:
            column = dict(zip(part.indices, bend.column, strict=True))
            terms.setdefault(blocks[part.indices[0]], []).append(Term(column, bend.give))
    if not bends:
        return None
    step = [-entry / metric if moves else zero() for entry, metric, moves in zip(s, diagonal, free, strict=True)]
    for together in terms.values():
        _couple(together, step, diagonal, free)
    found = [a + b for a, b in zip(y, step, strict=True)]
    return [entry.mid() for entry in found] if all(entry.is_finite() for entry in found) else None


def _couple(terms: Sequence[Term], step: list[Ball], diagonal: Sequence[Ball], free: Sequence[bool]) -> None:
    """From ``A^-1 v`` in ``step`` to ``(A + sum w w'/give)^-1 v`` for the terms (w, give), by Woodbury's formula."""
    rows = [{i: entry for i, entry in term.column.items() if free[i]} for term in terms]
    scaled = [{i: entry / diagonal[i] for i, entry in row.items()} for row in rows]
    small = [[_along(row, other) for other in scaled] for row in rows]
    for k, term in enumerate(terms):
        small[k][k] = small[k][k] + term.give
    wanted = [[total(entry * step[i] for i, entry in row.items())] for row in rows]
    try:
        shares = flint.arb_mat(small).mid().solve(flint.arb_mat(wanted).mid())
    except ZeroDivisionError:
        return
    for j, column in enumerate(scaled):
        for i, entry in column.items():
            step[i] = step[i] - shares[j, 0] * entry


def _along(row: dict[int, Ball], column: dict[int, Ball]) -> Ball:
    return total(entry * column[i] for i, entry in row.items() if i in column)
