"""Optimizers and kernels that make NaN: in W, in Ŵ, in the state, at one step or after a reload."""

import math
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from ramda_verify.checks.optimizer.runs import STEPS
from ramda_verify.engine.targets import plain_target
from solvers import RAMDA, RMDA, ProxGen, ProxSGD
from solvers.kernels.contract import StepTask
from solvers.kernels.gpu.backend import TritonSteps
from solvers.optimizers.diagnostics import DiagnosticsHooks
from solvers.optimizers.stepper import Stepper
from tests.mutants.identification import fresh_runs
from tests.mutants.kernels import GPU_GROUPED, GPU_STEP, RESIDUAL, STEP_PROBLEM, of_the_run
from tests.mutants.kernels import STEP as KERNEL_STEP
from tests.mutants.mutant import Mutant, wrong_optimizer
from tests.mutants.nans import first_spoiled, spoiled
from tests.mutants.optimizers import PARENT, RELOAD, STEP, WHAT, put_in
from tests.mutants.patching import Patch, member, together

ITERATIVE, ACCEPTED = "step-transcription-iterative", "criterion-acceptance"
Change = Callable[[Tensor], Tensor]


def shown(change_of: Callable[[], Change]) -> Patch:
    """Every observer of an optimizer sees what ``change_of()``, made anew for each optimizer, makes of Ŵ."""
    right = Stepper._show
    changes: WeakKeyDictionary[Stepper, Change] = WeakKeyDictionary()

    def show(self: Stepper, slot: Any, structured: Tensor) -> None:
        if self not in changes:
            changes[self] = change_of()
        right(self, slot, changes[self](structured))

    return member(Stepper, "_show", show)


def at_call(number: int, change: Change) -> Callable[[], Change]:
    """The change, but to one of the tensors that come along only."""

    def make() -> Change:
        calls = iter(range(1, 10**9))
        return lambda values: change(values) if next(calls) == number else values

    return make


def nonzeros_spoiled(values: Tensor) -> Tensor:
    """NaN wherever the values are not zero, so that the support stays."""
    return spoiled(values, values != 0)


class NanAtTheEnd(RAMDA):
    """W has a NaN after the last step of a run."""

    def mix(self, point, structured, group):
        mixed = super().mix(point, structured, group)
        last = any(int(state["step"]) == STEPS for state in self.state.values())
        return first_spoiled(mixed) if last else mixed


class NanAtTheEndOfSGD(ProxSGD):
    """The same where W is Ŵ."""

    def mix(self, point, structured, group):
        last = any(int(state["step"]) == STEPS for state in self.state.values())
        return first_spoiled(structured) if last else structured


class NanSums(RMDA):
    """The sum of gradients becomes NaN."""

    def accumulate(self, gradient, state, group):
        super().accumulate(gradient, state, group)
        state["grad_sum"].fill_(math.nan)


class NanAfterReload(ProxGen):
    """Loading makes NaN of the parameter."""

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        with torch.no_grad():
            for group in self.param_groups:
                for param in group["params"]:
                    param.fill_(math.nan)


class NanSumsAfterReload(RAMDA):
    """Loading makes NaN of an entry of the sums."""

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        for state in self.state.values():
            state["grad_sum"].copy_(first_spoiled(state["grad_sum"]))


class NanStructuredIterate(RAMDA):
    """structured_iterate has a NaN after the first step, and is right after every later one."""

    @contextmanager
    @torch.no_grad()
    def structured_iterate_swapped_in(self):
        with super().structured_iterate_swapped_in():
            for param, state in self.state.items():
                if int(state["step"]) == 1:
                    param.copy_(first_spoiled(param))
            yield


class AlwaysNanStructuredIterate(RMDA):
    """structured_iterate is NaN."""

    def structured_iterate(self):
        return {param: spoiled(value) for param, value in super().structured_iterate().items()}


def reported(change: Callable[[Any], Any]) -> Patch:
    """Reports of steps, changed before anyone sees them."""
    right = DiagnosticsHooks.emit
    return member(DiagnosticsHooks, "emit", lambda self, report: right(self, change(report)))


def residual_of_report(report: Any) -> Any:
    """The residual of every tensor is NaN, and no step is called converged."""
    blocks = tuple(replace(block, residual=math.nan, accepted=False) for block in report.blocks)
    return replace(report, residual=math.nan, blocks=blocks)


def tolerance_of_report(report: Any) -> Any:
    return replace(report, tolerance=math.nan)


def drop_of_report(report: Any) -> Any:
    return replace(report, objective_drop=math.nan)


