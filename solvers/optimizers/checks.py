"""Refusals: what an optimizer will not step on, found before any state is touched."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from solvers import validate
from solvers.optimizers.item import Item


def parameter_name(group: dict[str, Any], position: int) -> str:
    """The parameter's name where the optimizer was given named parameters, else its place and shape."""
    names = group.get("param_names")
    return names[position] if names else f"params[{position}] of shape {tuple(group['params'][position].shape)}"


def check_parameter(name: str, param: object) -> None:
    """Raise unless ``param`` is a nonempty, dense, real floating-point tensor."""
    validate.floating_tensor(f"parameter {name}", param)


def check_gradients(items: Sequence[Item], *, finite: bool) -> None:
    """Raise ValueError, naming the parameter, on a sparse gradient or (with ``finite``) a NaN or infinite one."""
    gradients = [item.param.grad for item in items if item.param.grad is not None]
    for item, gradient in zip(items, gradients, strict=True):
        if gradient.layout != torch.strided:
            raise ValueError(f"the gradient of parameter {item.name} must be dense, got {gradient.layout}")
    if not finite or not gradients:
        return
    # One reduction a tensor and one synchronisation for all. A sum is finite only if all its terms are and costs a
    # fraction of a maximum on a CPU; finite terms whose sum overflows get a second look.
    sums = [gradient.sum() for gradient in gradients]
    if _all_finite(sums).all():
        return
    sound = _all_finite(torch._foreach_norm(gradients, ord=torch.inf))
    if sound.all():
        return
    bad = [item.name for item, fine in zip(items, sound.tolist(), strict=True) if not fine]
    raise ValueError(f"the gradient of parameter {bad[0]} has NaN or infinite entries ({len(bad)} such parameters)")


def _all_finite(numbers: Sequence[Tensor]) -> Tensor:
    """Which 0-d tensors are finite, on the device of the first."""
    device = numbers[0].device
    return torch.isfinite(torch.stack([number.to(device, torch.float64) for number in numbers]))
