"""From which weight on a regularizer makes a whole tensor zero: the scale on which reg_weight is chosen."""

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from solvers.evaluation.forward import preserved
from solvers.networks.layers import KINDS
from solvers.networks.parameter_groups import ParameterGroups, parameter_groups
from solvers.optimizers.wrapped import unwrapped
from solvers.regularizers.base import accumulation_dtype
from solvers.regularizers.group_lasso import GroupLasso
from solvers.regularizers.members import Regularizer
from solvers.regularizers.zero import Zero

#: Relative precision of a weight.
PRECISION = 1e-6
#: A range to start from, as shares of the smallest of the weights: from that one on a whole tensor is lost, and with it
#: all that runs through it. Measured: experiments/results/starting-weights.md.
START = (0.01, 0.1)


@dataclass(frozen=True)
class WeightMax:
    """One regularized parameter: psi times ``factor`` or more makes all of it zero.

    ``reg_weight`` is ``factor`` times the ``reg_weight`` of the regularizer, or ``factor`` where it has none; 0 where
    the gradient is zero, infinite where no factor does it.
    """

    name: str
    regularizer: Regularizer
    factor: float
    reg_weight: float


class RegWeightMax(Mapping[str, float]):
    """Parameter name to the reg_weight from which on the whole parameter is zero; printing it shows them by regularizer
    with a range to start from.

    Arguments:
        rows: one entry for each parameter, with its regularizer; kept as a tuple.
    """

    def __init__(self, rows: list[WeightMax]) -> None:
        self.rows = tuple(rows)
        self._values = {row.name: row.reg_weight for row in rows}

    def __getitem__(self, name: str) -> float:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def by_kind(self) -> dict[str, list[float]]:
        """The weights of each class of regularizers, in ascending order."""
        kinds: dict[str, list[float]] = {}
        for row in self.rows:
            kinds.setdefault(type(row.regularizer).__name__, []).append(row.reg_weight)
        return {kind: sorted(values) for kind, values in kinds.items()}

    def start(self) -> dict[str, tuple[float, float]]:
        """For each class of regularizers a range of reg_weight to start from: 1 % to 10 % of the smallest weight that
        is neither zero nor infinite; a class without one has none.
        """
        usable = {kind: [v for v in values if 0 < v < math.inf] for kind, values in self.by_kind().items()}
        return {kind: (START[0] * values[0], START[1] * values[0]) for kind, values in usable.items() if values}

    def __str__(self) -> str:
        width = max(map(len, self), default=0)
        lines = [f"{row.name:{width}}  {row.reg_weight:8.2e}  {row.regularizer!r}" for row in self.rows]
        start = self.start()
        for kind, values in self.by_kind().items():
            lines.append(
                f"{kind}: all of a tensor is zero from reg_weight {values[0]:.2e} (smallest), "
                f"{statistics.median(values):.2e} (median), {values[-1]:.2e} (largest) on"
            )
            if kind in start:
                lines[-1] += f"; start between {start[kind][0]:.0e} and {start[kind][1]:.0e}"
        return "\n".join(lines)


