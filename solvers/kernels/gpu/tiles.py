"""Where the entries of a tile lie, and the sums over its groups."""

import triton
import triton.language as tl


@triton.jit
def place(panel, chunk, outer, groups, inner, SPEC: tl.constexpr, TILE: tl.constexpr):
    """Offsets [rows, columns] of the entries of a tile, and which of them exist."""
    rows, columns = tl.arange(0, TILE.rows), tl.arange(0, TILE.columns)
    if TILE.axis == 1:
        group, entry = panel * TILE.rows + rows, chunk * TILE.columns + columns
        inside = (group < groups)[:, None] & (entry < outer * inner)[None, :]
        if TILE.broken:
            run = entry // inner
            at = group[:, None] * inner + (run * (groups * inner) + entry - run * inner)[None, :]
        else:
            at = group[:, None] * inner + entry[None, :]
    else:
        pitch = groups * inner
        if SPEC.aligned:
            pitch = tl.multiple_of(pitch, 16)
        if TILE.segmented:
            # Whole groups only.
            width = TILE.columns // inner * inner
            column = panel * width + columns
            exists = (columns < width) & (column < pitch)
        else:
            column = panel * TILE.columns + columns
            exists = column < pitch
        row = chunk * TILE.rows + rows
        at = row[:, None] * pitch + column[None, :]
        inside = (row < outer)[:, None] & exists[None, :]
    return at, inside


@triton.jit
def same_group(inner, TILE: tl.constexpr):
    """[columns, columns]: which columns are of one group."""
    segment = tl.arange(0, TILE.columns)
    if TILE.segmented:
        segment = segment // inner
    return segment[:, None] == segment[None, :]


# From columns to groups by way of a square even where they are the same: the sums over a tile lie four columns to a
# thread, those over a square one, and all that comes of them then takes a quarter of the registers.


@triton.jit
def group_sum(lanes, inner, TILE: tl.constexpr):
    """From sums over ``axis`` to sums over groups; every lane gets that of its group."""
    if TILE.axis == 0:
        lanes = tl.sum(tl.where(same_group(inner, TILE), lanes[None, :], 0.0), 1)
    return lanes


@triton.jit
def group_max(lanes, inner, TILE: tl.constexpr):
    """As ``group_sum``, the largest of numbers >= 0."""
    if TILE.axis == 0:
        lanes = tl.max(tl.where(same_group(inner, TILE), lanes[None, :], 0.0), 1)
    return lanes


@triton.jit
def larger(a, b):
    """The larger of two numbers; NaN where one is."""
    return tl.maximum(a, b, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def moments(b, d, TILE: tl.constexpr):
    """max|b|, max|d|, max 1/d and, in float64, which no square leaves, sum b^2, sum b^2*d, sum b^2*d^2 of a lane."""
    wide, slope = b.to(tl.float64), d.to(tl.float64)
    square = wide * wide
    weighted = square * slope
    axis: tl.constexpr = TILE.axis
    return (
        tl.max(tl.abs(b), axis),
        tl.max(tl.abs(d), axis),
        tl.max(tl.where(d > 0, 1 / d, 0.0), axis),
        tl.sum(square, axis),
        tl.sum(weighted, axis),
        tl.sum(weighted * slope, axis),
    )


@triton.jit
def equation(b, d, r, t, TILE: tl.constexpr):
    """phi, psi and chi of every lane at its r, see ``norm_equation.move``."""
    axis: tl.constexpr = TILE.axis
    r, t = tl.expand_dims(r, axis), tl.expand_dims(t, axis)
    rd = r * d
    u = 1 / (rd + t)
    root = b * u
    ratio = rd * u
    term = root * root
    bent = term * ratio
    return tl.sum(term, axis), tl.sum(bent, axis), tl.sum(bent * ratio, axis)
