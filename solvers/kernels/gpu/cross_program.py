"""Sums over the programs that share a group: each posts its own, waits for the others and adds all up in one order.

Programs wait for each other while they run. That needs all that share a group to be on the GPU together, and nothing
else: a program takes its place by a ticket, drawn when it starts, so those with lower numbers have started before it,
and of all waiting programs the ones of the lowest group always have what they wait for as soon as the GPU has room for
as many programs as share a group (``most_parts`` of ``plan.cut``).
"""

import triton
import triton.language as tl

#: Posts that are read at a time.
AT_ONCE: tl.constexpr = tl.constexpr(32)


@triton.jit
def draw_ticket(counter):
    """0 for the first program that asks, then 1, 2, ..."""
    return tl.atomic_add(counter, 1, sem="relaxed").to(tl.int32)


@triton.jit
def post(board, quantity: tl.constexpr, value, part, parts, LANES: tl.constexpr):
    """Write ``value``, of LANES entries, to row ``part`` of ``quantity`` on the board: float64 [quantities, parts,
    LANES]. All quantities are float64 there, or those of narrower numbers would lie over their neighbours.
    """
    tl.store(board + (quantity * parts + part) * LANES + tl.arange(0, LANES), value.to(tl.float64))


@triton.jit
def meet(arrived, all_arrived):
    """Return when the counter ``arrived``, to which every program adds one here, has reached ``all_arrived``."""
    # The posts of all threads come before the arrival of their program; what the others posted is read after theirs.
    tl.debug_barrier()
    tl.atomic_add(arrived, 1, sem="acq_rel")
    while tl.atomic_add(arrived, 0, sem="acquire") < all_arrived:
        pass
    tl.debug_barrier()


@triton.jit
def posted(board, quantity: tl.constexpr, first, parts, LANES: tl.constexpr):
    """Rows ``first`` to ``first + AT_ONCE`` of ``quantity``, zero beyond ``parts``."""
    part = first + tl.arange(0, AT_ONCE)
    cells = board + (quantity * parts + part)[:, None] * LANES
    # Past the first cache, which does not see what other processors write.
    return tl.load(cells + tl.arange(0, LANES)[None, :], mask=(part < parts)[:, None], other=0.0, cache_modifier=".cg")


@triton.jit
def posted_sum(board, quantity: tl.constexpr, parts, LANES: tl.constexpr):
    """The sum over all parts, float64."""
    total = tl.zeros([LANES], dtype=tl.float64)
    for first in range(0, parts, AT_ONCE):
        total += tl.sum(posted(board, quantity, first, parts, LANES), 0)
    return total


@triton.jit
def posted_max(board, quantity: tl.constexpr, parts, LANES: tl.constexpr):
    """The largest over all parts, of numbers >= 0; float64."""
    largest = tl.zeros([LANES], dtype=tl.float64)
    for first in range(0, parts, AT_ONCE):
        largest = tl.maximum(largest, tl.max(posted(board, quantity, first, parts, LANES), 0))
    return largest
