"""Steps whose subproblem was not solved as criterion (7) demands: counted, and warned about once."""

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor

from solvers.optimizers.slot import Item


class UnacceptedSteps:
    """A count that does not wait for a GPU until it is read."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self._count = 0
        self._on_device: dict[torch.device, Tensor] = {}
        self._alarm = ""

    @property
    def count(self) -> int:
        """Subproblems not accepted so far. Waits for the device, if any."""
        return self._count + sum(int(total) for total in self._on_device.values())

    def refuse(self, item: Item, what: str) -> None:
        """Count a step; the first one is warned about at the end of the optimizer's step."""
        self._count += 1
        if self._count == 1:
            self._alarm = (
                f"{self.owner}: step {int(item.state['step'])} of parameter {item.name} was not accepted, {what}. "
                "Further ones are counted in unaccepted_steps."
            )

    def keep(self, items: Sequence[Item], kept: Tensor) -> None:
        """Count the tensors of which ``kept`` groups have no solution and stay as they were; on a GPU silently."""
        if kept.device.type != "cpu":
            if kept.device not in self._on_device:
                self._on_device[kept.device] = torch.zeros((), dtype=torch.int64, device=kept.device)
            self._on_device[kept.device] += torch.count_nonzero(kept)
            return
        for item, groups in zip(items, kept.tolist(), strict=True):
            if groups:
                self.refuse(item, f"{groups} of its groups or entries have no finite solution and kept their values")

    def warn(self, stacklevel: int) -> None:
        if self._alarm:
            warnings.warn(self._alarm, RuntimeWarning, stacklevel=stacklevel + 1)
            self._alarm = ""
