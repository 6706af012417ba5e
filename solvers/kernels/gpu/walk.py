# mypy: allow-untyped-defs
"""Through one tile: load it, update the state, form B and D; write What or its average."""

import triton
import triton.language as tl

from solvers.kernels.gpu.recurrences import normal_form, update


@triton.jit
def pointer(address, dtype: tl.constexpr, HOW: tl.constexpr):
    """The tensor whose address lies at ``address``."""
    found = tl.load(address).to(tl.pointer_type(dtype))
    if HOW.aligned:
        found = tl.multiple_of(found, 16)
    return found


@triton.jit
def pointers(fixed, moving, task, HOW: tl.constexpr):
    """Point, gradient, structured and three states of ``task``; what it has not is the point or the first state."""
    mine = fixed + task * 4
    point = pointer(mine, HOW.point, HOW)
    x0 = pointer(mine + 1, HOW.sums, HOW)
    x1, x2 = x0, x0
    if HOW.states > 1:
        x1 = pointer(mine + 2, HOW.sums, HOW)
    if HOW.states > 2:
        x2 = pointer(mine + 3, HOW.sums, HOW)
    gradient, structured = point, x0
    if HOW.gradient:
        gradient = pointer(moving + task * 2, HOW.point, HOW)
    if HOW.structured:
        structured = pointer(moving + task * 2 + 1, HOW.sums, HOW)
    return point, gradient, structured, x0, x1, x2


@triton.jit
def form(point, gradient, to0, to1, to2, at, inside, k, FIRST: tl.constexpr, HOW: tl.constexpr):
    """B and D of the entries ``at``, zero where not ``inside``; with ``FIRST`` the gradient enters the state before."""
    x0 = tl.load(to0 + at, mask=inside, other=0.0)
    x1, x2 = x0, x0
    if HOW.states > 1:
        x1 = tl.load(to1 + at, mask=inside, other=0.0)
    if HOW.states > 2:
        x2 = tl.load(to2 + at, mask=inside, other=0.0)
    if FIRST and HOW.gradient:
        g = tl.load(gradient + at, mask=inside, other=0.0).to(HOW.sums)
        x0, x1, x2 = update(g, x0, x1, x2, k, HOW)
        if HOW.writes & 1:
            tl.store(to0 + at, x0, mask=inside)
        if HOW.writes & 2:
            tl.store(to1 + at, x1, mask=inside)
        if HOW.writes & 4:
            tl.store(to2 + at, x2, mask=inside)
    w = x0
    if HOW.from_point:
        w = tl.load(point + at, mask=inside, other=0.0).to(HOW.sums)
    b, d = normal_form(w, x0, x1, x2, k, HOW)
    return tl.where(inside, b, 0.0), tl.where(inside, d, 0.0)


@triton.jit
def write(point, structured, at, inside, z, good, all_good, mix, flush, HOW: tl.constexpr):
    """Write What = z and its average; entries that are not good keep the point. All tensors are of one shape."""
    # One answer for the whole tile, or the load would fall apart into single entries.
    needed = (mix != 1).to(tl.int32) | (all_good == 0).to(tl.int32)
    w = tl.load(point + at, mask=inside & (tl.broadcast_to(needed, at.shape) != 0), other=0.0).to(HOW.sums)
    z = tl.where(good, z, w)
    if HOW.structured:
        tl.store(structured + at, z, mask=inside)
    if HOW.averages:
        z = tl.where(mix == 1, z, (1 - mix) * w + mix * z)
        # In this order a NaN stays.
        z = tl.where(tl.abs(z) <= flush, 0.0, z)
        tl.store(point + at, z.to(HOW.point), mask=inside)
