"""The tensors of a task, and writing Ŵ or its average to them."""

import triton
import triton.language as tl


@triton.jit
def pointer(address, before, dtype: tl.constexpr, SPEC: tl.constexpr):
    """The tensor whose address lies at ``address``, without the ``before`` entries that come first."""
    found = tl.load(address).to(tl.pointer_type(dtype)) + before
    if SPEC.aligned:
        found = tl.multiple_of(found, 16)
    return found


@triton.jit
def pointers(fixed, moving, task, before, SPEC: tl.constexpr):
    """Point, gradient, structured and three states of ``task``, from their entry number ``before`` on.

    What the task has not is the point or the first state.
    """
    mine = fixed + task * 4
    point = pointer(mine, before, SPEC.point, SPEC)
    x0 = pointer(mine + 1, before, SPEC.sums, SPEC)
    x1, x2 = x0, x0
    if SPEC.states > 1:
        x1 = pointer(mine + 2, before, SPEC.sums, SPEC)
    if SPEC.states > 2:
        x2 = pointer(mine + 3, before, SPEC.sums, SPEC)
    gradient, structured = point, x0
    if SPEC.gradient:
        gradient = pointer(moving + task * 2, before, SPEC.point, SPEC)
    if SPEC.structured:
        structured = pointer(moving + task * 2 + 1, before, SPEC.sums, SPEC)
    return point, gradient, structured, x0, x1, x2


@triton.jit
def write(point, structured, at, inside, z, good, all_good, mix, flush, SPEC: tl.constexpr):
    """Write Ŵ = z and its average; entries that are not good keep the point, bit for bit. All are of one shape."""
    # One answer for the whole tile, or the load would fall apart into single entries.
    needed = (mix != 1).to(tl.int32) | (all_good == 0).to(tl.int32)
    w = tl.load(point + at, mask=inside & (tl.broadcast_to(needed, at.shape) != 0), other=0.0).to(SPEC.sums)
    if SPEC.structured:
        tl.store(structured + at, tl.where(good, z, w), mask=inside)
    if SPEC.averages:
        z = tl.where(mix == 1, z, (1 - mix) * w + mix * z)
        # In this order a NaN stays.
        z = tl.where(tl.abs(z) <= flush, 0.0, z)
        tl.store(point + at, tl.where(good, z, w).to(SPEC.point), mask=inside)


@triton.jit
def count_kept(counters, task, kept):
    """Add to the number of groups of ``task`` that got Ŵ = point."""
    if kept > 0:
        tl.atomic_add(counters + task * 2, kept.to(tl.int64))


@triton.jit
def count_zero(counters, task, zero):
    """Add to the number of groups of ``task`` whose Ŵ is zero."""
    if zero > 0:
        tl.atomic_add(counters + task * 2 + 1, zero.to(tl.int64))
