"""A whole step: the released RAMDA of the paper against ours, from one and the same state."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from experiments.bench import goals
from experiments.bench.peers import Reference
from experiments.bench.plan import Plan
from experiments.bench.race import race
from experiments.bench.residual import relative_residual
from experiments.bench.rows import Row, Skipped
from experiments.bench.timing import Contestant
from experiments.bench.workload import REG_WEIGHT, Workload, parameters_of
from ramda_verify.engine.worst import largest
from solvers import RAMDA

#: The released code's axes for groups that read one input, by the number of dimensions of the weight.
AXES: dict[int, dict[str, Any]] = {2: {"dim": 0, "dim_": 1}, 4: {"dim": (0, 2, 3), "dim_": 1}}


def reference_rows(case: str, workload: Workload, ours: RAMDA, plan: Plan) -> Iterator[Row | Skipped]:
    """The ratio for every number of threads. Both continue from the state of ``ours``, with the same gradients."""
    measure = goals.REFERENCE_OVER_OURS
    if plan.reference is None:
        yield Skipped(case, measure.name, "no --reference given")
        return
    theirs = continued(plan.reference, workload, ours)
    residual = 0.0
    for count in plan.slow_threads:
        plan.say(f"{case}: the reference's step, {count} CPU threads")
        row = race(
            case,
            measure,
            Contestant(ours.step),
            Contestant(theirs.step),
            plan=plan,
            threads_used=count,
            effort=plan.slow_effort,
            detail={},
        )
        residual = residual or worst_residual(theirs)
        yield replace(row, detail={"reference_residual": residual, **row.detail})


def continued(reference: Reference, workload: Workload, ours: RAMDA) -> torch.optim.Optimizer:
    """The released RAMDA at the state of ``ours``, on parameters of its own, with its documented defaults."""
    values = dict(zip((name for name, _ in named(ours)), parameters_of(ours), strict=True))
    params = dict(zip((entry.name for entry in workload.shapes.entries), workload.parameters(), strict=True))
    groups = []
    for entry in workload.shapes.entries:
        free: dict[str, Any] = {"lambda_": 0.0, "dim": None, "dim_": None}
        kind = free if entry.grouping is None else {"lambda_": REG_WEIGHT, **AXES[len(entry.shape)]}
        groups.append({"params": [params[entry.name]], **kind})
    first = ours.param_groups[0]
    theirs = reference.ramda(groups, lr=first["lr"], momentum=first["momentum"], epsilon=first["eps"])
    for entry in workload.shapes.entries:
        param, state = params[entry.name], ours.state[values[entry.name]]
        with torch.no_grad():
            param.copy_(values[entry.name])
        # It keeps the state of a convolution with the kernel as one axis.
        folded = len(entry.shape) == 4 and entry.grouping is not None
        shape = (*entry.shape[:2], -1) if folded else entry.shape
        theirs.state[param] = {
            "step": int(state["step"]),
            "alpha": float(state["weight_sum"]),
            "initial_point": state["initial_point"].clone().reshape(shape),
            "grad_sum": state["grad_sum"].clone().reshape(shape),
            "grad_sum_sq": state["grad_sq_sum"].clone().reshape(shape),
            "regularization": None,
        }
    return theirs


def named(optimizer: RAMDA) -> list[tuple[str, torch.Tensor]]:
    """(name, parameter) in the order of the parameter groups."""
    return [
        pair for group in optimizer.param_groups for pair in zip(group["param_names"], group["params"], strict=True)
    ]


def worst_residual(theirs: torch.optim.Optimizer) -> float:
    """The worst relative residual of its Ŵ over the tensors: a step with momentum 1 makes every parameter Ŵ."""
    for group in theirs.param_groups:
        group["momentum"], group["kept"] = 1.0, group["momentum"]
    theirs.step()
    residuals = []
    for group in theirs.param_groups:
        group["momentum"] = group.pop("kept")
        for param in group["params"]:
            state = theirs.state[param]
            W0, V, U = (
                state[name].double().reshape(param.shape) for name in ("initial_point", "grad_sum", "grad_sum_sq")
            )
            D = U.pow(1 / 3) + group["epsilon"]
            axis = None if group["dim"] is None else 1
            price = state["alpha"] * group["lambda_"] * (param.numel() / param.shape[axis or 0]) ** 0.5
            residuals.append(relative_residual(param.detach(), D * W0 - V, D, price, axis))
    return largest(residuals)
