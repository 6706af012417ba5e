"""A parameter on its way through a step."""

from typing import Any, NamedTuple

from torch import Tensor


class Item(NamedTuple):
    """A parameter, its place in its group, the group, and its state."""

    position: int
    param: Tensor
    group: dict[str, Any]
    state: dict[str, Any]

    @property
    def name(self) -> str:
        """The parameter's name where the optimizer was given named parameters, else its place and shape."""
        names = self.group.get("param_names")
        return names[self.position] if names else f"params[{self.position}] of shape {tuple(self.param.shape)}"
