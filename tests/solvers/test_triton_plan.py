"""How tasks are cut into programs of Triton, by hand: tiles, panels, parts, and the launches that tasks share."""

import math
from dataclasses import replace

import pytest
import torch

pytest.importorskip("triton", reason="triton is not installed")

import triton.language as tl

from solvers.kernels.contract import Recurrence, StepTask
from solvers.kernels.gpu.entries import step_entries
from solvers.kernels.gpu.groups import step_groups
from solvers.kernels.gpu.plan import CHANNELS, COLUMNS, ENTRIES, LONG_RUN, RUNS, Cut, cut, make_plan
from solvers.kernels.gpu.spec import Tile
from solvers.regularizers.members import GroupNorms

RMDA = Recurrence("rmda", ("initial_point", "grad_sum"), 3)


def test_tiles_of_groups_have_4096_entries():
    assert [tile.rows * tile.columns for tile in (*RUNS, *COLUMNS, CHANNELS)] == [4096] * 7


#: GroupNorms, how many programs may wait for each other; tile, shape, panels, parts, tiles a part.
CUTS = {
    "entries": (GroupNorms(1.0, 1, 2048, 1), 1, ENTRIES, (1, 2048, 1), 1, 1, 1),
    "one entry more": (GroupNorms(1.0, 1, 2049, 1), 1, ENTRIES, (1, 2049, 1), 2, 1, 1),
    "entries in blocks": (GroupNorms(1.0, 1, 1500, 1, blocks=3), 64, ENTRIES, (1, 4500, 1), 3, 1, 1),
    "groups without a weight": (GroupNorms(0.0, 3, 5, 7, blocks=2), 64, ENTRIES, (1, 210, 1), 1, 1, 1),
    "no entries": (GroupNorms(1.0, 1, 0, 1), 1, ENTRIES, (1, 0, 1), 0, 1, 1),
    "one group": (GroupNorms(1.0, 8, 1, 8), 1, RUNS[0], (1, 1, 64), 1, 1, 1),
    "one group and one entry more": (GroupNorms(1.0, 13, 1, 5), 1, RUNS[1], (1, 1, 65), 1, 1, 1),
    "a group a block": (GroupNorms(1.0, 8, 1, 8, blocks=5), 1, RUNS[0], (1, 1, 64), 1, 1, 1),
    "3 entries": (GroupNorms(1.0, 1, 65, 3), 1, RUNS[0], (1, 65, 3), 2, 1, 1),
    "64 entries": (GroupNorms(1.0, 1, 65, 64), 1, RUNS[0], (1, 65, 64), 2, 1, 1),
    "65 entries": (GroupNorms(1.0, 1, 65, 65), 1, RUNS[1], (1, 65, 65), 5, 1, 1),
    "256 entries": (GroupNorms(1.0, 1, 16, 256), 1, RUNS[1], (1, 16, 256), 1, 1, 1),
    "257 entries": (GroupNorms(1.0, 1, 17, 257), 1, RUNS[2], (1, 17, 257), 5, 1, 1),
    "1025 entries": (GroupNorms(1.0, 1, 17, 1025), 1, RUNS[3], (1, 17, 1025), 17, 1, 1),
    "4096 entries": (GroupNorms(1.0, 1, 9, 4096), 1, RUNS[3], (1, 9, 4096), 9, 1, 1),
    "4 long groups": (GroupNorms(1.0, 1, 4, 4097), 1, replace(LONG_RUN, looped=True), (1, 4, 4097), 1, 1, 5),
    "3 long groups": (GroupNorms(1.0, 1, 3, 4097), 1, replace(RUNS[3], looped=True), (1, 3, 4097), 3, 1, 2),
    "long ones shared": (GroupNorms(1.0, 1, 3, 4097), 64, RUNS[3], (1, 3, 4097), 3, 2, 1),
    "columns": (GroupNorms(1.0, 64, 65, 1), 1, COLUMNS[0], (64, 65, 1), 2, 1, 1),
    "long columns": (GroupNorms(1.0, 65, 65, 1), 1, COLUMNS[1], (65, 65, 1), 5, 1, 1),
    "a column of one tile": (GroupNorms(1.0, 256, 16, 1), 1, COLUMNS[1], (256, 16, 1), 1, 1, 1),
    "ten tiles": (GroupNorms(1.0, 2560, 16, 1), 1, replace(COLUMNS[1], looped=True), (2560, 16, 1), 1, 1, 10),
    "ten tiles of 64": (GroupNorms(1.0, 2560, 16, 1), 64, COLUMNS[1], (2560, 16, 1), 1, 10, 1),
    "ten tiles of 4": (GroupNorms(1.0, 2560, 16, 1), 4, replace(COLUMNS[1], looped=True), (2560, 16, 1), 1, 4, 3),
    "nine tiles of 4": (GroupNorms(1.0, 2304, 16, 1), 4, replace(COLUMNS[1], looped=True), (2304, 16, 1), 1, 3, 3),
    "two neighbours": (GroupNorms(1.0, 2, 17, 2), 1, CHANNELS, (2, 17, 2), 2, 1, 1),
    "nine neighbours": (GroupNorms(1.0, 128, 7, 9), 1, CHANNELS, (128, 7, 9), 3, 1, 1),
    "and a second tile": (GroupNorms(1.0, 129, 7, 9), 64, CHANNELS, (129, 7, 9), 3, 2, 1),
    "32 neighbours": (GroupNorms(1.0, 2, 7, 32), 1, CHANNELS, (2, 7, 32), 7, 1, 1),
    "33 neighbours": (GroupNorms(1.0, 2, 17, 33), 1, replace(RUNS[1], broken=True), (2, 17, 33), 2, 1, 1),
}


