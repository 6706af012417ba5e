"""psi is a sum over entries, since groups have one or no weight: Ŵ = sign(B) * max(|B| - t, 0) / D, in one pass."""

import triton
import triton.language as tl

from solvers.kernels.gpu.memory import count_kept, count_zero, pointers, write
from solvers.kernels.gpu.recurrences import form


@triton.jit(do_not_specialize=["ticket_at", "arrived_at"])
def step_entries(
    units,
    fixed,
    moving,
    shapes,
    weights,
    scalars,
    counters,
    partials,
    ticket_at,
    arrived_at,
    SPEC: tl.constexpr,
    TILE: tl.constexpr,
):
    """Arguments as ``step_groups``."""
    unit = units + tl.program_id(0) * 4
    task, piece = tl.load(unit), tl.load(unit + 1)
    size = tl.load(shapes + task * 5 + 1).to(SPEC.index)
    if SPEC.aligned:
        size = tl.multiple_of(size, 16)
    numbers = scalars + task * SPEC.numbers
    lam, mix, k = tl.load(numbers), tl.load(numbers + 1).to(SPEC.sums), numbers + 2
    threshold = (lam * (tl.load(weights + task * 3) + tl.load(weights + task * 3 + 2))).to(SPEC.sums)
    flush = tl.load(weights + task * 3 + 1).to(SPEC.sums)
    point, gradient, structured, x0, x1, x2 = pointers(fixed, moving, task, 0, SPEC)

    at = piece.to(SPEC.index) * TILE.columns + tl.arange(0, TILE.columns)
    inside = at < size
    b, d = form(point, gradient, x0, x1, x2, at, inside, k, 0.0, True, False, SPEC)
    shrunk = tl.abs(b) - threshold
    # A NaN in b must not pass for a zero, nor what an infinite d leaves of b; b/d shows all else that is not finite.
    z = tl.where(shrunk <= 0, 0.0, tl.where(b < 0, -shrunk, shrunk) / d)
    good = (tl.abs(z) <= SPEC.largest) & (d < float("inf"))
    kept = tl.sum((inside & (good == 0)).to(tl.int32), 0)
    zero = tl.sum((inside & good & (z == 0)).to(tl.int32), 0) * (threshold > 0).to(tl.int32)
    write(point, structured, at, inside, z, good, kept == 0, mix, flush, SPEC)
    count_kept(counters, task, kept)
    count_zero(counters, task, zero)
