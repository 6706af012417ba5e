"""Looking through what frameworks wrap around an optimizer."""

import torch

from solvers.optimizers.base import StructuredOptimizer

#: Attributes under which accelerate's AcceleratedOptimizer and Lightning's LightningOptimizer keep the optimizer.
_INSIDE = ("optimizer", "_optimizer")


def unwrapped(optimizer: object) -> StructuredOptimizer:
    """The optimizer of this library inside wrappers that keep it as ``optimizer`` or ``_optimizer``.

    Raises:
        TypeError: there is none inside ``optimizer``.
    """
    seen: list[object] = []
    inside: object = optimizer
    while not isinstance(inside, StructuredOptimizer):
        seen.append(inside)
        inside = next((found for name in _INSIDE if (found := getattr(inside, name, None)) is not None), None)
        if inside is None or any(inside is one for one in seen):
            what = "torch's" if isinstance(optimizer, torch.optim.Optimizer) else "an object of type"
            raise TypeError(
                "optimizer must be an optimizer of this library, or a wrapper with one as its attribute 'optimizer', "
                f"got {what} {type(optimizer).__name__}"
            )
    return inside
