"""Which parameter of a network gets which regularizer: by layer type, with overrides by name."""

import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from solvers.networks.layers import KINDS
from solvers.networks.roles import OTHER, NetworkParameter, Role, network_parameters
from solvers.regularizers.base import offers, require_regularizer
from solvers.regularizers.layout import WeightLayout
from solvers.regularizers.members import Regularizer


@dataclass(frozen=True)
class Assignment:
    """One parameter, the kind of layer it belongs to, and its regularizer (None: free).

    ``notes`` are sentences about it that belong into the printed summary; ``frozen`` is True where it does not require
    a gradient, so that no optimizer steps it.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    regularizer: Regularizer | None
    notes: tuple[str, ...] = ()
    frozen: bool = False


class ParameterGroups(list[dict[str, Any]]):
    """Parameter groups for an optimizer of this library; printing it shows what got which regularizer.

    Arguments:
        groups: dicts with "params" and "regularizer".
        assignments: one entry for each parameter.
        module: the network. The groups do not keep it alive.
    """

    def __init__(
        self, groups: list[dict[str, Any]], assignments: list[Assignment], module: nn.Module | None = None
    ) -> None:
        super().__init__(groups)
        self.assignments = assignments
        self._module = None if module is None else weakref.ref(module)

    @property
    def module(self) -> nn.Module | None:
        """The network, or None once it has been deleted."""
        return None if self._module is None else self._module()

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles, whose parameters are not those of the network."""
        return {**vars(self), "_module": None}

    def __str__(self) -> str:
        rows = [("parameter", "shape", "layer", "regularizer")]
        for entry in self.assignments:
            shape = "x".join(map(str, entry.shape)) or "scalar"
            regularizer = "-" if entry.regularizer is None else repr(entry.regularizer)
            rows.append((entry.name, shape, entry.kind, regularizer + " (frozen)" * entry.frozen))
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([*lines, *(f"{entry.name}: {note}" for entry in self.assignments for note in entry.notes)])


