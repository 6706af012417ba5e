"""Which parameter of a network gets which regularizer: by layer type, with overrides by name."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from solvers.regularizers.base import offers, require_regularizer

_KINDS: dict[str, tuple[type[nn.Module], ...]] = {
    "attention": (nn.MultiheadAttention,),
    "linear": (nn.Linear, nn.Bilinear),
    "convolution": (nn.Conv1d, nn.Conv2d, nn.Conv3d),
    "recurrent": (nn.RNNBase, nn.RNNCellBase),
}


@dataclass(frozen=True)
class Assignment:
    """One parameter, the kind of layer it belongs to, and its regularizer (None: free)."""

    name: str
    shape: tuple[int, ...]
    kind: str
    regularizer: Any


class ParameterGroups(list[dict[str, Any]]):
    """Parameter groups for an optimizer of this library; printing it shows what got which regularizer."""

    def __init__(self, groups: list[dict[str, Any]], assignments: list[Assignment]) -> None:
        super().__init__(groups)
        self.assignments = assignments

    def __str__(self) -> str:
        rows = [("parameter", "shape", "layer", "regularizer")]
        for entry in self.assignments:
            shape = "x".join(map(str, entry.shape)) or "scalar"
            rows.append((entry.name, shape, entry.kind, "-" if entry.regularizer is None else repr(entry.regularizer)))
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def parameter_groups(
    module: nn.Module,
    *,
    linear: Any = None,
    convolution: Any = None,
    recurrent: Any = None,
    attention: Any = None,
    overrides: Mapping[str, Any] | None = None,
) -> ParameterGroups:
    """Group the parameters of ``module`` by regularizer.

    ``linear``, ``convolution`` (Conv1d/2d/3d), ``recurrent`` (RNN, LSTM, GRU) and ``attention`` (MultiheadAttention,
    its projections included) are the regularizers of the weight matrices of such layers, None for free. Biases, norm
    layers, embeddings and everything else are free. ``overrides`` maps patterns of parameter names ("head.*", the
    first match holds) to a regularizer or None. A parameter that several layers share appears once, under its first
    name.

    Raises TypeError on an object that is no regularizer and ValueError where a regularizer does not fit the shape of a
    parameter or an override matches none.
    """
    chosen = {"linear": linear, "convolution": convolution, "recurrent": recurrent, "attention": attention}
    overrides = dict(overrides or {})
    for name, regularizer in [*chosen.items(), *((f"overrides[{k!r}]", v) for k, v in overrides.items())]:
        if regularizer is not None:
            require_regularizer(name, regularizer)

    assignments, params = [], dict(module.named_parameters())
    kinds = dict(_kinds(module))
    unused = set(overrides)
    for name, param in params.items():
        kind = kinds.get(name, "other")
        pattern = next((pattern for pattern in overrides if fnmatchcase(name, pattern)), None)
        unused.discard(pattern or "")
        regularizer = chosen.get(kind) if pattern is None else overrides[pattern]
        if regularizer is not None and offers(regularizer, "check_shape"):
            try:
                regularizer.check_shape(param.shape)
            except ValueError as error:
                raise ValueError(f"parameter {name} cannot have {regularizer!r}: {error}") from None
        assignments.append(Assignment(name, tuple(param.shape), kind, regularizer))
    if unused:
        raise ValueError(f"overrides match no parameter: {', '.join(map(repr, sorted(unused)))}")

    groups: list[dict[str, Any]] = []
    for entry in assignments:
        found = next((group for group in groups if group["regularizer"] == entry.regularizer), None)
        if found is None:
            found = {"params": [], "regularizer": entry.regularizer}
            groups.append(found)
        found["params"].append((entry.name, params[entry.name]))
    return ParameterGroups(groups, assignments)


def _kinds(module: nn.Module) -> Iterator[tuple[str, str]]:
    """(parameter name, kind of layer) of every weight matrix; the outermost layer with a kind names it."""
    claimed: set[str] = set()
    for prefix, layer in module.named_modules(remove_duplicate=False):
        kind = next((kind for kind, types in _KINDS.items() if isinstance(layer, types)), None)
        if kind is None or any(prefix.startswith(f"{outer}.") for outer in claimed):
            continue
        claimed.add(prefix)
        for name, param in layer.named_parameters():
            if param.ndim >= 2 and not name.split(".")[-1].startswith("bias"):
                yield (f"{prefix}.{name}" if prefix else name), kind
