"""What a parameter is in a network: its names, the layers it is a weight of, the weight it is only a factor of."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from solvers.networks.layers import KINDS, LayerWeight, is_attention, known_orders, layer_weights

#: The kind of a parameter that is the weight of no known layer: biases, norm layers, parameters of unknown modules.
OTHER = "other"
_RANK = {kind: rank for rank, kind in enumerate((*KINDS, OTHER))}


@dataclass(frozen=True)
class Role:
    """One name of a parameter; the weight of a layer that it is under this name, if it is one.

    ``factor_of`` names the weight that is computed from it, where a parametrization or a hook does that.
    """

    name: str
    kind: str = OTHER
    weight: LayerWeight | None = None
    factor_of: str | None = None

    @property
    def rank(self) -> tuple[int, bool, int]:
        """Of several roles the one of lowest rank decides, whatever the order in which layers were registered."""
        layout = self.weight.layout if self.weight else None
        return (_RANK[self.kind], layout is not None and layout.order != "out_in", layout.conv_groups if layout else 1)


@dataclass
class NetworkParameter:
    """A parameter with all its roles; ``name`` is the first of its names."""

    name: str
    param: nn.Parameter
    roles: list[Role] = field(default_factory=list)

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, *dict.fromkeys(role.name for role in self.roles if role.name != self.name))

    @property
    def factor_of(self) -> str | None:
        return next((role.factor_of for role in self.roles if role.factor_of is not None), None)

    def deciding_role(self, names: tuple[str, ...] | None = None) -> Role:
        """The role of lowest rank, of those under ``names`` where given."""
        roles = [role for role in self.roles if names is None or role.name in names]
        return min(roles, key=lambda role: role.rank, default=Role(self.name))


def network_parameters(module: nn.Module) -> list[NetworkParameter]:
    """Every parameter of ``module`` once, in the order of ``module.named_parameters()``.

    Raises ValueError, naming the parameter, where a lazy layer has not made it yet.
    """
    for name, param in module.named_parameters():
        if is_lazy(param):
            raise ValueError(f"parameter {name} has no shape yet: its layer is lazy; run a forward pass first")
    found = {id(param): NetworkParameter(name, param) for name, param in module.named_parameters()}
    for identity, role in _roles(module):
        if identity in found:
            found[identity].roles.append(role)
    return list(found.values())


def _roles(module: nn.Module) -> Iterator[tuple[int, Role]]:
    """(identity of the parameter, role) of every name of every parameter."""
    orders = known_orders(module.modules())
    inside_attention: dict[str, bool] = {}
    computed: dict[str, str] = {}
    for prefix, layer in module.named_modules(remove_duplicate=False):
        parent = prefix.rpartition(".")[0]
        inside = inside_attention.get(parent, False) or is_attention(layer)
        inside_attention[prefix] = inside
        weights = {weight.name: weight for weight in layer_weights(layer, orders)}
        kinds = {name: "attention" if inside and w.kind == "linear" else w.kind for name, w in weights.items()}
        for name in kinds:
            computed[_joined(prefix, "parametrizations", name)] = kinds[name]
        for name, param in layer._parameters.items():
            if param is None:
                continue
            full, source = _joined(prefix, name), _computed_by_hook(layer, name)
            parametrized = _parametrized(prefix)
            if parametrized is not None:
                kind = computed.get(_joined(parametrized[0], "parametrizations", parametrized[1]), OTHER)
                yield id(param), Role(full, kind, factor_of=_joined(*parametrized))
            elif source is not None:
                yield id(param), Role(full, kinds.get(source, OTHER), factor_of=_joined(prefix, source))
            else:
                yield id(param), Role(full, kinds.get(name, OTHER), weights.get(name))


def _parametrized(prefix: str) -> tuple[str, str] | None:
    """(path of the layer, name of its weight) for a module inside ``layer.parametrizations.weight``; else None."""
    path = prefix.split(".")
    if "parametrizations" not in path[:-1]:
        return None
    place = path.index("parametrizations")
    return ".".join(path[:place]), path[place + 1]


def _computed_by_hook(layer: nn.Module, name: str) -> str | None:
    """The attribute of ``layer`` that a hook computes from its parameter ``name``: ``weight`` of ``weight_g``,
    ``weight_v`` (weight norm) or ``weight_orig`` (spectral norm, pruning). Such an attribute is a tensor and neither a
    parameter nor a buffer.
    """
    for stem, value in vars(layer).items():
        if isinstance(value, torch.Tensor) and name.startswith(f"{stem}_"):
            return stem
    return None


def _joined(*parts: str) -> str:
    return ".".join(part for part in parts if part)
