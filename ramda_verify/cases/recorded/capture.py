"""What a step starts from: a parameter, its gradient, its state and the hyperparameters of its group."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from ramda_verify.cases.recorded.store import Array, RecordedStep
from solvers.optimizers.saving import INNER

HYPERPARAMETERS = ("lr", "momentum", "eps", "betas")
#: Recorded where they are not off.
OPTIONS = ("weight_decay", "amsgrad")


def before_step(
    optimizer: str, name: str, param: Tensor, group: Mapping[str, Any], state: Mapping[str, Any]
) -> RecordedStep:
    """The whole parameter as a recorded step that has not been taken: ``lam`` is nan, B and D are absent.

    ``optimizer`` is named as the command line does. The state of a parameter that has made no step is empty.
    """
    assert param.grad is not None
    return RecordedStep(
        name=name,
        training="",
        optimizer=optimizer,
        parameter=name,
        moment="",
        dtype=str(param.dtype).removeprefix("torch."),
        regularizer=group["regularizer"],
        step=0,
        hyper={
            key: _plain(group[key])
            for key in (*HYPERPARAMETERS, *OPTIONS)
            if key in group and (group[key] or key not in OPTIONS)
        },
        counters=counters_of(state),
        lam=math.nan,
        arrays={"W": array(param), "G": array(param.grad), **tensors_of(state)},
    )


def tensors_of(state: Mapping[str, Any]) -> dict[str, Array]:
    """The sums of the method; what an inner solver starts from is no part of a step."""
    tensors = {key: value for key, value in state.items() if isinstance(value, Tensor) and value.ndim}
    return {key: array(value) for key, value in tensors.items() if not key.startswith(INNER)}


def counters_of(state: Mapping[str, Any]) -> dict[str, float]:
    """The entries of a state that are one number, but for an inner solver's."""
    numbers = {key: value for key, value in state.items() if not isinstance(value, Tensor) or value.ndim == 0}
    return {key: float(value) for key, value in numbers.items() if not key.startswith(INNER)}


def array(tensor: Tensor) -> Array:
    """A float32 copy."""
    return tensor.detach().cpu().float().numpy().astype(np.float32)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
