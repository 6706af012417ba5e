"""Train, and cut slices out of the steps that matter."""

import warnings
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from ramda_verify.cases.recorded.capture import array, before_step, counters_of, tensors_of
from ramda_verify.cases.recorded.plan import OPTIMIZERS, RecordedRun
from ramda_verify.cases.recorded.slices import chosen, cut
from ramda_verify.cases.recorded.store import RecordedStep
from ramda_verify.problems.trainings import Run, begin
from solvers.regularizers.zero import Zero

#: How many parameters of a run are recorded, the largest ones.
PARAMETERS = 2
#: A tensor whose regularizer couples all its entries is recorded whole, up to this size.
LARGEST_WHOLE = 400


def record(wanted: RecordedRun, seed: int) -> Iterator[RecordedStep]:
    """The recorded steps of one run."""
    cls, settings, _ = OPTIMIZERS[wanted.optimizer]
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
    before = {
        name: before_step(wanted.optimizer, name, param, groups[param], run.optimizer.state.get(param, {}))
        for name, param in names.items()
    }
    run.optimizer.step()
    for name, param in names.items():
        started, state = before[name], run.optimizer.state[param]
        point = torch.as_tensor(started.arrays["W"]).to(torch.promote_types(param.dtype, torch.float32))
        B, D, lam = run.optimizer.normal_form(point, state, groups[param])
        # The state of a parameter that has made no step: W0 is W, all sums are zero.
        fresh = {key: 0 * value for key, value in tensors_of(state).items()}
        if "initial_point" in fresh:
            fresh["initial_point"] = started.arrays["W"]
        arrays = {**fresh, **started.arrays, "B": array(B), "D": array(D.expand_as(B))}
        whole = {key: torch.as_tensor(value) for key, value in arrays.items()}
        places = chosen(started.regularizer, whole, float(lam))
        yield replace(
            started,
            name=_name(wanted, moment, name),
            training=wanted.training.name,
            moment=moment,
            step=int(state["step"]),
            counters=started.counters or dict.fromkeys(counters_of(state), 0.0),
            lam=float(lam),
            arrays={key: array(cut(started.regularizer, value, places)) for key, value in whole.items()},
        )
    run.stages.step()


def _name(wanted: RecordedRun, moment: str, parameter: str) -> str:
    parts = [wanted.training.name, wanted.optimizer, wanted.psi, moment, parameter]
    return "-".join(parts + ([] if wanted.dtype == torch.float32 else [str(wanted.dtype).removeprefix("torch.")]))
