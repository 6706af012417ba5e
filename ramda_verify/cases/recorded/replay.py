"""A recorded step, to be taken again: an optimizer and a parameter as they were."""

import warnings
from typing import Any

import torch
from torch import Tensor

from ramda_verify.cases.recorded.plan import OPTIMIZERS
from ramda_verify.cases.recorded.store import RecordedStep
from solvers.optimizers import StructuredOptimizer
from solvers.optimizers.saving import INNER


def replay(
    step: RecordedStep, *, device: str = "cpu", dtype: torch.dtype | None = None, **options: Any
) -> tuple[StructuredOptimizer, torch.nn.Parameter]:
    """The optimizer and its one parameter, the kept groups, with the gradient of the recorded step in place.

    ``dtype`` is that of the parameter, the recorded one unless given; ``options`` go to the optimizer.
    """
    kind = getattr(torch, step.dtype) if dtype is None else dtype
    param = torch.nn.Parameter(_tensor(step.arrays["W"], kind, device))
    hyper = {key: tuple(value) if isinstance(value, list) else value for key, value in step.hyper.items()}
    cls = OPTIMIZERS[step.optimizer].make
    made = cls([param], **hyper, regularizer=step.regularizer, **options)
    # One step makes the state, in whatever form this version has it; then everything is as it was recorded.
    param.grad = torch.zeros_like(param)
    backend, made.backend = made.backend, "plain"
    with warnings.catch_warnings():
        # Without a gradient the structured iterate may well be zero.
        warnings.simplefilter("ignore", RuntimeWarning)
        made.step()
    made.backend = backend
    state = made.state[param]
    for key in [key for key in state if key.startswith(INNER)]:
        del state[key]
    for key, value in {**step.state, **step.counters}.items():
        if isinstance(state[key], Tensor):
            state[key].copy_(torch.as_tensor(value))
        else:
            state[key] = type(state[key])(value)
    with torch.no_grad():
        param.copy_(_tensor(step.arrays["W"], kind, device))
    param.grad = _tensor(step.arrays["G"], kind, device)
    return made, param


def _tensor(array: Any, dtype: torch.dtype, device: str) -> Tensor:
    return torch.tensor(array, dtype=dtype, device=device)