def reg_weight_max(
    model: nn.Module,
    loss: Callable[[nn.Module, Any], Tensor],
    batches: Iterable[object],
    groups: object = None,
) -> RegWeightMax:
    """For each regularized parameter the smallest weight of its regularizer from which on all of it is zero.

    With G the mean gradient of the loss at the present parameters, zero is stationary for a parameter, its gradient
    given, if and only if ``-G`` is a subgradient of psi at zero, that is if ``prox(-G, 1) = 0``: for the weight
    ``max |G|`` of L1, ``max_g ||G_g||/sqrt(|g|)`` of a group LASSO, the spectral norm of G for the nuclear norm. It is
    the lambda_max of glmnet (Friedman, Hastie and Tibshirani, 2010), found here for any regularizer by bisection of the
    step of its prox, to a relative 1e-6 from above. In training the gradient changes: the weight says where to look,
    not what will happen.

    The network, its gradients, buffers, modes and torch's random number generators are left as they are. Gradients are
    those of the mode that the network is in.

    Arguments:
        model: the network.
        loss: ``loss(model, batch)`` returns the scalar loss of a batch.
        batches: an iterable of batches, each of which counts the same.
        groups: what has which regularizer: ParameterGroups, a list of parameter groups, or an optimizer of this
            library, wrapped or not. None: ``GroupLasso(1.0, "input")`` for the weights of all layers but embeddings.

    Returns:
        A mapping from parameter name to the weight; printed, a table with a range to start from.

    Raises:
        TypeError: ``model`` or ``loss`` is none, or ``groups`` is none of the above.
        ValueError: ``batches`` is empty, nothing is regularized, a regularized parameter is not one of the network, a
            loss is no scalar with a gradient, or a gradient is not finite.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    if not callable(loss):
        raise TypeError(f"loss must be a function of (model, batch), got {loss!r}")
    names = {id(param): name for name, param in model.named_parameters()}
    regularized = []
    for param, regularizer in _regularized(model, groups):
        if id(param) not in names:
            raise ValueError(f"groups must have parameters of model, got one of shape {tuple(param.shape)} that is not")
        regularized.append((names[id(param)], param, regularizer))
    if not regularized:
        raise ValueError("groups must regularize a parameter that requires a gradient, got none")
    gradients = _mean_gradients(model, loss, batches, [param for _, param, _ in regularized])
    rows = []
    for (name, _, regularizer), gradient in zip(regularized, gradients, strict=True):
        if not bool(torch.isfinite(gradient).all()):
            raise ValueError(f"the gradient of {name} must be finite, got NaN or infinite entries")
        if getattr(regularizer, "reg_weight", None) == 0 and is_dataclass(regularizer):
            # Zero times any factor is zero; the weight is found from 1.
            regularizer = replace(regularizer, reg_weight=1.0)
        factor = smallest_killing_factor(regularizer, gradient)
        weight = getattr(regularizer, "reg_weight", None)
        if math.isfinite(factor) and isinstance(weight, int | float):
            rows.append(WeightMax(name, regularizer, factor, factor * weight))
        else:
            rows.append(WeightMax(name, regularizer, factor, factor))
    return RegWeightMax(rows)


@torch.no_grad()
def smallest_killing_factor(regularizer: Regularizer, gradient: Tensor) -> float:
    """The smallest s with ``prox(-gradient, s) = 0``, from above to a relative 1e-6; infinite where there is none.

    The s with that property are an interval without end if psi is convex and least at zero.
    """
    target = -gradient.detach().double()
    if target.numel() == 0:
        return 0.0

    def kills(step: float) -> bool:
        return not bool(regularizer.prox(target.clone(), step).any())

    high = float(target.abs().max())
    if high == 0:
        return 0.0
    tiny, huge = (getattr(torch.finfo(torch.float64), name) for name in ("tiny", "max"))
    while not kills(high):
        if high > huge / 4:
            return math.inf
        high *= 4
    low = high / 4
    while low > 0 and kills(low):
        if low < 4 * tiny:
            return 0.0
        high, low = low, low / 4
    while high > low * (1 + PRECISION):
        middle = math.sqrt(low) * math.sqrt(high)
        if not low < middle < high:
            break
        low, high = (low, middle) if kills(middle) else (middle, high)
    return high


def _regularized(model: nn.Module, groups: object) -> Iterator[tuple[Tensor, Regularizer]]:
    """(parameter, regularizer) of every trained parameter with one."""
    if groups is None:
        kinds = {entry.kind for entry in parameter_groups(model).assignments} & set(KINDS) - {"embedding"}
        one = GroupLasso(1.0, "input")
        groups = parameter_groups(model, overrides=None, **dict.fromkeys(kinds, one))
    elif not isinstance(groups, ParameterGroups | list):
        groups = unwrapped(groups).param_groups
    for group in groups:
        if not isinstance(group, Mapping) or "params" not in group:
            raise TypeError(f"groups must be parameter groups or an optimizer, got a list with {group!r}")
        params, regularizer = group["params"], group.get("regularizer")
        for entry in [params] if isinstance(params, Tensor) else params:
            param = entry[1] if isinstance(entry, tuple) else entry
            if regularizer is not None and not isinstance(regularizer, Zero) and param.requires_grad:
                yield param, regularizer


def _mean_gradients(
    model: nn.Module, loss: Callable[[nn.Module, Any], Tensor], batches: Iterable[object], params: list[Tensor]
) -> list[Tensor]:
    sums = [torch.zeros_like(param, dtype=accumulation_dtype(param)) for param in params]
    count = 0
    with preserved(model), torch.enable_grad():
        for batch in batches:
            value = loss(model, batch)
            if not isinstance(value, Tensor) or value.numel() != 1 or not value.requires_grad:
                raise ValueError(f"loss must return a scalar tensor with a gradient, got {value!r}")
            # Gradients are returned, not added to the parameters' own.
            found = torch.autograd.grad(value.reshape(()), params, allow_unused=True)
            for total, gradient in zip(sums, found, strict=True):
                if gradient is not None:
                    total.add_(gradient.to_dense() if gradient.is_sparse else gradient)
            count += 1
    if not count:
        raise ValueError("batches must hold at least one batch, got none")
    return [total / count for total in sums]
