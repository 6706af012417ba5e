"""The optimizer inside what frameworks wrap around it, and the structured iterate of a wrapped one."""

from collections.abc import Iterable
from contextlib import AbstractContextManager

from torch import Tensor, nn

from solvers.optimizers.base import StructuredOptimizer

#: Attributes under which wrappers hold what they wrap: accelerate and Lightning, DeepSpeed and older Lightning, torch's
#: ZeroRedundancyOptimizer.
_INSIDE = ("optimizer", "_optimizer", "optim")
#: Wrappers within wrappers are opened this many times.
_DEEPEST = 8


def unwrapped(optimizer: object) -> StructuredOptimizer:
    """The StructuredOptimizer that ``optimizer`` is or wraps. Raises TypeError where there is none."""
    found = optimizer
    for _ in range(_DEEPEST):
        if isinstance(found, StructuredOptimizer):
            return found
        inner = (getattr(found, name, None) for name in _INSIDE)
        found = next((candidate for candidate in inner if candidate is not None), None)
    raise TypeError(f"optimizer must be a StructuredOptimizer or wrap one, got {type(optimizer).__name__}")


def structured_iterate(optimizer: object) -> dict[Tensor, Tensor]:
    """``StructuredOptimizer.structured_iterate`` of an optimizer that a framework may have wrapped."""
    return unwrapped(optimizer).structured_iterate()


def structured_iterate_swapped_in(
    optimizer: object, recompute_batch_norm: Iterable[object] | None = None, *, model: nn.Module | None = None
) -> AbstractContextManager[None]:
    """``StructuredOptimizer.structured_iterate_swapped_in`` of an optimizer that a framework may have wrapped."""
    return unwrapped(optimizer).structured_iterate_swapped_in(recompute_batch_norm, model=model)
