"""What happened in a step, for those who ask: nothing here is computed unless a hook is registered."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

from torch import Tensor

from solvers.optimizers.slot import ParameterSlot
from solvers.regularizers.base import offers
from solvers.subproblem.model import Subproblem
from solvers.subproblem.result import Solution, Status
from solvers.subproblem.verdict import certify


@dataclass(frozen=True)
class BlockReport:
    """One parameter tensor's subproblem at one step, in the units of Q_t.

    ``objective_drop`` is Q(W^{t-1}) - Q(Ŵ^t); ``structured`` counts (structured zeros, all) of Ŵ^t where the
    regularizer offers ``sparsity``; ``backend`` is "native", "triton" or "plain", whichever took the step, and
    "none" for a step at lr = 0, in which there is nothing to solve.
    """

    parameter: str
    step: int
    status: Status
    residual: float
    tolerance: float
    accepted: bool
    iterations: int
    objective_drop: float
    structured: tuple[int, int] | None
    backend: str = "plain"


@dataclass(frozen=True)
class StepReport:
    """All tensors of one step. Residuals add up in squares, since the blocks are independent."""

    step: int
    residual: float
    tolerance: float
    accepted: bool
    iterations: int
    objective_drop: float
    blocks: tuple[BlockReport, ...]

    @classmethod
    def of(cls, blocks: list[BlockReport]) -> Self:
        return cls(
            step=max((block.step for block in blocks), default=0),
            residual=math.hypot(*(block.residual for block in blocks)),
            tolerance=math.hypot(*(block.tolerance for block in blocks)),
            accepted=all(block.accepted for block in blocks),
            iterations=max((block.iterations for block in blocks), default=0),
            objective_drop=sum(block.objective_drop for block in blocks),
            blocks=tuple(blocks),
        )


def certified(subproblem: Subproblem, point: Tensor, tolerance: float) -> Solution:
    """The record of a point that was found directly: its residual, and whether that is small enough."""
    ending = certify(subproblem, point, 1, tolerance)
    return Solution(
        point=point,
        status=ending.status,
        iterations=ending.iterations,
        residual=ending.residual,
        objective=float(subproblem.objective(point)),
        tolerance=tolerance,
        method="direct",
    )


def block_report(
    slot: ParameterSlot, subproblem: Subproblem, point: Tensor, structured: Tensor, solution: Solution, backend: str
) -> BlockReport:
    """The report of one tensor: Ŵ = ``structured`` from W = ``point``, and the record of how it was found."""
    change, _ = subproblem.objective_change(structured, point)
    counts = subproblem.regularizer.sparsity(structured) if offers(subproblem.regularizer, "sparsity") else None
    return BlockReport(
        parameter=slot.name,
        step=int(slot.state["step"]),
        status=solution.status,
        residual=solution.residual,
        tolerance=solution.tolerance,
        accepted=solution.accepted,
        iterations=solution.iterations,
        objective_drop=-float(change),
        structured=counts,
        backend=backend,
    )


@dataclass
class DiagnosticsHooks:
    """Functions called with the StepReport of every step."""

    hooks: list[Callable[[StepReport], None]] = field(default_factory=list)

    @property
    def wanted(self) -> bool:
        return bool(self.hooks)

    def emit(self, report: StepReport) -> None:
        for hook in self.hooks:
            hook(report)

    @contextmanager
    def recorded(self) -> Iterator[list[StepReport]]:
        """Collect the reports of the steps taken within the context."""
        reports: list[StepReport] = []
        self.hooks.append(reports.append)
        try:
            yield reports
        finally:
            self.hooks.remove(reports.append)
