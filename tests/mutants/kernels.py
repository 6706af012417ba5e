"""Wrong kernels: the backend is handed another task than the optimizer meant, or changes what comes out."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from ramda_verify.targets import plain_target
from solvers import GroupLasso
from solvers.kernels.contract import StepTask
from solvers.kernels.gpu import Triton
from solvers.kernels.gpu.backend import TritonSteps
from solvers.kernels.native.binding import Native, NativeSteps
from solvers.regularizers import norm_equation
from solvers.regularizers.base import GroupNorms
from tests.mutants.mutant import Mutant, Patch, wrong_optimizer, wrong_regularizer

STEP, GPU_STEP, RESIDUAL = "kernel-step", "gpu-kernel-step", "float32-residual"


Change = Callable[[Any], Any]


def of_the_task(change: Callable[[StepTask], StepTask], backend: type = Native) -> Patch:
    """Prepare changed tasks; tensors are shared, so that what the kernel writes arrives."""
    right = backend.prepare

    def prepare(self, tasks):
        return right(self, [change(task) for task in tasks])

    return lambda monkeypatch: monkeypatch.setattr(backend, "prepare", prepare)


def of_the_run(
    scalars: Change = lambda rows: rows,
    gradients: Change = lambda tensors: tensors,
    afterwards: Callable[[StepTask], Any] = lambda task: None,
    steps: type = NativeSteps,
) -> Patch:
    """Run with other numbers or gradients, or do something to the task afterwards."""
    right = steps.run

    def run(self, rows, tensors, structured):
        kept = right(self, scalars(rows.clone()), gradients(tensors), structured)
        for task in self._tasks:
            afterwards(task)
        return kept

    return lambda monkeypatch: monkeypatch.setattr(steps, "run", run)


def scalar(place: int, change: Callable[[Tensor], Tensor | float]) -> Change:
    def changed(rows: Tensor) -> Tensor:
        rows[:, place] = change(rows[:, place])
        return rows

    return changed


def transposed(task: StepTask) -> StepTask:
    """Groups and what lies around them exchanged."""
    weight, outer, groups, inner = task.norms
    return replace(task, norms=type(task.norms)(weight, groups, outer, inner))


def one_group(task: StepTask) -> StepTask:
    weight, outer, groups, inner = task.norms
    return replace(task, norms=type(task.norms)(weight, outer * groups * inner, 1, 1))


def _loosened(task: StepTask) -> None:
    """The solution a hair too long."""
    with torch.no_grad():
        task.point.mul_(1 + 2e-5)


def _one_iteration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(norm_equation, "MAX_ITERATIONS", 1)


@dataclass(frozen=True)
class NormsUnweighted(GroupLasso):
    """Tells the kernels a weight without sqrt(|g|)."""

    def group_norms(self, w):
        claim = super().group_norms(w)
        return claim._replace(weight=self.reg_weight)


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
    _wrong("kernel_state_once_more", "ramda", of_the_run(afterwards=lambda task: task.state[1].add_(1e-3))),
    _wrong("gpu_kernel_lam", "ramda", of_the_run(scalar(0, lambda lam: 1.1 * lam), steps=TritonSteps), GPU_STEP),
    _wrong("gpu_kernel_groups_transposed", "proxsgd", of_the_task(transposed, Triton), GPU_STEP),
    Mutant("kernel_loosened", STEP_PROBLEM, (RESIDUAL,), of_the_run(afterwards=_loosened)),
    Mutant("norm_equation_stops_early", STEP_PROBLEM, (RESIDUAL,), _one_iteration),
]
