"""Refusals: what an optimizer will not step on, found before any state is touched."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from solvers import validate
from solvers.kernels import all_finite, numbers_in
from solvers.optimizers.slot import ParameterSlot


def check_collection(params: object) -> None:
    """Raise TypeError for a set: its order, by which states are saved, changes between runs."""
    if isinstance(params, set | frozenset):
        raise TypeError(
            f"params must be a list, an iterator or another ordered collection, got a {type(params).__name__}"
        )


def check_parameter(name: str, param: object) -> None:
    """Raise unless ``param`` is a dense, real floating-point tensor that lies in this process; it may be empty."""
    if isinstance(param, UninitializedParameter | UninitializedBuffer):
        raise ValueError(f"parameter {name} has no shape yet: run a forward pass of the lazy module first")
    if _is_distributed(param):
        raise TypeError(
            f"parameter {name} is a DTensor, as fully_shard makes it; the optimizers take tensors that lie whole in "
            "one process (DistributedDataParallel keeps them so)"
        )
    validate.floating_tensor(f"parameter {name}", param, empty=True)


def check_gradients(slots: Sequence[ParameterSlot], *, finite: bool) -> None:
    """Raise ValueError, naming the parameter, on a sparse gradient or (with ``finite``) a NaN or infinite one.

    A DTensor that a framework has put into a group since raises TypeError, as it does at construction.
    """
    gradients = [gradient for slot in slots if (gradient := slot.param.grad) is not None]
    for slot in slots:
        if type(slot.param) is not torch.nn.Parameter:
            check_parameter(slot.name, slot.param)
    for slot, gradient in zip(slots, gradients, strict=True):
        if gradient.layout != torch.strided:
            raise ValueError(f"the gradient of parameter {slot.name} must be dense, got {gradient.layout}")
    if not finite or not gradients:
        return
    sound = all_finite(gradients)
    if sound is None:
        # One reduction a tensor and one synchronisation for all.
        sound = _finite_norms([g.flatten() if g.numel() else g.new_zeros(1) for g in gradients])
    if all(sound):
        return
    bad = [slot.name for slot, fine in zip(slots, sound, strict=True) if not fine]
    raise ValueError(f"the gradient of parameter {bad[0]} has NaN or infinite entries ({len(bad)} such parameters)")


def _is_distributed(param: object) -> bool:
    """Whether ``param`` is a DTensor; the class is not imported, which a build of torch may lack."""
    return any(
        cls.__name__ == "DTensor" and cls.__module__.startswith("torch.distributed") for cls in type(param).__mro__
    )


def _finite_norms(tensors: Sequence[Tensor]) -> list[bool]:
    """Which tensors have finite maximum norms, read on the device of the first."""
    numbers = torch._foreach_norm(list(tensors), ord=torch.inf)
    moved = torch.stack([number.to(numbers[0].device) for number in numbers])
    return [bool(sound) for sound in numbers_in(torch.isfinite(moved))]
