"""Wrong kernels: the backend is handed another task than the optimizer meant, or changes what comes out."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch

from ramda_verify.targets import plain_target
from solvers import GroupLasso
from solvers.kernels.gpu import Triton
from solvers.kernels.native import Native
from solvers.kernels.task import StepTask
from solvers.regularizers import norm_equation
from solvers.regularizers.base import GroupNorms
from tests.mutants.mutant import Mutant, Patch, wrong_optimizer, wrong_regularizer

STEP, GPU_STEP, RESIDUAL = "kernel-step", "gpu-kernel-step", "float32-residual"


def of_the_task(change: Callable[[StepTask], StepTask], backend: type = Native) -> Patch:
    """Run changed tasks; tensors are shared, so that what the kernel writes arrives."""
    right_run = backend.run

    def run(self, tasks, scalars=None):
        return right_run(self, [change(task) for task in tasks], scalars)

    return lambda monkeypatch: monkeypatch.setattr(backend, "run", run)


def scalar(place: int, change: Callable[[float], float]) -> Callable[[StepTask], StepTask]:
    def changed(task: StepTask) -> StepTask:
        scalars = list(task.scalars)
        scalars[place] = change(scalars[place])
        return replace(task, scalars=tuple(scalars))

    return changed


def transposed(task: StepTask) -> StepTask:
    """Groups and what lies around them exchanged."""
    weight, outer, groups, inner = task.norms
    return replace(task, norms=type(task.norms)(weight, groups, outer, inner))


def one_group(task: StepTask) -> StepTask:
    weight, outer, groups, inner = task.norms
    return replace(task, norms=type(task.norms)(weight, outer * groups * inner, 1, 1))


def afterwards(change: Callable[[StepTask], None]) -> Patch:
    right_run = Native.run

    def run(self, tasks, scalars=None):
        kept = right_run(self, tasks, scalars)
        for task in tasks:
            change(task)
        return kept

    return lambda monkeypatch: monkeypatch.setattr(Native, "run", run)


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
    _wrong("kernel_lam", "ramda", of_the_task(scalar(0, lambda lam: 1.01 * lam))),
    _wrong("kernel_mix", "rmda", of_the_task(scalar(1, lambda mix: 1 - mix / 2))),
    _wrong("kernel_rounds_a_scalar", "ramda", of_the_task(scalar(2, lambda s: s * (1 + 1e-6)))),
    _wrong("kernel_old_momentum", "proxsgd", of_the_task(scalar(2, lambda c: 0.9 * c))),
    _wrong("kernel_no_decay", "proxgen", of_the_task(scalar(2, lambda kept: 1.0))),
    _wrong("kernel_no_bias_correction", "proxgen", of_the_task(scalar(6, lambda scale: 1.0))),
    _wrong("kernel_flushes_too_much", "proxgen", of_the_task(lambda task: replace(task, flush=1e-3))),
    _wrong("kernel_forgets_the_gradient", "rmda", of_the_task(lambda task: replace(task, gradient=None))),
    _wrong("kernel_leaves_the_point", "ramda", of_the_task(lambda task: replace(task, averages=False))),
    _wrong("kernel_groups_transposed", "proxsgd", of_the_task(transposed)),
    _wrong("kernel_one_group", "ramda", of_the_task(one_group)),
    _wrong(
        "kernel_state_once_more",
        "ramda",
        afterwards(lambda task: task.state[1].add_(1e-3)),
    ),
    _wrong("gpu_kernel_lam", "ramda", of_the_task(scalar(0, lambda lam: 1.1 * lam), Triton), GPU_STEP),
    _wrong("gpu_kernel_groups_transposed", "proxsgd", of_the_task(transposed, Triton), GPU_STEP),
    Mutant("kernel_loosened", STEP_PROBLEM, (RESIDUAL,), afterwards(_loosened)),
    Mutant("norm_equation_stops_early", STEP_PROBLEM, (RESIDUAL,), _one_iteration),
]
