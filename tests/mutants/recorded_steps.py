"""Wrong steps that show from a recorded state: most of them only in groups that are small beside others."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from solvers.kernels.contract import StepTask
from solvers.kernels.gpu.backend import TritonSteps
from solvers.kernels.native.binding import NativeSteps
from solvers.optimizers.diagnostics import block_report
from solvers.subproblem import Status
from solvers.subproblem.criterion import residual_norm
from tests.mutants.kernels import of_the_run, scalar
from tests.mutants.mutant import Mutant, wrong_optimizer
from tests.mutants.patching import Patch, everywhere, member, original

RESIDUAL_NORM, BLOCK_REPORT = original(residual_norm), original(block_report)

STEP, RESIDUAL, CRITERION = "recorded-kernel-step", "recorded-residual", "recorded-criterion"
GPU_STEP, GPU_RESIDUAL = "recorded-gpu-kernel-step", "recorded-gpu-residual"

#: Far below what a group of usual size has, and far above what float32 cannot hold.
SMALL = 1e-12


def of_w_hat(change: Callable[[StepTask, torch.Tensor, torch.Tensor], None], steps: Any = NativeSteps) -> Patch:
    """Change Ŵ after the run, given the task, W before the step and Ŵ."""
    right = steps.run

    def run(self, rows, tensors, structured):
        before = [task.point.detach().clone() for task in self._tasks]
        kept = right(self, rows, tensors, structured)
        for task, point, w_hat in zip(self._tasks, before, structured, strict=True):
            if w_hat is not None:
                change(task, point, w_hat)
        return kept

    return member(steps, "run", run)


def _keeps_small_weights(task: StepTask, before: torch.Tensor, w_hat: torch.Tensor) -> None:
    """Ŵ is W where W has almost decayed, in place of zero."""
    w_hat.copy_(torch.where((before.abs() < SMALL) & (before != 0), before.to(w_hat.dtype), w_hat))


def _a_little_long(task: StepTask, before: torch.Tensor, w_hat: torch.Tensor) -> None:
    w_hat.mul_(1 + 1e-4)


def _not_a_number(task: StepTask, w_hat: torch.Tensor | None) -> None:
    task.point.fill_(torch.nan)


def _flushes_small_state(task: StepTask, w_hat: torch.Tensor | None) -> None:
    """Sums up to 1e-12 are set to zero."""
    for tensor in task.state[1:]:
        tensor.copy_(torch.hardshrink(tensor, SMALL))


def _no_decay_of_small_weights() -> Patch:
    """W stays as it is where it has almost decayed."""
    right = NativeSteps.run

    def run(self, rows, tensors, structured):
        before = [task.point.detach().clone() for task in self._tasks]
        kept = right(self, rows, tensors, structured)
        with torch.no_grad():
            for task, point in zip(self._tasks, before, strict=True):
                task.point.copy_(torch.where(point.abs() < SMALL, point, task.point))
        return kept

    return member(NativeSteps, "run", run)


def _small_residual(*arguments: Any) -> Any:
    """Residuals are a thousandth of what they are."""
    return 1e-3 * RESIDUAL_NORM(*arguments)


def _never_accepted(*arguments: Any, **options: Any) -> Any:
    """A report calls every step refused."""
    return replace(BLOCK_REPORT(*arguments, **options), accepted=False, status=Status.ITERATION_LIMIT)


certificates_shrunk = everywhere(residual_norm, _small_residual)


def _mutant(name: str, optimizer: str, patch: Patch, *found_by: str) -> Mutant:
    return wrong_optimizer(name, patch, optimizer, *found_by)


MUTANTS = [
    _mutant("recorded_no_decay_of_small_weights", "ramda", _no_decay_of_small_weights(), STEP),
    _mutant("recorded_flushes_small_state", "ramda", of_the_run(afterwards=_flushes_small_state), STEP),
    _mutant("recorded_old_momentum", "proxsgd", of_the_run(scalar(2, lambda c: 0.9 * c)), STEP),
    _mutant("recorded_w_is_not_a_number", "proxgen", of_the_run(afterwards=_not_a_number), STEP),
    _mutant(
        "recorded_gpu_w_is_not_a_number",
        "proxgen",
        of_the_run(afterwards=_not_a_number, steps=TritonSteps),
        GPU_STEP,
    ),
    _mutant(
        "recorded_gpu_w_hat_is_nan",
        "ramda",
        of_w_hat(lambda task, before, w_hat: w_hat.fill_(torch.nan), TritonSteps),
        GPU_RESIDUAL,
    ),
    _mutant("recorded_mix", "rmda", of_the_run(scalar(1, lambda mix: mix / 2), steps=TritonSteps), GPU_STEP),
    _mutant("recorded_keeps_small_weights", "ramda", of_w_hat(_keeps_small_weights), RESIDUAL),
    _mutant("recorded_a_little_long", "rmda", of_w_hat(_a_little_long), RESIDUAL),
    _mutant("recorded_w_hat_is_nan", "ramda", of_w_hat(lambda task, before, w_hat: w_hat.fill_(torch.nan)), RESIDUAL),
    _mutant("recorded_gpu_lam", "ramda", of_the_run(scalar(0, lambda lam: 1.1 * lam), steps=TritonSteps), GPU_RESIDUAL),
    _mutant("recorded_certificates_shrunk", "ramda", certificates_shrunk, CRITERION),
    _mutant("recorded_never_accepted", "proxgen", everywhere(block_report, _never_accepted), CRITERION),
    _mutant("recorded_report_of_nan", "ramda", of_w_hat(lambda task, before, w_hat: w_hat.fill_(torch.nan)), CRITERION),
]
