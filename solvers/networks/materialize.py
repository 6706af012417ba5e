"""Ŵ as the network's parameters, for good: the model that is saved after training."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from solvers.callers import warn_caller
from solvers.evaluation.batch_norm import batch_norm_advice, recompute_batch_norm
from solvers.evaluation.forward import Forward, run_forward
from solvers.networks.structure import StructureLevels, structure_levels
from solvers.optimizers.wrapped import unwrapped


def materialize(
    model: nn.Module, optimizer: object, batches: Iterable[object] | None = None, *, forward: Forward = run_forward
) -> StructureLevels:
    """Write Ŵ into the parameters of ``model`` and recompute its running statistics there.

    The state of the optimizer stays: training may go on, from Ŵ. Where an exception ends it, the parameters and the
    statistics are as they were.

    Arguments:
        model: the network whose parameters ``optimizer`` trains, all of them or some.
        optimizer: an optimizer of this library, or a wrapper of accelerate's or Lightning's around one.
        batches: batches of training data, over which the running statistics of BatchNorm layers are recomputed, see
            ``recompute_batch_norm``. Without them these stay those of W, and a network that has any is warned of.
        forward: how a batch goes through the network, ``forward(model, batch)``.

    Returns:
        The structure of the parameters as they are now.

    Raises:
        TypeError: ``model`` is no network, there is no optimizer of this library in ``optimizer``, or ``batches`` is a
            single batch.
        ValueError: the optimizer has no parameter of ``model``, or ``batches`` is empty.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    inside = unwrapped(optimizer)
    own = {id(param) for param in model.parameters()}
    points = {param: w_hat for param, w_hat in inside.structured_iterate().items() if id(param) in own}
    if not points:
        raise ValueError("optimizer must have parameters of model, got one that trains none of them")
    kept = {param: param.detach().clone() for param in points}
    try:
        _write(points)
        if batches is not None:
            recompute_batch_norm(model, batches, forward=forward)
    except BaseException:
        _write(kept)
        raise
    if batches is None and (advice := batch_norm_advice(model)) is not None:
        warn_caller(f"materialize: {advice}")
    return structure_levels(inside, of="parameters")


@torch.no_grad()
def _write(values: dict[Tensor, Tensor]) -> None:
    for param, value in values.items():
        param.copy_(value)
