"""Running statistics of normalisation layers for another point than the one they were gathered at.

BatchNorm's running mean and variance are those of W, along which the network was trained. At Ŵ the layers before it
give other outputs, so that Ŵ in evaluation mode needs statistics of its own.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parameter import is_lazy

from solvers.evaluation.forward import Forward, preserved, run_forward

#: The buffers that hold running statistics.
_RUNNING = ("running_mean", "running_var", "num_batches_tracked")


def _statistics(layer: _NormBase) -> dict[str, Tensor]:
    """Copies of the running statistics that a layer has, by name."""
    return {name: value.clone() for name in _RUNNING if (value := getattr(layer, name)) is not None}


@torch.no_grad()
def _put(statistics: dict[str, Tensor], layer: _NormBase) -> None:
    """Copy into the buffers of ``layer``, bit for bit."""
    for name, value in statistics.items():
        getattr(layer, name).copy_(value)


def layers_with_statistics(model: nn.Module) -> list[_NormBase]:
    """The normalisation layers of ``model`` that keep running statistics (BatchNorm, SyncBatchNorm, InstanceNorm).

    Raises ValueError where a lazy one has not seen a batch yet.
    """
    found = [(name, m) for name, m in model.named_modules() if isinstance(m, _NormBase) and m.running_mean is not None]
    for name, layer in found:
        mean = layer.running_mean
        if mean is not None and is_lazy(mean):
            raise ValueError(
                f"the running statistics of {name} have no shape yet: it is lazy; run a forward pass first"
            )
    return [layer for _, layer in found]


def batch_norm_advice(model: nn.Module) -> str | None:
    """One line for whoever evaluates Ŵ without recomputing statistics.

    Arguments:
        model: the network.

    Returns:
        The line, or None where the network keeps no running statistics.

    Raises:
        ValueError: a lazy layer has not seen a batch yet.
    """
    count = len(layers_with_statistics(model))
    if not count:
        return None
    return (
        f"the running statistics of {count} normalisation layer{'s' * (count > 1)} are those of W, not of Ŵ: give "
        "batches of training data, over which they are recomputed"
    )


def recompute_batch_norm(model: nn.Module, batches: Iterable[object], *, forward: Forward = run_forward) -> int:
    """Replace the running statistics of ``model`` by their averages over ``batches``, at its present parameters.

    As ``torch.optim.swa_utils.update_bn``: forward passes in training mode, each batch with the same weight. Only the
    running statistics change; other buffers, the mode of every module, every momentum and torch's random number
    generators are as before, also after an exception, after which the statistics are as before as well. A layer that
    no batch reaches keeps its own.

    Arguments:
        model: the network.
        batches: an iterable of batches, e.g. a DataLoader; tensors, tuples (inputs, ...) or mappings of keyword
            arguments.
        forward: how a batch goes through the network, ``forward(model, batch)``.

    Returns:
        The number of layers whose statistics were recomputed.

    Raises:
        TypeError: ``batches`` is a single batch.
        ValueError: ``batches`` is empty although there are statistics to recompute.
    """
    found = _recomputed(model, batches, forward)
    for layer, statistics in found:
        _put(statistics, layer)
    return len(found)


@contextmanager
def batch_norm_recomputed(
    model: nn.Module, batches: Iterable[object], *, forward: Forward = run_forward
) -> Iterator[None]:
    """Within the context the running statistics are those of ``recompute_batch_norm``; afterwards, also after an
    exception, they are as before, bit for bit.

    Arguments:
        model, batches, forward: as of ``recompute_batch_norm``.

    Returns:
        A context manager.

    Raises:
        TypeError: ``batches`` is a single batch.
        ValueError: ``batches`` is empty although there are statistics to recompute.
    """
    found = _recomputed(model, batches, forward)
    kept = [(layer, _statistics(layer)) for layer, _ in found]
    try:
        for layer, statistics in found:
            _put(statistics, layer)
        yield
    finally:
        for layer, statistics in kept:
            _put(statistics, layer)


def _recomputed(
    model: nn.Module, batches: Iterable[object], forward: Forward
) -> list[tuple[_NormBase, dict[str, Tensor]]]:
    """Averages over ``batches`` of every layer that they reach; leaves ``model`` as it was."""
    if isinstance(batches, Tensor | Mapping | str):
        raise TypeError(f"batches must be an iterable of batches, got one {type(batches).__name__}")
    layers = layers_with_statistics(model)
    if not layers:
        return []
    with preserved(model), torch.no_grad(), _cumulative(layers) as calls:
        model.train()
        for layer in layers:
            # Whatever is there has weight zero in the first average, but zero times NaN is NaN.
            layer.reset_running_stats()
        empty = True
        for batch in batches:
            forward(model, batch)
            empty = False
        if empty:
            raise ValueError("batches must hold at least one batch, got none")
        return [(layer, _statistics(layer)) for layer in layers if calls[layer]]


@contextmanager
def _cumulative(layers: list[_NormBase]) -> Iterator[dict[_NormBase, int]]:
    """Within the context every layer averages over its calls, which are counted: the momentum of call n is 1/n.

    A momentum of None means that to BatchNorm, but not to InstanceNorm.
    """
    momenta = [(layer, layer.momentum) for layer in layers]
    calls = dict.fromkeys(layers, 0)

    def count(layer: nn.Module, _: object) -> None:
        assert isinstance(layer, _NormBase)
        calls[layer] += 1
        layer.momentum = 1 / calls[layer]

    hooks = [layer.register_forward_pre_hook(count) for layer in layers]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()
        for layer, momentum in momenta:
            layer.momentum = momentum
