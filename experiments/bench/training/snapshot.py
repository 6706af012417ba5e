"""The parameters and the state of an optimizer at one moment, to step from again and again."""

from typing import Any

import torch
from torch import Tensor

from experiments.bench.workload import parameters_of


class Snapshot:
    """A copy of what a step changes: parameters and state, of an optimizer of ours or of torch's."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer
        self.params = [param.detach() for param in parameters_of(optimizer)]
        self.values = [param.clone() for param in self.params]
        self.states = [(param, _copied(optimizer.state.get(param, {}))) for param in parameters_of(optimizer)]

    @torch.no_grad()
    def restore(self) -> None:
        """Everything as it was, in the memory where it was: what is known of addresses stays true."""
        torch._foreach_copy_(self.params, self.values)
        targets: list[Tensor] = []
        sources: list[Tensor] = []
        for param, kept in self.states:
            state = self.optimizer.state[param]
            for key in [key for key in state if key not in kept]:
                del state[key]
            for key, value in kept.items():
                if isinstance(value, Tensor) and isinstance(state.get(key), Tensor):
                    targets.append(state[key])
                    sources.append(value)
                else:
                    state[key] = value
        if targets:
            torch._foreach_copy_(targets, sources)


def _copied(state: dict[str, Any]) -> dict[str, Any]:
    return {key: value.clone() if isinstance(value, Tensor) else value for key, value in state.items()}
