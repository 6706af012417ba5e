"""Which layers are linear maps, which of their parameters are weight matrices, and how the axes of these lie.

Layers of torch are known by class. Others are known by what they declare: ``in_features`` and ``out_features`` (or
``in_channels`` and ``out_channels``) beside a parameter ``weight`` whose first two lengths are these, in either order;
and the linear layer of GPT-2, a class called Conv1D with ``nf`` outputs and a weight (in, out).
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from torch import Tensor, nn

from solvers.regularizers.layout import WeightLayout

#: Kinds of layers. A weight that layers of several kinds share is of the first of these.
KINDS = ("embedding", "attention", "convolution", "recurrent", "linear")

#: Classes whose linear layers are projections of an attention: BertSelfAttention, GPT2Attention, LlamaFlashAttention2.
_ATTENTION = re.compile(r"(Attention|Attn)\d*$")
_RECURRENT_WEIGHT = re.compile(r"weight_(ih|hh|hr)(_l\d+(_reverse)?)?$")
_IN_PROJECTIONS = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")
_SIZES = (("in_features", "out_features"), ("in_channels", "out_channels"))


class LayerWeight(NamedTuple):
    """A weight of a layer: the name that the layer gives it, the kind of layer, and how its axes lie.

    ``uncertain`` where the axes could be either way: a square weight of a class that torch does not define.
    """

    name: str
    kind: str
    layout: WeightLayout
    uncertain: bool = False


def is_attention(module: nn.Module) -> bool:
    """Whether the linear layers inside ``module`` are projections of an attention: by its class, or its class's name,
    which ends in Attention or Attn, digits aside.
    """
    return isinstance(module, nn.MultiheadAttention) or _ATTENTION.search(type(module).__name__) is not None


def layer_weights(module: nn.Module, orders: dict[type, str]) -> Iterator[LayerWeight]:
    """The weight matrices that ``module`` itself declares, whether or not they are parameters at present.

    ``orders`` is what ``known_orders`` found for the classes of the model.
    """
    if isinstance(module, nn.MultiheadAttention):
        yield from (LayerWeight(name, "attention", WeightLayout()) for name in _IN_PROJECTIONS)
    elif isinstance(module, nn.Embedding | nn.EmbeddingBag):
        # A table is read as the output layer that it may be tied to: row i belongs to output i, under either name.
        yield LayerWeight("weight", "embedding", WeightLayout())
    elif isinstance(module, nn.RNNBase | nn.RNNCellBase):
        names = dict.fromkeys((*module._parameters, *vars(module), *_parametrized(module)))
        yield from (
            LayerWeight(name, "recurrent", WeightLayout()) for name in names if _RECURRENT_WEIGHT.fullmatch(name)
        )
    elif isinstance(module, nn.modules.conv._ConvNd):
        yield LayerWeight("weight", "convolution", WeightLayout(_order(module.transposed), module.groups))
    elif isinstance(module, nn.Bilinear):
        yield LayerWeight("weight", "linear", WeightLayout())
    elif any(base.__name__ == "Conv1D" for base in type(module).__mro__) and hasattr(module, "nf"):
        yield LayerWeight("weight", "linear", WeightLayout("in_out"))
    else:
        yield from _declared_by_sizes(module, orders)


def known_orders(modules: Iterable[nn.Module]) -> dict[type, str]:
    """The order of axes of every class that declares its sizes, from those of its layers that are not square."""
    orders: dict[type, str] = {}
    for module in modules:
        fitting = _fitting_orders(module)
        if len(fitting) == 1:
            orders.setdefault(type(module), fitting[0])
    return orders


def _declared_by_sizes(module: nn.Module, orders: dict[type, str]) -> Iterator[LayerWeight]:
    weight, fitting = _stored_weight(module), _fitting_orders(module)
    if not fitting and not isinstance(module, nn.Linear):
        return
    kind = "linear" if weight is None or weight.ndim == 2 else "convolution"
    uncertain = len(fitting) == 2 and not isinstance(module, nn.Linear) and type(module) not in orders
    order = fitting[0] if len(fitting) == 1 else orders.get(type(module), "out_in")
    yield LayerWeight("weight", kind, WeightLayout(order, _conv_groups(module)), uncertain)


def _stored_weight(module: nn.Module) -> Tensor | None:
    """``module.weight`` where it is a parameter or what a hook left there; a parametrization is not computed, since
    that of the spectral norm changes its buffers.
    """
    weight = module._parameters.get("weight", vars(module).get("weight"))
    return weight if isinstance(weight, Tensor) else None


def _fitting_orders(module: nn.Module) -> list[str]:
    """The orders of axes in which the weight of ``module`` has the sizes that the module declares."""
    weight = _stored_weight(module)
    if weight is None:
        return []
    groups = _conv_groups(module)
    for names in _SIZES:
        inputs, outputs = (getattr(module, name, None) for name in names)
        if isinstance(inputs, int) and isinstance(outputs, int):
            lengths = {"out_in": (outputs, inputs // groups), "in_out": (inputs, outputs // groups)}
            transposed = getattr(module, "transposed", None)
            allowed = list(lengths) if not isinstance(transposed, bool) else [_order(transposed)]
            return [order for order in allowed if lengths[order] == tuple(weight.shape[:2])]
    return []


def _order(transposed: bool) -> str:
    return "in_out" if transposed else "out_in"


def _conv_groups(module: nn.Module) -> int:
    groups = getattr(module, "groups", 1)
    return groups if isinstance(groups, int) and groups > 0 else 1


def _parametrized(module: nn.Module) -> Iterable[str]:
    parametrizations = getattr(module, "parametrizations", None)
    return parametrizations.keys() if isinstance(parametrizations, nn.ModuleDict) else ()
