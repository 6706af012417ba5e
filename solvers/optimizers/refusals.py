"""Refusals: what an optimizer will not step on, found before any state is touched."""

from collections.abc import Sequence

import torch
from torch import Tensor

from solvers import validate
from solvers.optimizers.slot import Item


def check_parameter(name: str, param: object) -> None:
    """Raise unless ``param`` is a nonempty, dense, real floating-point tensor."""
    validate.floating_tensor(f"parameter {name}", param)


def check_gradients(items: Sequence[Item], *, finite: bool) -> None:
    """Raise ValueError, naming the parameter, on a sparse gradient or (with ``finite``) a NaN or infinite one."""
    gradients = [gradient for item in items if (gradient := item.param.grad) is not None]
    for item, gradient in zip(items, gradients, strict=True):
        if gradient.layout != torch.strided:
            raise ValueError(f"the gradient of parameter {item.name} must be dense, got {gradient.layout}")
    if not finite or not gradients:
        return
    # One reduction a tensor and one synchronisation for all. On a CPU a sum, which is finite only if all its terms are,
    # costs a fraction of a maximum; finite terms whose sum overflows get a second look.
    if all(gradient.is_cpu for gradient in gradients) and _all_finite([g.sum() for g in gradients]).all():
        return
    sound = _all_finite(torch._foreach_norm(gradients, ord=torch.inf))
    if sound.all():
        return
    bad = [item.name for item, fine in zip(items, sound.tolist(), strict=True) if not fine]
    raise ValueError(f"the gradient of parameter {bad[0]} has NaN or infinite entries ({len(bad)} such parameters)")


def _all_finite(numbers: Sequence[Tensor]) -> Tensor:
    """Which 0-d tensors are finite, on the device of the first."""
    first = numbers[0]
    alike = all(number.dtype == first.dtype and number.device == first.device for number in numbers)
    moved = numbers if alike else [number.to(first.device, torch.float64) for number in numbers]
    return torch.isfinite(torch.stack(list(moved)))
