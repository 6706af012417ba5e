"""A parameter with all that a step needs to know of it."""

from typing import Any, NamedTuple

from torch import Tensor

from solvers.optimizers.method import Group, State


class ParameterSlot(NamedTuple):
    """A parameter with its index in its group, the group as the user sees it, the group's settings, and its state.

    ``settings`` are the group's hyperparameters as plain numbers; ``state`` is empty before the first step.
    """

    position: int
    param: Tensor
    group: dict[str, Any]
    settings: Group
    state: State

    @property
    def name(self) -> str:
        """The parameter's name where the optimizer was given named parameters, else its place and shape."""
        names = self.group.get("param_names")
        return names[self.position] if names else f"params[{self.position}] of shape {tuple(self.param.shape)}"
