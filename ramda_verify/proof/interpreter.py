"""Traced graphs run on terms instead of tensors."""

from collections.abc import Sequence
from typing import Any

import torch
from torch.fx import GraphModule

from ramda_verify.proof.arrays import Array, as_array
from ramda_verify.proof.elementwise import Unreadable
from ramda_verify.proof.groups import Coupled
from ramda_verify.proof.operators import name_of, operation
from ramda_verify.proof.terms import Context


def run_graph(context: Context, module: GraphModule, inputs: Sequence[Array]) -> Any:
    """What the graph returns for arrays of elements. Raises Coupled or Unreadable where an operation has no reading."""
    values: dict[Any, Any] = {}
    given = iter(inputs)

    def look_up(node: Any) -> Any:
        return values[node]

    for node in module.graph.nodes:
        if node.op == "placeholder":
            values[node] = next(given)
        elif node.op == "get_attr":
            values[node] = as_array(context, _attribute(module, node.target))
        elif node.op == "output":
            return torch.fx.node.map_arg(node.args[0], look_up)
        else:
            args, kwargs = torch.fx.node.map_arg(node.args, look_up), torch.fx.node.map_arg(node.kwargs, look_up)
            values[node] = _applied(context, name_of(node.target), args, kwargs)
    raise AssertionError("a graph without an output")


def _applied(context: Context, name: str, args: Any, kwargs: Any) -> Any:
    rule = operation(name)
    try:
        return rule(context, *args, **kwargs)
    except (Coupled, Unreadable):
        raise
    except Exception as error:  # a form of the operation that its reading does not expect
        raise Unreadable(f"the operation {name} with these arguments ({error})") from error


def _attribute(module: GraphModule, target: str) -> torch.Tensor:
    found: Any = module
    for part in target.split("."):
        found = getattr(found, part)
    return found
