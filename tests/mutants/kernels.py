"""Wrong kernels: the backend is handed another task than the optimizer meant, or changes what comes out."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ramda_verify.engine.targets import plain_target
from solvers import GroupLasso
from solvers.kernels.contract import StepTask
from solvers.kernels.gpu import Triton
from solvers.kernels.gpu.backend import TritonSteps
from solvers.kernels.native.binding import Native, NativeSteps
from solvers.regularizers import norm_equation
from solvers.regularizers.base import shrink
from solvers.regularizers.members import GroupNorms
from tests.mutants import trusting
from tests.mutants.mutant import Mutant, wrong_optimizer, wrong_regularizer
from tests.mutants.patching import Patch, constant, member

STEP, GPU_STEP, GPU_GROUPED = "kernel-step", "gpu-kernel-step", "gpu-grouped-step"
RESIDUAL, RESIDUAL_64 = "float32-residual", "float64-residual"

Change = Callable[[Any], Any]


def of_the_task(change: Callable[[StepTask], StepTask], backend: Any = Native) -> Patch:
    """Prepare changed tasks; tensors are shared, so that what the kernel writes arrives."""
    right = backend.prepare

    def prepare(self, tasks):
        return right(self, [change(task) for task in tasks])

    return member(backend, "prepare", prepare)


def of_the_run(
    scalars: Change = lambda rows: rows,
    gradients: Change = lambda tensors: tensors,
    afterwards: Callable[[StepTask, Tensor | None], Any] = lambda task, w_hat: None,
    steps: Any = NativeSteps,
) -> Patch:
    """Run with other numbers or gradients, or do something to the task and its Ŵ afterwards."""
    right = steps.run

    def run(self, rows, tensors, structured):
        counts = right(
            self, scalars(torch.as_tensor(rows, dtype=torch.float64).clone()), gradients(tensors), structured
        )
        with torch.no_grad():
            for task, w_hat in zip(self._tasks, structured, strict=True):
                afterwards(task, w_hat)
        return counts

    return member(steps, "run", run)


def scalar(place: int, change: Callable[[Tensor], Tensor | float]) -> Change:
    def changed(rows: Tensor) -> Tensor:
        rows[:, place] = change(rows[:, place])
        return rows

    return changed


def transposed(task: StepTask) -> StepTask:
    """Groups and what lies around them exchanged."""
    norms = task.norms
    return replace(task, norms=norms._replace(outer=norms.groups, groups=norms.outer))


def one_group(task: StepTask) -> StepTask:
    return replace(task, norms=task.norms._replace(outer=math.prod(task.norms.shape), groups=1, inner=1, blocks=1))


def first_block(task: StepTask) -> StepTask:
    """Of a convolution with groups the first block alone."""
    return replace(task, norms=task.norms._replace(blocks=1))


def blocks_merged(task: StepTask) -> StepTask:
    """Group j of every block is one group."""
    norms = task.norms
    return replace(task, norms=norms._replace(outer=norms.blocks * norms.outer, blocks=1))


def no_entry_weight(task: StepTask) -> StepTask:
    """The weight of the entries does not reach the kernel."""
    return replace(task, norms=task.norms._replace(entry_weight=0.0))


def entries_in_the_norm(task: StepTask) -> StepTask:
    """The weight of the entries is added to that of the group norms."""
    norms = task.norms
    return replace(task, norms=norms._replace(weight=norms.weight + norms.entry_weight, entry_weight=0.0))


def _entries_after_the_norm() -> Patch:
    """Solves for the group norms first and then shrinks the entries, in a step of RAMDA with momentum 1."""
    right = NativeSteps.run

    def run(self, rows, tensors, structured):
        whole, prices = self._tasks, [task.norms.entry_weight for task in self._tasks]
        without = Native().prepare([no_entry_weight(task) for task in whole])
        counts = right(without, rows, tensors, structured)
        for task, price, row, w_hat in zip(whole, prices, torch.as_tensor(rows).tolist(), structured, strict=True):
            if task.recurrence.name == "ramda" and w_hat is not None and not any(counts.kept):
                D = task.state[2].double() ** (1 / 3) + row[3]
                with torch.no_grad():
                    w_hat.copy_(shrink(w_hat.double(), row[0] * price / D))
                    task.point.copy_(w_hat)
        return counts

    return member(NativeSteps, "run", run)


def _to_both(change: Callable[[Tensor], Any]) -> Callable[[StepTask, Tensor | None], None]:
    """The same fault in the parameter and in Ŵ."""

    def afterwards(task: StepTask, w_hat: Tensor | None) -> None:
        for tensor in (task.point, w_hat):
            if tensor is not None:
                change(tensor)

    return afterwards


def _drops_in_silence() -> Patch:
    """Groups without a solution are set to zero, and nothing is counted."""
    right = NativeSteps.run

    def run(self, rows, tensors, structured):
        before = [task.point.clone() for task in self._tasks]
        counts = right(self, rows, tensors, structured)
        with torch.no_grad():
            for task, old, w_hat in zip(self._tasks, before, structured, strict=True):
                if any(counts.kept) and w_hat is not None:
                    w_hat[w_hat == old] = 0
                    task.point[task.point == old] = 0
        return counts._replace(kept=[0] * len(counts.kept))

    return member(NativeSteps, "run", run)


def _trusts_its_bounds() -> Patch:
    """The compiled step as it was: bounds with their rounding on, and no look at the root that came out."""
    right = NativeSteps.run

    def run(self, rows, tensors, structured):
        counts = right(self, rows, tensors, structured)
        for task, row, w_hat in zip(self._tasks, torch.as_tensor(rows).tolist(), structured, strict=True):
            if task.recurrence.name == "ramda" and w_hat is not None and not any(counts.kept):
                W0, V, U = (x.reshape(task.norms.shape).double() for x in task.state)
                d = (U ** (1 / 3) + row[3]).to(w_hat.dtype)
                b = shrink(d * W0 - V, row[0] * task.norms.entry_weight).to(w_hat.dtype)
                z = trusting.solve(b, d, row[0] * task.norms.weight, (1, 3))
                with torch.no_grad():
                    w_hat.copy_(z.view_as(w_hat))
                    task.point.copy_(w_hat)
        return counts

    return member(NativeSteps, "run", run)


@dataclass(frozen=True)
class NormsUnweighted(GroupLasso):
    """Tells the kernels a weight without sqrt(|g|)."""

    def group_norms(self, w):
        claim = super().group_norms(w)
        return None if claim is None else claim._replace(weight=self.reg_weight)


@dataclass(frozen=True)
class NormsOfShape(GroupLasso):
    """Takes the order of the axes for that of memory."""

    def group_norms(self, w):
        axis = self.groups.axis
        sizes = [math.prod(w.shape[:axis]), w.shape[axis], math.prod(w.shape[axis + 1 :])]
        return GroupNorms(self.group_weight(w), *sizes)


def _wrong(name: str, optimizer: str, patch: Patch, found_by: str = STEP) -> Mutant:
    return wrong_optimizer(name, patch, optimizer, found_by)


CLAIM = "group-norms-claim"
STEP_PROBLEM = plain_target("group-lasso-step", "problem")

MUTANTS = [
    wrong_regularizer(NormsUnweighted, CLAIM),
    wrong_regularizer(NormsOfShape, CLAIM),
    _wrong("kernel_lam", "ramda", of_the_run(scalar(0, lambda lam: 1.01 * lam))),
    _wrong("kernel_mix", "rmda", of_the_run(scalar(1, lambda mix: 1 - mix / 2))),
    _wrong("kernel_rounds_a_scalar", "ramda", of_the_run(scalar(2, lambda s: s * (1 + 1e-6)))),
    _wrong("kernel_old_momentum", "proxsgd", of_the_run(scalar(2, lambda c: 0.9 * c))),
    _wrong("kernel_no_decay", "proxgen", of_the_run(scalar(2, lambda kept: 1.0))),
    _wrong("kernel_no_bias_correction", "proxgen", of_the_run(scalar(6, lambda scale: 1.0))),
    _wrong("kernel_flushes_too_much", "proxgen", of_the_task(lambda task: replace(task, flush=1e-3))),
    _wrong("kernel_forgets_the_gradient", "rmda", of_the_run(gradients=lambda tensors: [None] * len(tensors))),
    _wrong("kernel_leaves_the_point", "ramda", of_the_task(lambda task: replace(task, averages=False))),
    _wrong("kernel_groups_transposed", "proxsgd", of_the_task(transposed)),
    _wrong("kernel_one_group", "ramda", of_the_task(one_group)),
    _wrong("kernel_takes_the_first_block", "proxgen", of_the_task(first_block)),
    _wrong("kernel_merges_blocks", "ramda", of_the_task(blocks_merged)),
    _wrong("kernel_without_entries", "ramda", of_the_task(no_entry_weight)),
    _wrong("kernel_adds_entries_to_the_norm", "proxgen", of_the_task(entries_in_the_norm)),
    _wrong("kernel_state_once_more", "ramda", of_the_run(afterwards=lambda task, w_hat: task.state[1].add_(1e-3))),
    _wrong("kernel_writes_nan", "rmda", of_the_run(afterwards=_to_both(lambda w: w.fill_(torch.nan)))),
    _wrong("gpu_kernel_lam", "ramda", of_the_run(scalar(0, lambda lam: 1.1 * lam), steps=TritonSteps), GPU_STEP),
    _wrong("gpu_kernel_groups_transposed", "proxsgd", of_the_task(transposed, Triton), GPU_STEP),
    # Seen only where psi weighs entries beside groups.
    replace(_wrong("gpu_kernel_without_entries", "rmda", of_the_task(no_entry_weight, Triton), GPU_STEP), rarity=12),
    _wrong("gpu_kernel_takes_the_first_block", "rmda", of_the_task(first_block, Triton), GPU_GROUPED),
    _wrong("gpu_kernel_merges_blocks", "proxgen", of_the_task(blocks_merged, Triton), GPU_GROUPED),
    *(
        Mutant(name, STEP_PROBLEM, checks, patch)
        for name, patch, checks in (
            ("kernel_loosened", of_the_run(afterwards=_to_both(lambda w: w.mul_(1 + 2e-5))), (RESIDUAL, RESIDUAL_64)),
            ("kernel_too_long", of_the_run(afterwards=_to_both(lambda w: w.mul_(1 + 1e-4))), (RESIDUAL, RESIDUAL_64)),
            ("kernel_is_nan", of_the_run(afterwards=_to_both(lambda w: w.fill_(torch.nan))), (RESIDUAL, RESIDUAL_64)),
            ("kernel_leaves_entries_out", of_the_task(no_entry_weight), (RESIDUAL, RESIDUAL_64)),
            ("kernel_shrinks_entries_last", _entries_after_the_norm(), (RESIDUAL, RESIDUAL_64)),
            ("kernel_ignores_blocks", of_the_task(blocks_merged), (RESIDUAL, RESIDUAL_64)),
            ("kernel_drops_in_silence", _drops_in_silence(), (RESIDUAL,)),
            # Takes a root for exact that is wrong by 1e-4 (float32), and looks no further.
            ("kernel_believes", constant(norm_equation, "TIGHT", 1e-4 * 2**23), (RESIDUAL, RESIDUAL_64)),
            ("kernel_trusts_its_bounds", _trusts_its_bounds(), (RESIDUAL,)),
            ("norm_equation_stops_early", constant(norm_equation, "MAX_ITERATIONS", 1), (RESIDUAL, RESIDUAL_64)),
        )
    ),
]
#: Those of the residual, which are few cases' business: they are tried from several seeds.
FOUND_FROM_EVERY_SEED = [mutant for mutant in MUTANTS if mutant.target is STEP_PROBLEM]
