"""What the solve of one step leaves to that of the next, in a parameter's state and beside it."""

import torch
from torch import Tensor

from solvers.optimizers.saving import INNER
from solvers.optimizers.slot import ParameterSlot
from solvers.regularizers.base import ProxWithDerivative, Regularizer
from solvers.subproblem.memory import Memory

#: Ŵ of the last solve, kept where the subproblem is solved by iteration: the next solve starts there.
LAST = INNER + "structured"
#: The fields of ``Memory``, all but its prox, which they determine; the last two are 0-d float64 tensors.
X, STEP, MISSED = INNER + "x", INNER + "step", INNER + "missed"


class WarmStarts:
    """Reads and writes the state of the inner solvers. It belongs to one regularizer and is void under another one."""

    def __init__(self) -> None:
        self._solved_under: dict[Tensor, Regularizer] = {}
        self._proxes: dict[Tensor, tuple[Tensor, int, ProxWithDerivative]] = {}

    def last(self, slot: ParameterSlot) -> Tensor | None:
        """Ŵ of the last solve, unless the regularizer is another one since."""
        return slot.state.get(LAST) if self._holds(slot) else None

    def memory(self, slot: ParameterSlot) -> Memory:
        """What the last solve left, with its prox where the state has not been loaded, moved or edited since."""
        state = slot.state
        if X not in state or not self._holds(slot):
            return Memory()
        x, version, prox = self._proxes.get(slot.param, (None, 0, None))
        untouched = x is state[X] and state[X]._version == version
        return Memory(state[X], float(state[STEP]), float(state[MISSED]), prox if untouched else None)

    def keep(self, slot: ParameterSlot, structured: Tensor, memory: Memory) -> None:
        """Keep Ŵ and what the solve left."""
        state, param = slot.state, slot.param
        state[LAST], self._solved_under[param] = structured, slot.settings["regularizer"]
        if memory.x is not None and memory.prox is not None:
            numbers = torch.tensor([memory.step, memory.missed], dtype=torch.float64).unbind()
            state.update(zip((X, STEP, MISSED), (memory.x, *numbers), strict=True))
            self._proxes[param] = memory.x, memory.x._version, memory.prox

    def _holds(self, slot: ParameterSlot) -> bool:
        regularizer = slot.settings["regularizer"]
        return self._solved_under.get(slot.param, regularizer) is regularizer
