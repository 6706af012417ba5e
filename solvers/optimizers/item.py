"""A parameter on its way through a step."""

from typing import Any, NamedTuple

from torch import Tensor


class Item(NamedTuple):
    """A parameter, its name for messages, its group and its state."""

    name: str
    param: Tensor
    group: dict[str, Any]
    state: dict[str, Any]