def write_nan(*places: str) -> Callable[[StepTask, Tensor | None], Any]:
    """After a kernel's step: NaN into the point (one entry or all), or into a tensor of the state."""

    def write(task: StepTask, w_hat: Tensor | None) -> None:
        with torch.no_grad():
            for place in places:
                if place == "all":
                    task.point.fill_(math.nan)
                elif place == "point":
                    task.point.copy_(first_spoiled(task.point))
                else:
                    task.state[0].copy_(first_spoiled(task.state[0]))

    return write


def mixes_nan() -> Patch:
    """A plain step writes a NaN into W."""
    right = RAMDA.mix
    return member(RAMDA, "mix", lambda self, *arguments: first_spoiled(right(self, *arguments)))


def spoil_shown(task: StepTask, w_hat: Tensor | None) -> None:
    """Ŵ of a kernel is NaN; W is right."""
    if w_hat is not None:
        w_hat.fill_(math.nan)


def _mutant(optimizer: str, wrong: type, *checks: str, raises: tuple[str, ...] = ()) -> Mutant:
    return wrong_optimizer(wrong.__name__, put_in(optimizer, wrong), optimizer, *checks, raises=raises)


def _identified(problem: str, patch: Patch, name: str) -> Mutant:
    check = "identification-digits" if problem == "digits" else "identification-planted"
    return Mutant(f"{name}_on_{problem}", plain_target(problem, "problem"), (check,), together(patch, fresh_runs))


ALL, LATE, SUPPORT = (
    shown(lambda: spoiled),
    shown(at_call(STEPS // 2, first_spoiled)),
    shown(lambda: nonzeros_spoiled),
)
MUTANTS = [
    wrong_optimizer("nan_shown", ALL, "ramda", STEP, ITERATIVE, WHAT, ACCEPTED),
    wrong_optimizer("nan_shown_once", LATE, "rmda", STEP, ITERATIVE),
    wrong_optimizer("nan_shown_first", shown(at_call(1, first_spoiled)), "proxgen", ACCEPTED, WHAT),
    _mutant("ramda", NanAtTheEnd, STEP, PARENT, RELOAD),
    _mutant("proxsgd", NanAtTheEndOfSGD, STEP, PARENT, RELOAD),
    _mutant("rmda", NanSums, STEP, PARENT, ACCEPTED),
    _mutant("proxgen", NanAfterReload, RELOAD, raises=("ValueError",)),
    _mutant("ramda", NanSumsAfterReload, RELOAD),
    _mutant("ramda", NanStructuredIterate, WHAT),
    _mutant("rmda", AlwaysNanStructuredIterate, WHAT),
    wrong_optimizer("nan_residual_reported", reported(residual_of_report), "ramda", ACCEPTED),
    wrong_optimizer("nan_tolerance_reported", reported(tolerance_of_report), "proxgen", ACCEPTED),
    wrong_optimizer("nan_drop_reported", reported(drop_of_report), "rmda", ACCEPTED),
    wrong_optimizer("nan_kernel", of_the_run(afterwards=write_nan("all")), "ramda", KERNEL_STEP),
    wrong_optimizer("nan_kernel_one_entry", of_the_run(afterwards=write_nan("point")), "proxgen", KERNEL_STEP),
    wrong_optimizer("nan_kernel_state", of_the_run(afterwards=write_nan("state")), "rmda", KERNEL_STEP),
    wrong_optimizer("nan_kernel_shows", of_the_run(afterwards=spoil_shown), "ramda", KERNEL_STEP),
    wrong_optimizer("nan_gpu_kernel", of_the_run(afterwards=write_nan("all"), steps=TritonSteps), "ramda", GPU_STEP),
    wrong_optimizer(
        "nan_gpu_kernel_of_blocks", of_the_run(afterwards=write_nan("all"), steps=TritonSteps), "ramda", GPU_GROUPED
    ),
    wrong_optimizer(
        "nan_gpu_kernel_one_entry", of_the_run(afterwards=write_nan("point"), steps=TritonSteps), "proxsgd", GPU_STEP
    ),
    Mutant("nan_kernel_residual", STEP_PROBLEM, (RESIDUAL,), of_the_run(afterwards=write_nan("all"))),
    Mutant("nan_kernel_residual_one_entry", STEP_PROBLEM, (RESIDUAL,), of_the_run(afterwards=write_nan("point"))),
    Mutant("nan_plain_residual_one_entry", STEP_PROBLEM, (RESIDUAL,), mixes_nan()),
    _identified("l1", SUPPORT, "nan_support"),
    _identified("group_lasso", SUPPORT, "nan_support"),
    _identified("digits", SUPPORT, "nan_support"),
]
