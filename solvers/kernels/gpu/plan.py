"""How tasks are cut into programs, and the tables on the device that tell a program what it is to do.

A plan depends on shapes and addresses only; it is made once and serves every later step of the same tensors.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
import triton.language as tl
from torch import Tensor

from solvers.kernels.contract import OptionalTensors, StepTask
from solvers.kernels.gpu.entries import step_entries
from solvers.kernels.gpu.groups import step_groups
from solvers.kernels.gpu.spec import KernelSpec, Tile
from solvers.regularizers.base import accumulation_dtype
from solvers.regularizers.members import GroupNorms

#: Few shapes, so that a whole network takes few launches; 4096 entries each, so that several programs share a
#: processor, where one computes or waits while others load.
ENTRIES = Tile(1, 2048, axis=0)
#: For groups in one run of memory, by the length of the run, and for longer ones.
RUNS = (Tile(64, 64, axis=1), Tile(16, 256, axis=1), Tile(4, 1024, axis=1), Tile(1, 4096, axis=1))
LONG_RUN = RUNS[2]
#: For groups that are columns: short ones, and any. 16 columns of float32 are two sectors of memory.
COLUMNS = (Tile(64, 64, axis=0), Tile(256, 16, axis=0))
#: For groups that are a few neighbouring columns.
CHANNELS = Tile(128, 32, axis=0, segmented=True)
#: Offsets take 64 bits from here on; the space up to 2^31 is for the tiles' overhang.
WIDE = 2**30

DTYPES: dict[torch.dtype, Any] = {
    torch.float32: tl.float32,
    torch.float64: tl.float64,
    torch.bfloat16: tl.bfloat16,
    torch.float16: tl.float16,
}


class Cut(NamedTuple):
    """A task in programs: for each of the ``blocks`` ``panels`` times ``parts``, each with ``tiles`` tiles in turn."""

    kernel: Any
    tile: Tile
    shape: tuple[int, int, int]  # outer, groups, inner as the kernel sees them
    blocks: int
    panels: int
    parts: int
    tiles: int

    @property
    def pitch(self) -> int:
        """What must be a multiple of 16 for rows of the tile to begin at addresses that are."""
        _, groups, inner = self.shape
        return inner if self.tile.axis == 1 else groups * inner

    @property
    def may_be_aligned(self) -> bool:
        return self.pitch % 16 == 0 and not (self.tile.segmented or self.tile.broken)


def cut(norms: GroupNorms, most_parts: int) -> Cut:
    """``most_parts``: how many programs are surely on the GPU together, and may wait for each other."""
    blocks, outer, groups, inner = norms.shape
    size = outer * inner
    if norms.by_entries:
        entries = size * norms.all_groups
        return Cut(step_entries, ENTRIES, (1, entries, 1), 1, _ceil(entries, ENTRIES.columns), 1, 1)
    if groups == 1:
        outer, inner = 1, size
    if outer == 1 or inner > CHANNELS.columns:
        fitting = [tile for tile in RUNS if tile.columns >= size]
        # A few very long groups would leave rows of the tile empty.
        tile = fitting[0] if fitting else (LONG_RUN if groups >= LONG_RUN.rows else RUNS[-1])
        tile = replace(tile, broken=outer > 1)
        panels, tiles = _ceil(groups, tile.rows), _ceil(size, tile.columns)
    else:
        tile = CHANNELS if inner > 1 else COLUMNS[outer > COLUMNS[0].rows]
        panels, tiles = _ceil(groups, tile.columns // inner), _ceil(outer, tile.rows)
    a_part = _ceil(tiles, min(tiles, most_parts))
    parts = _ceil(tiles, a_part)
    tile = replace(tile, looped=a_part > 1)
    return Cut(step_groups, tile, (outer, groups, inner), blocks, panels, parts, a_part)


def _ceil(a: int, b: int) -> int:
    return -(-a // b)


@dataclass
class Launch:
    """One launch: the programs of all tasks that share a kernel."""

    kernel: Any
    spec: KernelSpec
    tile: Tile
    units: Tensor  # int32 [programs, 4] on the device: task, panel, part, block

    @property
    def programs(self) -> int:
        return self.units.shape[0]

    @property
    def options(self) -> dict[str, Any]:
        """How to compile and launch it.

        With 8 warps a thread has 16 entries of a tile. 128 registers hold them without spills and let two programs be
        on a processor; 80 make it three, which programs that wait for each other need more.
        """
        registers = None if self.spec.sums == tl.float64 else (80 if self.tile.split else 128)
        return {"num_warps": 8, "num_stages": 1, "maxnreg": registers, "enable_fp_fusion": True}


@dataclass
class Plan:
    """The launches of a list of tasks and the tables they read, see ``step_groups``."""

    launches: list[Launch]
    fixed: Tensor
    shapes: Tensor
    weights: Tensor
    #: The addresses that change from step to step as they were last seen, and on the device.
    addresses: tuple[int, ...] = ()
    moving: Tensor | None = None


def make_plan(
    tasks: Sequence[StepTask],
    gradients: OptionalTensors,
    structured: OptionalTensors,
    most_parts: int,
    upload: Callable[[Tensor], Tensor],
) -> Plan:
    """``upload`` takes a table to the device."""
    cuts = [cut(task.norms, most_parts) for task in tasks]
    alike: dict[tuple[Any, KernelSpec, Tile], list[int]] = {}
    for index, its in enumerate(cuts):
        if its.panels > 0:
            spec = _spec(tasks[index], gradients[index], structured[index], its)
            alike.setdefault((its.kernel, spec, its.tile), []).append(index)
    launches = []
    for (kernel, spec, tile), members in alike.items():
        units = torch.cat([_units(index, cuts[index]) for index in members])
        tile = replace(tile, split=any(cuts[index].parts > 1 for index in members))
        launches.append(Launch(kernel, spec, tile, upload(units)))
    fixed = [[task.point.data_ptr(), *(tensor.data_ptr() for tensor in task.state), 0, 0][:4] for task in tasks]
    shapes = [[*its.shape, its.parts, its.tiles] for its in cuts]
    weights = [[task.norms.weight, task.flush, task.norms.entry_weight] for task in tasks]
    return Plan(
        launches,
        upload(torch.tensor(fixed, dtype=torch.int64)),
        upload(torch.tensor(shapes, dtype=torch.int64)),
        upload(torch.tensor(weights, dtype=torch.float64)),
    )


def _units(index: int, its: Cut) -> Tensor:
    """The programs of a task, those that share a group next to each other."""
    counted = (torch.arange(count, dtype=torch.int32) for count in (its.blocks, its.panels, its.parts))
    block, panel, part = torch.cartesian_prod(*counted).unbind(1)
    return torch.stack([torch.full_like(panel, index), panel, part, block], dim=1)


def _spec(task: StepTask, gradient: Tensor | None, structured: Tensor | None, its: Cut) -> KernelSpec:
    beside = (tensor for tensor in (gradient, structured) if tensor is not None)
    aligned = its.may_be_aligned and all(t.data_ptr() % 16 == 0 for t in (task.point, *task.state, *beside))
    return KernelSpec(
        task.recurrence.name,
        len(task.recurrence.state),
        numbers=2 + task.recurrence.coefficients,
        point=DTYPES[task.point.dtype],
        largest=torch.finfo(task.point.dtype).max,
        sums=DTYPES[accumulation_dtype(task.point)],
        index=tl.int64 if task.point.numel() >= WIDE else tl.int32,
        gradient=gradient is not None,
        structured=structured is not None,
        averages=task.averages,
        entry_weight=task.norms.entry_weight > 0,
        aligned=aligned,
    )
