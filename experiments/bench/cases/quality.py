"""What a step is worth and what it costs beside time: residual, inner iterations, memory."""

import math
from collections.abc import Iterator, Sequence
from statistics import median

from torch import Tensor

from experiments.bench import goals
from experiments.bench.cases.newton import subproblems
from experiments.bench.memory import extra_memory
from experiments.bench.plan import Plan
from experiments.bench.residual import step_residuals, structured_by_step
from experiments.bench.rows import Row, Skipped, make_row
from experiments.bench.statistics import Estimate, exactly
from experiments.bench.workload import Workload, parameters_of
from solvers import RAMDA

#: Inner iterations are counted up to this many entries in one tensor.
LARGEST_COUNTED = 20_000_000


def quality_rows(case: str, workload: Workload, optimizer: RAMDA, plan: Plan) -> Iterator[Row | Skipped]:
    """Changes the state of ``optimizer`` by a few steps."""
    plan.say(f"{case}: memory")
    yield from memory_rows(case, workload, optimizer, plan)
    plan.say(f"{case}: inner iterations")
    yield iteration_row(case, workload, optimizer, plan)
    plan.say(f"{case}: residual")
    yield residual_row(case, optimizer, plan)


def residual_row(case: str, optimizer: RAMDA, plan: Plan) -> Row:
    """The worst relative residual over the tensors, of Ŵ as ``structured_iterate`` gives it and as a step has it."""
    recomputed = step_residuals(optimizer, optimizer.structured_iterate())
    stepped = step_residuals(optimizer, structured_by_step(optimizer))
    return judged_residuals(case, [*recomputed, *stepped], plan)


def judged_residuals(case: str, residuals: Sequence[float], plan: Plan) -> Row:
    """The row of some relative residuals: the worst one counts, and one that is not a number is the worst."""
    worst = math.nan if any(math.isnan(residual) for residual in residuals) else max(residuals)
    device = plan.device.type
    return make_row(
        case,
        goals.RESIDUAL,
        Estimate(worst, min(residuals), worst),
        device=device,
        threads=plan.threads[0],
        goal=goals.goal_of(case, goals.RESIDUAL, device),
        detail={"median": median(residuals), "dtype": "float32", "subproblems": len(residuals)},
    )


def iteration_row(case: str, workload: Workload, optimizer: RAMDA, plan: Plan) -> Row | Skipped:
    """Inner iterations on the subproblems of all tensors that have groups: the median, the fewest, the most.

    They are those of the plain solver, ``metric_prox``: a compiled step does not count its own.
    """
    if workload.shapes.largest > LARGEST_COUNTED:
        return Skipped(case, goals.ITERATIONS.name, "the plain solver takes too long on a tensor this size")
    counts = [
        problem.psi.metric_prox(problem.B, problem.D, problem.lam).iterations for problem in subproblems(optimizer)
    ]
    estimate = Estimate(float(median(counts)), float(min(counts)), float(max(counts)))
    detail = {"solver": "metric_prox", "subproblems": len(counts)}
    return make_row(case, goals.ITERATIONS, estimate, device=plan.device.type, threads=plan.threads[0], detail=detail)


def memory_rows(case: str, workload: Workload, optimizer: RAMDA, plan: Plan) -> Iterator[Row]:
    """Peak extra memory of a step over the largest tensor, and state over parameters."""
    device = plan.device.type
    extra = extra_memory(optimizer.step, plan.device)
    yield make_row(
        case,
        goals.EXTRA_MEMORY,
        exactly(extra.peak / workload.largest_bytes),
        device=device,
        threads=plan.threads[0],
        goal=goals.goal_of(case, goals.EXTRA_MEMORY, device),
        detail={
            "allocated_bytes": extra.allocated,
            "resident_bytes": extra.resident,
            "largest_tensor_bytes": workload.largest_bytes,
        },
    )
    held = state_bytes(optimizer)
    yield make_row(
        case,
        goals.STATE,
        exactly(held / workload.bytes),
        device=device,
        threads=plan.threads[0],
        goal=goals.goal_of(case, goals.STATE, device),
        detail={"state_bytes": held},
    )


def state_bytes(optimizer: RAMDA) -> int:
    """Bytes of the tensors in the state of all parameters; numbers (0-d tensors) are not counted."""
    held = 0
    for param in parameters_of(optimizer):
        for value in optimizer.state[param].values():
            if isinstance(value, Tensor) and value.ndim > 0:
                held += value.numel() * value.element_size()
    return held
