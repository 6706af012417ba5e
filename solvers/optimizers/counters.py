"""The counters of parameters: 0-d tensors in the state, read and written without a call of torch's for each.

A state_dict must hold tensors, and a step needs numbers. The numbers are remembered beside the tensors; each is read
again where a tensor was replaced or written by somebody else, which its version counter shows.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from solvers.optimizers.method import Counters
from solvers.optimizers.slot import ParameterSlot

#: The dtypes of counters: how often, and how much.
DTYPES = {"step": torch.int64}
#: Up to this many counters one call each is faster than one for all, which needs a tensor to copy from.
FEW = 6


def new_counters(names: Sequence[str]) -> dict[str, Tensor]:
    """Counters at zero, on the CPU, where reading them waits for nothing."""
    return {name: torch.zeros((), dtype=DTYPES.get(name, torch.float64)) for name in names}


class _Known(NamedTuple):
    entries: tuple[tuple[str, Tensor, object], ...]
    numbers: Counters


class CounterCache:
    """The counters of the parameters of one optimizer as Python numbers."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._known: dict[Tensor, _Known] = {}

    def read(self, slot: ParameterSlot) -> Counters:
        """The counters of a parameter. The dictionary must not be changed."""
        known, state = self._known.get(slot.param), slot.state
        if known is not None and all(
            state.get(name) is tensor and _stamp(tensor) == stamp for name, tensor, stamp in known.entries
        ):
            return known.numbers
        return self._remember(slot, {name: state[name].item() for name in self._names})

    def write(self, slots: Sequence[ParameterSlot], old: Sequence[Counters], new: Sequence[Counters]) -> None:
        """Replace the counters ``old``, as ``read`` has returned them, by ``new``; equal ones are not touched."""
        for name in self._names:
            changed = [
                (slot, after[name])
                for slot, before, after in zip(slots, old, new, strict=True)
                if before[name] != after[name]
            ]
            if len(changed) <= FEW:
                for slot, number in changed:
                    slot.state[name].fill_(number)
            else:
                dtype = DTYPES.get(name, torch.float64)
                sources = {number: torch.tensor(number, dtype=dtype) for number in {number for _, number in changed}}
                torch._foreach_copy_([slot.state[name] for slot, _ in changed], [sources[n] for _, n in changed])
        for slot, numbers in zip(slots, new, strict=True):
            self._remember(slot, numbers)

    def _remember(self, slot: ParameterSlot, numbers: Counters) -> Counters:
        tensors = [(name, slot.state[name]) for name in self._names]
        entries = tuple((name, tensor, _stamp(tensor)) for name, tensor in tensors)
        self._known[slot.param] = _Known(entries, numbers)
        return numbers


def _stamp(tensor: Tensor) -> object:
    """What changes where somebody writes a tensor or replaces its memory; tensors of inference mode do not tell."""
    return object() if tensor.is_inference() else (tensor._version, tensor.data_ptr())
