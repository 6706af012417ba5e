"""Wrong trainings: faults that begin in the middle of a run, or that no single step shows."""

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import pytest
import torch

from ramda_verify.engine.targets import plain_target
from solvers import PowerSchedule, Stages
from solvers.kernels.native.binding import Native, NativeSteps
from solvers.optimizers.methods.dual_averaging import DualAveraging
from tests.mutants.kernels import of_the_run
from tests.mutants.mutant import Mutant
from tests.mutants.patching import Patch, member, together
from tests.mutants.recorded_steps import certificates_shrunk

CHECK = "training-to-the-end"


def _falls_back(wanted: Callable[[Any], bool]) -> Patch:
    """The kernel refuses tasks without a word, and plain torch takes their steps."""

    def refusal_reason(self: Native, task: Any) -> str | None:
        return "no reason" if wanted(task) else None

    return member(Native, "refusal_reason", refusal_reason)


def _after_a_restart(rows: torch.Tensor) -> torch.Tensor:
    """The weight of psi is one percent off in every step after the first restart, which makes eps smaller."""
    rows[:, 0] *= torch.where(rows[:, 3] < 0.5e-6, 1.01, 1.0)
    return rows


def _in_one_step(number: int, change: Callable[[Any], None]) -> Patch:
    """Do something to all parameters in one step of a run."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        right: Any = NativeSteps.run
        runs: WeakKeyDictionary[NativeSteps, int] = WeakKeyDictionary()

        def run(self: NativeSteps, *arguments: Any) -> Any:
            kept = right(self, *arguments)
            runs[self] = runs.get(self, 0) + 1
            if runs[self] == number:
                for task in self._tasks:
                    change(task.point)
            return kept

        member(NativeSteps, "run", run)(monkeypatch)

    return patch


def _restart_keeps(key: str) -> Patch:
    """A restart leaves one entry of every state as it was."""
    right = DualAveraging.restart

    @torch.no_grad()
    def restart(self: DualAveraging, gamma: float = 1.0) -> None:
        kept = {param: state[key].clone() for param, state in self.state.items()}
        right(self, gamma)
        for param, value in kept.items():
            self.state[param][key].copy_(value)

    return member(DualAveraging, "restart", restart)


_no_restart = together(
    member(Stages, "stage", property(lambda self: 0)),
    member(DualAveraging, "restart", lambda self, gamma=1.0: None),
)
_no_ramp = member(DualAveraging, "ramp_momentum", lambda self, stage_step: None)
#: eps_t does not fall with t.
_tolerance_stays = member(PowerSchedule, "__call__", lambda self, step, unit: self.tolerance * unit)


def _mutant(name: str, problem: str, patch: Patch) -> Mutant:
    return Mutant(f"training_{name}", plain_target(problem, "problem"), (CHECK,), patch)


RAMDA_GROUPS, PROXGEN_GROUPS = "digits-ramda-group-lasso", "digits-proxgen-group-lasso"

MUTANTS = [
    _mutant("falls_back", RAMDA_GROUPS, _falls_back(lambda task: True)),
    _mutant("falls_back_for_one_tensor", PROXGEN_GROUPS, _falls_back(lambda task: task.point.numel() > 2000)),
    _mutant("falls_back_where_it_is_free", "digits-ramda-nuclear-norm", _falls_back(lambda task: True)),
    _mutant("wrong_after_a_restart", RAMDA_GROUPS, of_the_run(_after_a_restart)),
    _mutant("nan_in_one_step", RAMDA_GROUPS, _in_one_step(150, lambda point: point.fill_(torch.nan))),
    _mutant("nan_in_one_entry", PROXGEN_GROUPS, _in_one_step(299, lambda point: point.view(-1)[:1].fill_(torch.nan))),
    _mutant("weights_move_in_one_step", PROXGEN_GROUPS, _in_one_step(222, lambda point: point.mul_(1.001))),
    *(
        _mutant(f"restart_keeps_{key}", RAMDA_GROUPS, _restart_keeps(key))
        for key in ("grad_sum", "grad_sq_sum", "initial_point", "weight_sum", "step")
    ),
    _mutant("no_restart", RAMDA_GROUPS, _no_restart),
    _mutant("no_ramp", RAMDA_GROUPS, _no_ramp),
    _mutant("tolerance_stays", "digits-ramda-nuclear-norm", _tolerance_stays),
    _mutant("certificates_shrunk", "digits-proxgen-nuclear-norm", certificates_shrunk),
]
