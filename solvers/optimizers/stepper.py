"""How a step is taken: in plain torch, which is its meaning, or by a kernel that is held to it."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from solvers.optimizers.assignment import Batch, find_structured, take_step
from solvers.optimizers.diagnostics import BlockReport, block_report, certified
from solvers.optimizers.slot import Item
from solvers.regularizers.base import accumulation_dtype
from solvers.subproblem.model import Subproblem
from solvers.subproblem.result import Solution, Status
from solvers.subproblem.solve import direct_point, solve

if TYPE_CHECKING:
    from solvers.optimizers.base import StructuredOptimizer


def step_all(optimizer: "StructuredOptimizer", items: list[Item], share: float) -> list[BlockReport]:
    """Step every item; returns the reports, where diagnostics are wanted. ``share`` of eps_t is each tensor's."""
    batches, rest = optimizer.assignments.assign(optimizer, items)
    if optimizer.capturable and rest:
        raise RuntimeError(f"parameter {rest[0].name} has no kernel, and a plain step cannot be captured")
    reports = [report for batch in batches for report in _step_batch(optimizer, batch, share)]
    return reports + [report for item in rest for report in _step_plainly(optimizer, item, share)]


def structured_iterate(optimizer: "StructuredOptimizer") -> dict[Tensor, Tensor]:
    """Ŵ of every parameter, in its dtype, from the state as it is; the parameter where it has made no step."""
    found, stepped = {}, []
    for item in optimizer.items():
        found[item.param] = item.param.detach()
        if optimizer.averages and item.state and int(item.state["step"]) > 0:
            stepped.append(item)
    batches, rest = optimizer.assignments.assign(optimizer, stepped)
    for batch in batches:
        found.update(zip((item.param for item in batch.items), find_structured(optimizer, batch), strict=True))
    for item in rest:
        point = item.param.detach().to(accumulation_dtype(item.param))
        tolerance = optimizer.tolerance(item, 1.0)
        found[item.param] = _what(optimizer, item, _subproblem(optimizer, item, point), point, tolerance)[0]
    return {param: value.to(param.dtype, copy=value.data_ptr() == param.data_ptr()) for param, value in found.items()}


def _step_batch(optimizer: "StructuredOptimizer", batch: Batch, share: float) -> list[BlockReport]:
    """Step by a kernel. Looking does not change what it does: Ŵ comes beside the parameter, and is certified."""
    watched = optimizer.diagnostics.wanted
    before = [item.param.detach().to(accumulation_dtype(item.param), copy=True) for item in batch.items if watched]
    kept, found = take_step(optimizer, batch, keep_structured=watched or bool(optimizer.observers))
    optimizer.unaccepted.keep(batch.items, kept)
    reports = []
    for index, (item, structured) in enumerate(zip(batch.items, found, strict=True)):
        if structured is None:
            continue
        _show(optimizer, item, structured)
        if watched:
            point = optimizer.decayed(before[index], item.group)
            subproblem, tolerance = _subproblem(optimizer, item, point), optimizer.tolerance(item, share)
            solution = certified(subproblem, structured, tolerance)
            reports.append(block_report(item, subproblem, point, structured, solution))
    return reports


def _step_plainly(optimizer: "StructuredOptimizer", item: Item, share: float) -> list[BlockReport]:
    param, group = item.param, item.group
    assert param.grad is not None
    optimizer.advance([item.state], group)
    optimizer.accumulate(param.grad.to(accumulation_dtype(param)), item.state, group)
    point = optimizer.decayed(param.detach().to(accumulation_dtype(param), copy=True), group)
    subproblem, tolerance = _subproblem(optimizer, item, point), optimizer.tolerance(item, share)
    structured, solution = _what(optimizer, item, subproblem, point, tolerance)
    reports = []
    if optimizer.diagnostics.wanted:
        solution = certified(subproblem, structured, tolerance) if solution is None else solution
        reports.append(block_report(item, subproblem, point, structured, solution))
    _show(optimizer, item, structured)
    # hardshrink at the smallest normal number: an entry of W whose Ŵ is zero decays by (1 - c) a step into
    # denormals and never reaches zero, and denormals make a CPU 10 to 25 times slower. The paper has no such rule.
    param.copy_(torch.hardshrink(optimizer.mix(point, structured, group), torch.finfo(param.dtype).tiny))
    return reports


def _what(
    optimizer: "StructuredOptimizer", item: Item, subproblem: Subproblem, point: Tensor, tolerance: float
) -> tuple[Tensor, Solution | None]:
    """Ŵ, and the inner solver's record where one iterated."""
    direct = direct_point(subproblem, optimizer.method)
    if direct is not None:
        finite = torch.isfinite(direct[0])
        optimizer.unaccepted.keep([item], (~finite).sum().reshape(1))
        return torch.where(finite, direct[0], point), None
    solution = solve(
        subproblem,
        point,
        tolerance=tolerance,
        max_iterations=optimizer.max_inner_iterations,
        method=optimizer.method,
        check_values=False,
        report_objective=False,
    )
    # At the rounding level of the dtype there is nothing left to solve; diagnostics show it, no alarm is due.
    if not solution.accepted and solution.status is not Status.PRECISION_LIMIT:
        missed = f"residual {solution.residual:.2e} against eps_t {tolerance:.2e}: {solution.status.value}"
        optimizer.unaccepted.refuse(item, missed)
    return solution.point, solution


def _subproblem(optimizer: "StructuredOptimizer", item: Item, point: Tensor) -> Subproblem:
    return Subproblem(*optimizer.normal_form(point, item.state, item.group), item.group["regularizer"])


def _show(optimizer: "StructuredOptimizer", item: Item, structured: Tensor) -> None:
    for observe in optimizer.observers:
        observe(item.param, structured)