def parameter_groups(
    module: nn.Module,
    *,
    linear: Regularizer | None = None,
    convolution: Regularizer | None = None,
    recurrent: Regularizer | None = None,
    attention: Regularizer | None = None,
    embedding: Regularizer | None = None,
    overrides: Mapping[str, Regularizer | None] | None = None,
) -> ParameterGroups:
    """Group the parameters of ``module`` by regularizer.

    Every argument but the first is the regularizer of the weight matrices of one kind of layer, None for free. Biases,
    norm layers and parameters of unknown modules are free. A regularizer that offers ``for_layout`` is adapted to how
    the layer stores its weight, so that GroupLasso's "input" is a group of weights that read one input in all of them.

    Arguments:
        module: the network, every lazy layer of which has seen a forward pass.
        linear: Linear, Bilinear ("input" groups what reads one entry of its first input), GPT-2's Conv1D, and other
            classes with ``in_features``, ``out_features`` and a ``weight`` of these sizes in either order.
        convolution: Conv1d/2d/3d, ConvTranspose1d/2d/3d, and other classes with ``in_channels``, ``out_channels`` and
            such a weight; with ``groups`` every block has its own input channels.
        recurrent: RNN, LSTM, GRU and their cells. Their gates are stacked along the outputs: "output" groups what makes
            one gate of one unit, "input" what reads one input or one unit in all gates.
        attention: MultiheadAttention, and every linear layer inside a module whose class name ends in Attention or
            Attn, digits aside (BertSelfAttention, GPT2Attention). Fused projections are one matrix: "input" groups what
            reads one input in query, key and value.
        embedding: Embedding and EmbeddingBag, read as the output layer that they may be tied to: "output" groups the
            row of one index, "input" one column.
        overrides: maps patterns of parameter names ("head.*") to a regularizer or None; the first pattern that matches
            one of the names of a parameter holds.

    A parameter that several layers share appears once, under its first name. Its layer is, of those that it belongs to,
    the first in the order embedding, attention, convolution, recurrent, linear, whatever the order of registration; an
    override by one name takes the layer of that name. So the output layer of a language model that is tied to its
    embedding is an embedding, free unless ``embedding`` or an override says otherwise.

    The factors of a parametrized weight (``weight_norm``, ``spectral_norm``, ``orthogonal``, pruning) stay free, since
    a regularizer of the factors is none of the weight.

    Returns:
        ParameterGroups, a list of parameter groups for an optimizer; printed, a table and a line for every parameter of
        which there is more to say.

    Raises:
        TypeError: ``module`` is no network or an argument is no regularizer.
        ValueError: a kind or an override gives no parameter a regularizer, a regularizer does not fit the shape or
            layout of a parameter, an override names a factor of a parametrized weight, or a lazy layer has no shape.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"module must be a torch.nn.Module, got {type(module).__name__}")
    chosen = {
        "linear": linear,
        "convolution": convolution,
        "recurrent": recurrent,
        "attention": attention,
        "embedding": embedding,
    }
    overrides = dict(overrides or {})
    for name, regularizer in [*chosen.items(), *((f"overrides[{k!r}]", v) for k, v in overrides.items())]:
        if regularizer is not None:
            require_regularizer(name, regularizer)

    found = network_parameters(module)
    matches = {entry.name: _first_match(entry, overrides) for entry in found}
    _check_overrides(overrides, found, matches)
    assignments = [_assigned(entry, chosen, overrides, matches[entry.name]) for entry in found]
    for kind, regularizer in chosen.items():
        if regularizer is not None:
            _check_kind(kind, regularizer, found, assignments, matches)

    groups: list[dict[str, Any]] = []
    for parameter, entry in zip(found, assignments, strict=True):
        group = next((group for group in groups if _same(group["regularizer"], entry.regularizer)), None)
        if group is None:
            group = {"params": [], "regularizer": entry.regularizer}
            groups.append(group)
        group["params"].append((entry.name, parameter.param))
    return ParameterGroups(groups, assignments, module)


#: The pattern that holds for a parameter, and those of its names that it matches.
_Match = tuple[str, tuple[str, ...]]


def _first_match(entry: NetworkParameter, overrides: Mapping[str, Regularizer | None]) -> _Match | None:
    for pattern in overrides:
        names = _matching(entry, pattern)
        if names:
            return pattern, names
    return None


def _matching(entry: NetworkParameter, pattern: str) -> tuple[str, ...]:
    return tuple(name for name in entry.names if fnmatchcase(name, pattern))


def _check_overrides(
    overrides: Mapping[str, Regularizer | None], found: list[NetworkParameter], matches: Mapping[str, _Match | None]
) -> None:
    """Raise ValueError where a pattern matches nothing, or never holds since earlier ones say something else."""
    matched = {
        pattern: [e for e in found if any(fnmatchcase(name, pattern) for name in e.names)] for pattern in overrides
    }
    unmatched = [repr(pattern) for pattern, entries in matched.items() if not entries]
    if unmatched:
        raise ValueError(f"overrides match no parameter: {', '.join(unmatched)}")
    for pattern, entries in matched.items():
        holding = {entry.name: match[0] for entry in entries if (match := matches[entry.name]) is not None}
        if pattern not in holding.values():
            for name, earlier in holding.items():
                if not _same(overrides[earlier], overrides[pattern]):
                    raise ValueError(f"overrides[{pattern!r}] never holds: the earlier {earlier!r} matches {name}, too")


def _assigned(
    entry: NetworkParameter,
    chosen: Mapping[str, Regularizer | None],
    overrides: Mapping[str, Regularizer | None],
    match: _Match | None,
) -> Assignment:
    names = None if match is None else match[1]
    role = entry.deciding_role(names)
    regularizer = chosen.get(role.kind) if match is None else overrides[match[0]]
    notes = _notes_on_sharing(entry, role)
    if entry.factor_of is not None and regularizer is not None:
        undo = f"a factor of the parametrized weight {entry.factor_of}, which can be regularized after {_UNDO}"
        if match is not None:
            raise ValueError(
                f"overrides[{match[0]!r}] gives a regularizer to {entry.name}, {undo}; None leaves it free"
            )
        regularizer = None
        notes.append(f"free: {undo}")
    if regularizer is not None:
        try:
            regularizer, more = _for_layer(regularizer, role, tuple(entry.param.shape))
            notes.extend(more)
            # An empty weight has no subproblem, and the optimizers step over it.
            if entry.param.numel() and offers(regularizer, "check_shape"):
                regularizer.check_shape(entry.param.shape)
        except ValueError as error:
            raise ValueError(f"parameter {entry.name} cannot have {regularizer!r}: {error}") from None
    shape, frozen = tuple(entry.param.shape), not entry.param.requires_grad
    return Assignment(entry.name, shape, role.kind, regularizer, tuple(notes), frozen)


_UNDO = "torch's remove_parametrizations, remove_weight_norm, remove_spectral_norm or prune.remove"


def _for_layer(regularizer: Regularizer, role: Role, shape: tuple[int, ...]) -> tuple[Regularizer, list[str]]:
    """The regularizer for the weight of this layer, and what the summary has to say about that."""
    if role.weight is None or offers(regularizer, "separable"):
        return regularizer, []
    layout, notes = role.weight.layout, []
    if role.weight.uncertain:
        notes.append("square, of a class whose order of axes is not known; taken for (out, in)")
    adapted = regularizer.for_layout(layout, shape) if offers(regularizer, "for_layout") else None
    if adapted is None and layout != WeightLayout():
        axes = "(out, in" if layout.order == "out_in" else "(in, out"
        blocks = f" in {layout.conv_groups} blocks of channels" if layout.conv_groups > 1 else ""
        notes.append(f"{type(regularizer).__name__} takes this weight, {axes}, ...){blocks}, for (out, in, ...)")
    return (regularizer if adapted is None else adapted), notes


def _notes_on_sharing(entry: NetworkParameter, role: Role) -> list[str]:
    """A line where the layers that share the parameter are not of one kind and layout."""
    others = sorted({_description(other) for other in entry.roles} - {_description(role)})
    if not others:
        return []
    return [f"counts as {_description(role)}; shared, also {', '.join(entry.names[1:])} ({', '.join(others)})"]


def _description(role: Role) -> str:
    layout = "" if role.weight is None else f" {role.weight.layout.order}"
    return role.kind + layout


def _check_kind(
    kind: str,
    regularizer: Regularizer,
    found: list[NetworkParameter],
    assignments: list[Assignment],
    matches: Mapping[str, _Match | None],
) -> None:
    """Raise ValueError where a kind that was asked for gives no parameter a regularizer."""
    weights = [entry for entry in found if any(role.kind == kind for role in entry.roles)]
    if not weights:
        present = sorted({entry.kind for entry in assignments} - {OTHER})
        raise ValueError(
            f"{kind}={regularizer!r} matches no parameter; of {', '.join(KINDS)} the network has "
            f"{', '.join(present) or 'none'}; overrides name any other parameter"
        )
    names = {entry.name for entry in weights}
    if any(matches[name] is not None for name in names):
        return
    mine = [entry for entry in assignments if entry.name in names]
    if all(entry.regularizer is None or entry.kind != kind for entry in mine):
        reasons = "; ".join(f"{entry.name} {note}" for entry in mine[:3] for note in entry.notes)
        raise ValueError(f"{kind}={regularizer!r} gives no parameter a regularizer: {reasons}")


def _same(one: object, other: object) -> bool:
    return one is other or (type(one) is type(other) and bool(one == other))
