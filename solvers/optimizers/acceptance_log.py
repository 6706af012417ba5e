"""What a training run must hear of its steps: subproblems not solved as criterion (7) demands, and tensors that died.

Both are counted, and each kind is warned about once (a dead tensor once a parameter).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from solvers.callers import warn_caller
from solvers.kernels import Integers, numbers_in
from solvers.optimizers.slot import ParameterSlot

#: On a GPU the flags of dead tensors are read every so many steps, since reading them waits for the device.
LOOK_EVERY = 100


class AcceptanceLog:
    """A count that does not wait for a GPU until it is read, and the warnings that are due."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self._count = 0
        self._on_device: dict[torch.device, Tensor] = {}
        self._alarms: list[str] = []
        self._alive: set[Tensor] = set()
        self._dead: set[Tensor] = set()

    @property
    def count(self) -> int:
        """Subproblems not accepted so far. Waits for the device, if any."""
        return self._count + sum(int(total) for total in self._on_device.values())

    def record_unaccepted(self, slot: ParameterSlot, why: str) -> None:
        """Count a subproblem whose solution missed its tolerance; the first one is warned about."""
        self._count += 1
        if self._count == 1:
            self._alarms.append(
                f"{self.owner}: step {int(slot.state['step'])} of parameter {slot.name} was not accepted, {why}. "
                "Further ones are counted in unaccepted_steps."
            )

    def record_unsolved(self, slots: Sequence[ParameterSlot], kept: Integers) -> None:
        """Count the parameters of which some groups have no solution that they can hold and kept their values.

        Arguments:
            kept: how many such groups each parameter has. On a GPU it is added up there, without a warning, since
                reading it would wait for the device.
        """
        if isinstance(kept, Tensor) and kept.device.type != "cpu":
            if kept.device not in self._on_device:
                self._on_device[kept.device] = torch.zeros((), dtype=torch.int64, device=kept.device)
            self._on_device[kept.device] += torch.count_nonzero(kept)
            return
        for slot, groups in zip(slots, _listed(kept), strict=True):
            if groups:
                why = f"{groups} of its groups or entries have no solution that {slot.param.dtype} holds"
                self.record_unaccepted(slot, f"{why} and kept their values")

    def record_start(self, slot: ParameterSlot) -> None:
        """Note before the first step whether a parameter is zero; one that is, as some are initialised, cannot die."""
        if bool(torch.count_nonzero(slot.param)):
            self._alive.add(slot.param)

    def record_zeros(self, slots: Sequence[ParameterSlot], zeros: Integers, totals: Sequence[int], step: int) -> None:
        """Warn of parameters whose structured iterate has become zero as a whole, once each.

        Arguments:
            zeros: how many groups (or entries) of Ŵ are zero. On a GPU it is read every LOOK_EVERY steps.
            totals: how many there are.
            step: the number of the step.
        """
        if isinstance(zeros, Tensor) and zeros.device.type != "cpu" and step % LOOK_EVERY:
            return
        for slot, count, total in zip(slots, _listed(zeros), totals, strict=True):
            if count < total:
                self._alive.add(slot.param)
            elif slot.param not in self._dead and (slot.param in self._alive or bool(torch.count_nonzero(slot.param))):
                self._dead.add(slot.param)
                self._alarms.append(
                    f"{self.owner}: the structured iterate of parameter {slot.name} became zero as a whole at step "
                    f"{int(slot.state['step'])}, under {slot.settings['regularizer']!r}. If that is not wanted, choose "
                    "a smaller reg_weight (reg_weight_max tells where a tensor dies) or phase it in (reg_warmup)."
                )

    def __getstate__(self) -> dict[str, Any]:
        """For copying and pickling: which parameters are alive is seen anew."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_alive", "_dead")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _alive=set(), _dead=set())

    def warn(self) -> None:
        """Give the warnings that are due."""
        alarms, self._alarms = self._alarms, []
        for alarm in alarms:
            warn_caller(alarm, RuntimeWarning)


def _listed(numbers: Integers) -> Sequence[int]:
    return numbers_in(numbers) if isinstance(numbers, Tensor) else numbers
