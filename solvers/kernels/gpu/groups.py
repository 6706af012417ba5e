"""Group norms: a program takes a tile of groups, or of parts of them, and keeps its B and D while the roots are found.

Long groups are shared by several programs (``split``), each with a part, which add up their sums. Where the parts are
still too long to be kept (``looped``), a program goes through its tiles anew for every iteration.
"""

import triton
import triton.language as tl

from solvers.kernels.gpu.arithmetic import power_of_two
from solvers.kernels.gpu.cross_program import draw_ticket, meet, post, posted_max, posted_sum
from solvers.kernels.gpu.memory import count_kept, count_zero, pointers, write
from solvers.kernels.gpu.norm_equation import move, start
from solvers.kernels.gpu.recurrences import form
from solvers.kernels.gpu.tiles import equation, group_max, group_sum, larger, moments, place
from solvers.regularizers import norm_equation

MAX_ITERATIONS: tl.constexpr = tl.constexpr(norm_equation.MAX_ITERATIONS)
#: Sums that programs post at most at a time.
QUANTITIES: tl.constexpr = tl.constexpr(6)
#: Of those, what a program has room for: two boards in turn.
BOARDS: tl.constexpr = tl.constexpr(2 * QUANTITIES.value)


@triton.jit(do_not_specialize=["ticket_at", "arrived_at"])
def step_groups(
    units,  # int32 [programs, 4]: task, panel (which groups), part (which of the programs that share them), block
    fixed,  # int64 [tasks, 4]: addresses of the point and the state
    moving,  # int64 [tasks, 2]: addresses of the gradient and of Ŵ
    shapes,  # int64 [tasks, 5]: outer, groups, inner of a block, parts, tiles a part
    weights,  # float64 [tasks, 3]: weight, flush, entry_weight
    scalars,  # float64 [tasks, numbers]: lam, mix, k0, k1, ...
    counters,  # int64: groups kept and groups that are zero of every task, then tickets, then arrivals
    partials,  # float64 [programs, 2, QUANTITIES, lanes]: two boards in turn
    ticket_at,
    arrived_at,
    SPEC: tl.constexpr,
    TILE: tl.constexpr,
):
    ticket = tl.program_id(0)
    if TILE.split:
        ticket = draw_ticket(counters + ticket_at)
    unit = units + ticket.to(tl.int64) * 4
    task, panel, part = tl.load(unit), tl.load(unit + 1).to(SPEC.index), tl.load(unit + 2)
    shape = shapes + task * 5
    outer, groups, inner = (
        tl.load(shape).to(SPEC.index),
        tl.load(shape + 1).to(SPEC.index),
        tl.load(shape + 2).to(SPEC.index),
    )
    parts, chunks = tl.load(shape + 3).to(tl.int32), tl.load(shape + 4).to(SPEC.index)
    if SPEC.aligned:
        # The pitch of the rows, whichever way the tile lies.
        if TILE.axis == 1:
            inner = tl.multiple_of(inner, 16)
        else:
            groups = tl.multiple_of(groups, 16)
    numbers = scalars + task * SPEC.numbers
    threshold = tl.load(numbers) * tl.load(weights + task * 3)
    of_entries = (tl.load(numbers) * tl.load(weights + task * 3 + 2)).to(SPEC.sums)
    mix, k = tl.load(numbers + 1).to(SPEC.sums), numbers + 2
    flush = tl.load(weights + task * 3 + 1).to(SPEC.sums)
    before = tl.load(unit + 3).to(tl.int64) * tl.load(shape) * tl.load(shape + 1) * tl.load(shape + 2)
    point, gradient, structured, x0, x1, x2 = pointers(fixed, moving, task, before, SPEC)
    lanes: tl.constexpr = TILE.lanes
    board = partials + (ticket - part).to(tl.int64) * (BOARDS * lanes)
    arrived = counters + arrived_at + ticket - part
    meetings = tl.full([], 0, tl.int32)

    # The state takes the gradient in; what the start of the iteration needs of B and D.
    first_chunk = part * chunks
    at, inside = place(panel, first_chunk, outer, groups, inner, SPEC, TILE)
    b, d = form(point, gradient, x0, x1, x2, at, inside, k, of_entries, True, SPEC.entry_weight, SPEC)
    longest, steepest, flattest, square, weighted, twice = moments(b, d, TILE)
    if TILE.looped:
        for chunk in range(first_chunk + 1, first_chunk + chunks):
            at, inside = place(panel, chunk, outer, groups, inner, SPEC, TILE)
            b, d = form(point, gradient, x0, x1, x2, at, inside, k, of_entries, True, SPEC.entry_weight, SPEC)
            more_longest, more_steepest, more_flattest, more_square, more_weighted, more_twice = moments(b, d, TILE)
            longest, steepest = larger(longest, more_longest), larger(steepest, more_steepest)
            flattest = larger(flattest, more_flattest)
            square, weighted, twice = square + more_square, weighted + more_weighted, twice + more_twice
    if TILE.split:  # noqa: SIM102 - decided by the compiler, which leaves all within out; `parts` is known when it runs
        if parts > 1:
            post(board, 0, longest, part, parts, lanes)
            post(board, 1, steepest, part, parts, lanes)
            post(board, 2, square, part, parts, lanes)
            post(board, 3, weighted, part, parts, lanes)
            post(board, 4, twice, part, parts, lanes)
            post(board, 5, flattest, part, parts, lanes)
            meetings += 1
            meet(arrived, parts * meetings)
            longest = posted_max(board, 0, parts, lanes).to(SPEC.sums)
            steepest = posted_max(board, 1, parts, lanes).to(SPEC.sums)
            square = posted_sum(board, 2, parts, lanes)
            weighted = posted_sum(board, 3, parts, lanes)
            twice = posted_sum(board, 4, parts, lanes)
            flattest = posted_max(board, 5, parts, lanes).to(SPEC.sums)
    longest, steepest = group_max(longest, inner, TILE), group_max(steepest, inner, TILE)
    square, weighted = group_sum(square, inner, TILE), group_sum(weighted, inner, TILE)
    twice, flattest = group_sum(twice, inner, TILE), group_max(flattest, inner, TILE)
    b_exponent, d_exponent, r, t, low, sought, lost = start(
        longest, steepest, flattest, square, weighted, twice, threshold, SPEC.sums
    )
    b_unit = tl.expand_dims(power_of_two(-b_exponent, SPEC.sums), TILE.axis)
    d_unit = tl.expand_dims(power_of_two(-d_exponent, SPEC.sums), TILE.axis)
    if TILE.looped:
        # What one thread has written another may read.
        tl.debug_barrier()
    else:
        b, d = b * b_unit, d * d_unit

    # The roots: all programs that share a group do the same with the same sums.
    high = tl.full(r.shape, float("inf"), SPEC.sums)
    going = sought.to(tl.int32)
    near = tl.zeros_like(going)
    iteration = 0
    while (iteration < MAX_ITERATIONS) & (tl.max(going, 0) > 0):
        if TILE.looped:
            phi = tl.zeros([lanes], dtype=tl.float64)
            psi, chi = phi, phi
            for chunk in range(first_chunk, first_chunk + chunks):
                at, inside = place(panel, chunk, outer, groups, inner, SPEC, TILE)
                b, d = form(point, gradient, x0, x1, x2, at, inside, k, of_entries, False, SPEC.entry_weight, SPEC)
                more_phi, more_psi, more_chi = equation(b * b_unit, d * d_unit, r, t, TILE)
                phi, psi, chi = phi + more_phi, psi + more_psi, chi + more_chi
        else:
            phi, psi, chi = equation(b, d, r, t, TILE)
        phi, psi, chi = phi.to(SPEC.sums), psi.to(SPEC.sums), chi.to(SPEC.sums)
        if TILE.split:  # noqa: SIM102 - as above
            if parts > 1:
                # The other board: some may still read the last one.
                other = board + (meetings % 2) * parts * (QUANTITIES * lanes)
                post(other, 0, phi, part, parts, lanes)
                post(other, 1, psi, part, parts, lanes)
                post(other, 2, chi, part, parts, lanes)
                meetings += 1
                meet(arrived, parts * meetings)
                phi = posted_sum(other, 0, parts, lanes).to(SPEC.sums)
                psi = posted_sum(other, 1, parts, lanes).to(SPEC.sums)
                chi = posted_sum(other, 2, parts, lanes).to(SPEC.sums)
        phi, psi, chi = group_sum(phi, inner, TILE), group_sum(psi, inner, TILE), group_sum(chi, inner, TILE)
        last = iteration == MAX_ITERATIONS - 1
        next_r, next_low, next_high, small, done, senseless = move(r, low, high, phi, psi, chi, near, last, SPEC.sums)
        # What is judged is the r at which the sums were taken: a group that is solved keeps it.
        active = (going != 0) & (done == 0)
        r, low, high = tl.where(active, next_r, r), tl.where(active, next_low, low), tl.where(active, next_high, high)
        near = small
        lost = lost | (active & senseless)
        going = (active & (senseless == 0)).to(tl.int32)
        iteration += 1

    # z = b / (d + t/r), scaled back in two steps, between which nothing overflows or vanishes that need not.
    scale = b_exponent - d_exponent
    half = scale >> 1
    unit_1, unit_2 = power_of_two(half, SPEC.sums), power_of_two(scale - half, SPEC.sums)
    norm = r * unit_1 * unit_2
    # An entry may be larger than the norm by its rounding.
    lost = lost | (going != 0) | (sought & ((norm * 1.001 <= SPEC.largest) == 0))
    stand = stand_for_groups(panel, part, groups, inner, TILE)
    kept = tl.sum((lost & stand).to(tl.int32), 0)
    zero = tl.sum(((lost == 0) & (norm == 0) & stand).to(tl.int32), 0)
    count_zero(counters, task, zero * (threshold > 0).to(tl.int32))
    # Where z = 0 the shift is infinite.
    shift = tl.expand_dims(tl.where(lost, float("inf"), t / r), TILE.axis)
    unit_1, unit_2 = tl.expand_dims(unit_1, TILE.axis), tl.expand_dims(unit_2, TILE.axis)
    any_lost = tl.max(lost.to(tl.int32), 0)
    lost = tl.expand_dims(lost, TILE.axis)
    if TILE.looped:
        for chunk in range(first_chunk, first_chunk + chunks):
            at, inside = place(panel, chunk, outer, groups, inner, SPEC, TILE)
            b, d = form(point, gradient, x0, x1, x2, at, inside, k, of_entries, False, SPEC.entry_weight, SPEC)
            z = solution(b * b_unit, d * d_unit, shift, unit_1, unit_2)
            kept += finish(point, structured, at, inside, z, lost, any_lost, mix, flush, SPEC)
    else:
        z = solution(b, d, shift, unit_1, unit_2)
        kept += finish(point, structured, at, inside, z, lost, any_lost, mix, flush, SPEC)
    count_kept(counters, task, kept)


@triton.jit
def stand_for_groups(panel, part, groups, inner, TILE: tl.constexpr):
    """Which lanes stand for a group in the count: of every group that exists one, in one program."""
    lane = tl.arange(0, TILE.lanes)
    if TILE.segmented:
        whole = TILE.columns // inner
        stands = (lane % inner == 0) & (lane // inner < whole) & (panel * whole + lane // inner < groups)
    else:
        stands = panel * TILE.lanes + lane < groups
    return stands & (part == 0)


@triton.jit
def solution(b, d, shift, unit_1, unit_2):
    """z = b / (d + shift), shift = t/r, scaled back; zero where r is."""
    return tl.where(shift < float("inf"), b / (d + shift) * unit_1 * unit_2, 0.0)


@triton.jit
def finish(point, structured, at, inside, z, lost, any_lost, mix, flush, SPEC: tl.constexpr):
    """Write a tile; returns how many entries of sound groups kept the point, which happens only where t is zero."""
    held = tl.abs(z) <= SPEC.largest
    alone = tl.sum(tl.sum((inside & (held == 0)).to(tl.int32), 1), 0)
    write(point, structured, at, inside, z, held & (lost == 0), alone + any_lost == 0, mix, flush, SPEC)
    return alone
