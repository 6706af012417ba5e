"""What the solve of one step leaves to that of the next, in a parameter's state and beside it."""

import torch
from torch import Tensor

from solvers.optimizers.assignment import like_sums
from solvers.optimizers.method import State
from solvers.optimizers.saving import INNER
from solvers.optimizers.slot import ParameterSlot
from solvers.regularizers.base import offers
from solvers.regularizers.members import ProxWithDerivative, Regularizer
from solvers.subproblem.memory import FIRST_GUESS, Memory
from solvers.subproblem.methods import direct_method

#: Ŵ of the last solve, kept where the subproblem is solved by iteration: the next solve starts there.
LAST = INNER + "structured"
#: The fields of ``Memory``, all but its prox, which they determine; the last two are 0-d float64 tensors. STEP is 0
#: where no prox is remembered, and negative where nothing has been solved yet.
X, STEP, MISSED = INNER + "x", INNER + "step", INNER + "missed"


def blank(state: State) -> None:
    """Forget the last solve, where there is room for one."""
    if LAST in state:
        state[STEP] = torch.tensor(-1.0, dtype=torch.float64)


class WarmStarts:
    """Reads and writes the state of the inner solvers. It belongs to one regularizer and is void under another one."""

    def __init__(self) -> None:
        self._solved_under: dict[Tensor, Regularizer] = {}
        self._proxes: dict[Tensor, tuple[Tensor, int, ProxWithDerivative]] = {}

    def begin(self, slot: ParameterSlot, inner_method: str) -> None:
        """Make room for what a solve will leave. torch.distributed.checkpoint restores the tensors that are there."""
        regularizer, param = slot.settings["regularizer"], slot.param
        if direct_method(regularizer, inner_method) is not None:
            return
        names = (LAST, X) if offers(regularizer, "prox_with_derivative") else (LAST,)
        slot.state.update({name: like_sums(param).zero_() for name in names})
        slot.state[MISSED] = torch.tensor(FIRST_GUESS, dtype=torch.float64)
        blank(slot.state)

    def last(self, slot: ParameterSlot) -> Tensor | None:
        """Ŵ of the last solve, unless the regularizer is another one since."""
        solved = float(slot.state.get(STEP, 0.0)) >= 0
        return slot.state.get(LAST) if solved and self._holds(slot) else None

    def memory(self, slot: ParameterSlot) -> Memory:
        """What the last solve left, with its prox where the state has not been loaded, moved or edited since."""
        state = slot.state
        if X not in state or float(state[STEP]) <= 0 or not self._holds(slot):
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
        elif memory.x is None:
            state[STEP] = torch.tensor(0.0, dtype=torch.float64)

    def _holds(self, slot: ParameterSlot) -> bool:
        regularizer = slot.settings["regularizer"]
        return self._solved_under.get(slot.param, regularizer) is regularizer