@pytest.mark.parametrize("name", CUTS)
def test_cuts(name):
    norms, most_parts, *expected = CUTS[name]
    found = cut(norms, most_parts)
    assert [found.tile, found.shape, found.panels, found.parts, found.tiles] == expected
    assert found.kernel is (step_entries if expected[0] is ENTRIES else step_groups)
    assert found.blocks == (1 if expected[0] is ENTRIES else norms.blocks)


@pytest.mark.parametrize(
    ("tile", "shape", "aligned"),
    [
        (Tile(4, 8, axis=1), (3, 5, 16), True),
        (Tile(4, 8, axis=1), (16, 16, 5), False),
        (Tile(4, 8, axis=1), (3, 5, 24), False),
        (Tile(4, 8, axis=1, broken=True), (3, 5, 16), False),
        (Tile(4, 8, axis=0), (3, 16, 1), True),
        (Tile(4, 8, axis=0), (3, 8, 2), True),
        (Tile(4, 8, axis=0), (3, 17, 1), False),
        (Tile(4, 8, axis=0, segmented=True), (3, 8, 2), False),
    ],
    ids=str,
)
def test_rows_that_begin_at_multiples_of_16(tile, shape, aligned):
    assert Cut(None, tile, shape, 1, 1, 1, 1).may_be_aligned == aligned


def task(norms: GroupNorms, device: str = "cpu", dtype: torch.dtype = torch.float32) -> StepTask:
    size = math.prod(norms.shape)
    tensors = [torch.empty(size, dtype=dtype, device=device) for _ in range(3)]
    return StepTask(RMDA, tensors[0], tuple(tensors[1:]), norms, flush=0.25)


def plan_of(*tasks: StepTask, most_parts: int = 1, **beside):
    nothing = [None] * len(tasks)
    return make_plan(
        tasks, beside.get("gradients", nothing), beside.get("structured", nothing), most_parts, lambda table: table
    )


def test_the_tables_of_a_plan():
    """Programs that share a group stand next to each other; a task without entries has none."""
    columns, runs = GroupNorms(0.5, 600, 17, 1, blocks=2), GroupNorms(2.0, 1, 65, 64, entry_weight=3.0)
    tasks = [task(norms) for norms in (columns, GroupNorms(1.0, 1, 0, 1), runs, columns)]
    plan = plan_of(*tasks, most_parts=64)
    assert [launch.programs for launch in plan.launches] == [24, 2]
    first, second = (launch.units.tolist() for launch in plan.launches)
    # Task, panel, part, block.
    block = [[0, 0, 0], [0, 1, 0], [0, 2, 0], [1, 0, 0], [1, 1, 0], [1, 2, 0]]
    block += [[panel, part, 1] for panel, part, _ in block]
    assert first == [[index, *its] for index in (0, 3) for its in block]
    assert second == [[2, 0, 0, 0], [2, 1, 0, 0]]
    assert [launch.tile.split for launch in plan.launches] == [True, False]
    addresses = [[tensor.data_ptr() for tensor in (its.point, *its.state)] for its in tasks]
    assert plan.fixed.tolist() == [[*its, 0] for its in addresses]
    assert plan.shapes.tolist() == [[600, 17, 1, 3, 1], [1, 0, 1, 1, 1], [1, 65, 64, 1, 1], [600, 17, 1, 3, 1]]
    assert plan.weights.tolist() == [[0.5, 0.25, 0.0], [1.0, 0.25, 0.0], [2.0, 0.25, 3.0], [0.5, 0.25, 0.0]]


