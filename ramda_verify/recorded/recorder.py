"""Train, and cut slices out of the steps that matter."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ramda_verify.recorded.plan import OPTIMIZERS, RecordedRun
from ramda_verify.recorded.slices import chosen, cut
from ramda_verify.recorded.store import Array, RecordedStep
from ramda_verify.trainings import Run, begin
from solvers.optimizers.saving import INNER
from solvers.regularizers.zero import Zero

#: Parameters of a run that are recorded, those with most groups at zero and those with most entries first.
PARAMETERS = 2
#: A tensor whose regularizer couples all its entries is recorded whole, up to this size.
LARGEST_WHOLE = 400


def record(wanted: RecordedRun, seed: int) -> Iterator[RecordedStep]:
    """The recorded steps of one run."""
    cls, settings = OPTIMIZERS[wanted.optimizer]
    run = begin(
        wanted.training,
        cls,
        wanted.regularizer_of,
        milestones=wanted.milestones,
        seed=seed,
        dtype=wanted.dtype,
        **settings,
    )
    names = _recorded_parameters(run)
    with warnings.catch_warnings():
        # The checks judge the steps; here they are only recorded.
        warnings.simplefilter("ignore", RuntimeWarning)
        for step in range(1, wanted.steps + 1):
            run.compute_gradients()
            if step in wanted.moments:
                yield from _recorded_step(run, wanted, wanted.moments[step], names)
            else:
                run.step()


def _recorded_parameters(run: Run) -> dict[str, Tensor]:
    """The two largest parameters with a regularizer that can be recorded."""
    found = {}
    for group in run.optimizer.param_groups:
        if isinstance(group["regularizer"], Zero):
            continue
        for name, param in zip(group["param_names"], group["params"], strict=True):
            if hasattr(group["regularizer"], "blockwise_max") or param.numel() <= LARGEST_WHOLE:
                found[name] = param
    return dict(sorted(found.items(), key=lambda item: -item[1].numel())[:PARAMETERS])


def _recorded_step(run: Run, wanted: RecordedRun, moment: str, names: dict[str, Tensor]) -> Iterator[RecordedStep]:
    """Take the step and cut out what it started from and the subproblem that it solved."""
    groups = {param: group for group in run.optimizer.param_groups for param in group["params"]}
    hyper = {name: _numbers(groups[param]) for name, param in names.items()}
    before = {name: _copies(param, run.optimizer.state.get(param, {})) for name, param in names.items()}
    counters = {name: _counters(run.optimizer.state.get(param, {})) for name, param in names.items()}
    run.optimizer.step()
    for name, param in names.items():
        group, state = groups[param], run.optimizer.state[param]
        sums = torch.promote_types(param.dtype, torch.float32)
        B, D, lam = run.optimizer.normal_form(before[name]["W"].to(sums), state, group)
        whole = {**before[name], "B": B, "D": D.expand_as(B)}
        if not counters[name]:
            # The state of a parameter that has made no step: W0 is W, all sums are zero.
            fresh = {
                key: before[name]["W"] if key == "initial_point" else torch.zeros_like(B) for key in _tensors(state)
            }
            whole = {**fresh, **whole}
        regularizer = group["regularizer"]
        places = chosen(regularizer, whole, float(lam))
        yield RecordedStep(
            name=_name(wanted, moment, name),
            training=wanted.training.name,
            optimizer=wanted.optimizer,
            parameter=name,
            moment=moment,
            dtype=str(wanted.dtype).removeprefix("torch."),
            regularizer=regularizer,
            step=int(state["step"]),
            hyper=hyper[name],
            counters=counters[name] or dict.fromkeys(_counters(state), 0.0),
            lam=float(lam),
            arrays={key: _array(cut(regularizer, value, places)) for key, value in whole.items()},
        )
    run.stages.step()


def _name(wanted: RecordedRun, moment: str, parameter: str) -> str:
    parts = [wanted.training.name, wanted.optimizer, wanted.psi, moment, parameter]
    return "-".join(parts + ([] if wanted.dtype == torch.float32 else [str(wanted.dtype).removeprefix("torch.")]))


def _numbers(group: dict[str, Any]) -> dict[str, Any]:
    """The hyperparameters of a group."""
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in group.items()
        if key in ("lr", "momentum", "eps", "betas", "weight_decay", "amsgrad")
    }


def _tensors(state: dict[str, Any]) -> dict[str, Tensor]:
    """The sums of the method; what an inner solver starts from is no part of the step."""
    return {
        key: value
        for key, value in state.items()
        if isinstance(value, Tensor) and value.ndim and not key.startswith(INNER)
    }


def _counters(state: dict[str, Any]) -> dict[str, float]:
    return {key: float(value) for key, value in state.items() if not isinstance(value, Tensor) or value.ndim == 0}


def _copies(param: Tensor, state: dict[str, Any]) -> dict[str, Tensor]:
    assert param.grad is not None
    tensors = {"W": param.detach(), "G": param.grad, **_tensors(state)}
    return {key: value.detach().clone() for key, value in tensors.items()}


def _array(tensor: Tensor) -> Array:
    return tensor.detach().float().numpy().astype(np.float32)
