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
    """The StructuredOptimizer that an object is or wraps.

    Arguments:
        optimizer: a StructuredOptimizer, or a wrapper of accelerate's, Lightning's, DeepSpeed's or torch's around one.

    Returns:
        The optimizer inside.

    Raises:
        TypeError: there is none.
    """
    found = optimizer
    for _ in range(_DEEPEST):
        if isinstance(found, StructuredOptimizer):
            return found
        inner = (getattr(found, name, None) for name in _INSIDE)
        found = next((candidate for candidate in inner if candidate is not None), None)
    raise TypeError(f"optimizer must be a StructuredOptimizer or wrap one, got {type(optimizer).__name__}")


def structured_iterate(optimizer: object) -> dict[Tensor, Tensor]:
    """``StructuredOptimizer.structured_iterate`` of an optimizer that a framework may have wrapped.

    Arguments:
        optimizer: a StructuredOptimizer, or a wrapper of accelerate's, Lightning's, DeepSpeed's or torch's around one.

    Returns:
        Parameter to Ŵ, new tensors.

    Raises:
        TypeError: there is no StructuredOptimizer inside.
    """
    return unwrapped(optimizer).structured_iterate()


def structured_iterate_swapped_in(
    optimizer: object, recompute_batch_norm: Iterable[object] | None = None, *, model: nn.Module | None = None
) -> AbstractContextManager[None]:
    """``StructuredOptimizer.structured_iterate_swapped_in`` of an optimizer that a framework may have wrapped.

    Arguments:
        optimizer: a StructuredOptimizer, or a wrapper of accelerate's, Lightning's, DeepSpeed's or torch's around one.
        recompute_batch_norm, model: as of the method.

    Returns:
        A context manager, within which every parameter holds Ŵ.

    Raises:
        TypeError: there is no StructuredOptimizer inside.
        ValueError: batches are given and the network is not known.
    """
    return unwrapped(optimizer).structured_iterate_swapped_in(recompute_batch_norm, model=model)
