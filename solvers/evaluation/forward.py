"""Running a network over batches without leaving a trace: inputs of a batch, and what a forward pass changes."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

#: How a batch goes through a network where the caller does not say. The type of a batch is the caller's.
Forward = Callable[[nn.Module, Any], object]


def run_forward(model: nn.Module, batch: object) -> object:
    """``model(batch)`` for a tensor, ``model(batch[0])`` for (inputs, targets, ...), ``model(**batch)`` for a mapping.

    Tensors are moved to the device of the model's first parameter or buffer.

    Arguments:
        model: the network.
        batch: a tensor, a list or tuple that begins with the inputs, or a mapping of keyword arguments.

    Returns:
        What the network returns.

    Raises:
        ValueError: ``batch`` is an empty list or tuple.
    """
    if isinstance(batch, Mapping):
        return model(**{key: _moved(value, model) for key, value in batch.items()})
    if isinstance(batch, list | tuple):
        if not batch:
            raise ValueError("batches must hold tensors, mappings, or tuples (inputs, ...), got an empty tuple")
        batch = batch[0]
    return model(_moved(batch, model))


def _moved(value: object, model: nn.Module) -> object:
    return value.to(device_of(model)) if isinstance(value, Tensor) else value


def device_of(model: nn.Module) -> torch.device | None:
    """The device of the first parameter or buffer; None for a network without any."""
    for tensors in (model.parameters(), model.buffers()):
        for tensor in tensors:
            return tensor.device
    return None


@contextmanager
def preserved(model: nn.Module) -> Iterator[None]:
    """Within the context the network may be run and its mode changed; afterwards, also after an exception, its buffers
    (bit for bit), the mode of every module and the random number generators of torch are as they were.

    Arguments:
        model: the network.

    Returns:
        A context manager.
    """
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(module, dict(module._buffers)) for module in model.modules()]
    values = [(buffer, buffer.clone()) for _, held in buffers for buffer in held.values() if buffer is not None]
    generators = sorted({p.device.index for p in model.parameters() if p.is_cuda})
    with torch.random.fork_rng(devices=generators):
        try:
            yield
        finally:
            with torch.no_grad():
                for module, held in buffers:
                    # A module may have put another tensor in a buffer's place.
                    module._buffers.update(held)
                for buffer, value in values:
                    buffer.copy_(value)
            for module, training in modes:
                module.training = training