def test_a_state_that_a_task_has_not_has_no_address():
    given = task(GroupNorms(1.0, 1, 5, 1))
    plan = plan_of(replace(given, recurrence=Recurrence("proxsgd", ("m",), 3), state=given.state[:1]))
    assert plan.fixed.tolist() == [[given.point.data_ptr(), given.state[0].data_ptr(), 0, 0]]


def test_tasks_without_entries_have_no_launch():
    assert plan_of(task(GroupNorms(1.0, 1, 0, 1))).launches == []


def test_what_a_kernel_is_compiled_for():
    norms = GroupNorms(0.5, 3, 16, 1)
    plain = task(norms)
    (launch,) = plan_of(plain).launches
    spec = launch.spec
    assert (spec.recurrence, spec.states, spec.numbers) == ("rmda", 2, 5)
    assert (spec.point, spec.sums, spec.index) == (tl.float32, tl.float32, tl.int32)
    assert spec.largest == torch.finfo(torch.float32).max
    assert (spec.gradient, spec.structured, spec.averages, spec.entry_weight) == (False, False, True, False)
    assert (launch.tile.split, launch.tile.looped) == (False, False)
    beside = torch.empty(48)
    (other,) = plan_of(replace(plain, averages=False), gradients=[beside]).launches
    assert other.spec == replace(spec, gradient=True, averages=False)
    (other,) = plan_of(task(norms._replace(entry_weight=1e-30)), structured=[beside]).launches
    assert other.spec == replace(spec, structured=True, entry_weight=True)
    (narrow,) = plan_of(replace(plain, point=torch.empty(48, dtype=torch.bfloat16))).launches
    assert (narrow.spec.point, narrow.spec.sums) == (tl.bfloat16, tl.float32)
    assert narrow.spec.largest == torch.finfo(torch.bfloat16).max


@pytest.mark.parametrize(("entries", "index"), [(2**30 - 1, tl.int32), (2**30, tl.int64)])
def test_offsets_that_need_64_bits(entries, index):
    (launch,) = plan_of(task(GroupNorms(1.0, 1, entries, 1), device="meta")).launches
    assert launch.spec.index == index


#: Torch's memory begins at multiples of 64 bytes; these tensors begin that many bytes later.
OFFSETS = {"all": (0, 0, 0, True), "point": (4, 0, 0, False), "state": (0, 8, 0, False), "gradient": (0, 0, 4, False)}


@pytest.mark.parametrize("name", [*OFFSETS, "sixteen later"])
def test_all_addresses_have_to_be_aligned(name):
    *offsets, aligned = {**OFFSETS, "sixteen later": (16, 16, 16, True)}[name]
    point, state, gradient = (torch.empty(64)[offset // 4 :][:48] for offset in offsets)
    given = StepTask(RMDA, point, (torch.empty(48), state), GroupNorms(0.5, 3, 16, 1), flush=0.0)
    (launch,) = plan_of(given, gradients=[gradient]).launches
    assert launch.spec.aligned == aligned
    crooked = replace(given, norms=GroupNorms(0.5, 16, 3, 1))
    assert not plan_of(crooked, gradients=[gradient]).launches[0].spec.aligned


def test_tasks_of_one_kernel_share_a_launch():
    """Where they differ in what is compiled, they do not."""
    short, long = GroupNorms(0.5, 3, 17, 1), GroupNorms(0.5, 65, 17, 1)
    assert len(plan_of(task(short), task(short._replace(outer=5, groups=7))).launches) == 1
    assert len(plan_of(task(short), task(long)).launches) == 2
    assert len(plan_of(task(short), task(short, dtype=torch.float64)).launches) == 2
    one, two = plan_of(task(short), task(short), gradients=[None, torch.empty(51)]).launches
    assert (one.spec.gradient, two.spec.gradient) == (False, True)


def test_float64_has_all_registers_and_programs_that_wait_have_fewer_than_others():
    """Three of them have to fit on a processor of 65536 registers, two of the others; 8 warps have 256 threads."""
    few, many = (plan_of(task(GroupNorms(0.5, 600, 17, 1)), most_parts=parts).launches[0] for parts in (64, 1))
    wide = plan_of(task(GroupNorms(0.5, 600, 17, 1), dtype=torch.float64)).launches[0]
    threads = 32 * many.options["num_warps"]
    assert 3 * threads * few.options["maxnreg"] <= 65536 < 4 * threads * few.options["maxnreg"]
    assert 2 * threads * many.options["maxnreg"] == 65536
    assert wide.options["maxnreg"] is None
    # A thread gets them by eights.
    assert (few.options["maxnreg"] % 8, many.options["maxnreg"] % 8) == (0, 0)
