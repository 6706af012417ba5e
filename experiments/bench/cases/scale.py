"""Growth: time and memory of a step from 1e5 to 1e8 parameters at a fixed group size."""

from collections.abc import Iterator
from statistics import median

from experiments.bench import goals
from experiments.bench.cases.quality import memory_rows, residual_row, state_bytes
from experiments.bench.plan import Plan, too_large
from experiments.bench.rows import Row, Skipped, make_row
from experiments.bench.shapes import stack
from experiments.bench.statistics import growth_exponent, ratio_of_medians
from experiments.bench.timing import Contestant, Effort, take_turns
from experiments.bench.workload import adamw, make_workload, warmed_up
from ramda_verify.engine.threads import threads

SIZES = (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000, 30_000_000, 100_000_000)
QUICK_SIZES = (100_000, 300_000, 1_000_000)
#: Enough for a state; a step of the largest size is not cheap.
WARM_UP_STEPS = 3


def scale_case(case: str, plan: Plan) -> Iterator[Row | Skipped]:
    """Rows of every size with all threads, then the exponents of their growth."""
    count, device = plan.threads[-1], plan.device.type
    sizes, samples, memory = [], [], []
    for size in QUICK_SIZES if plan.quick else SIZES:
        shapes = stack(size)
        name = f"{case}-{size:.0e}".replace("e+0", "e")
        problem = too_large(4 * (12 * shapes.size + 16 * shapes.largest), plan.device)
        if problem is not None:
            yield Skipped(name, "everything", problem)
            continue
        plan.say(f"{name}: {shapes.title}")
        with threads(count):
            workload = make_workload(shapes, plan.device, plan.seed)
            ours, peer = warmed_up(workload, WARM_UP_STEPS), adamw(workload, foreach=True)
            turns = take_turns(
                {"ours": Contestant(ours.step), "peer": Contestant(peer.step)},
                device=plan.device,
                effort=Effort(plan.effort.seconds / 2, fewest=5, most=plan.effort.most, warm_up=1),
            )
            quality = list(memory_rows(name, workload, ours, plan))
            yield make_row(
                name,
                goals.OVER_FOREACH,
                ratio_of_medians(turns["ours"], turns["peer"]),
                device=device,
                threads=count,
                goal=goals.goal_of(name, goals.OVER_FOREACH, device),
                ours_ms=1e3 * median(turns["ours"]),
                peer_ms=1e3 * median(turns["peer"]),
                detail={"parameters": shapes.size, "rounds": len(turns["ours"])},
            )
            yield from quality
            yield residual_row(name, ours, plan)
        extra = next(row for row in quality if row.measure == goals.EXTRA_MEMORY.name)
        sizes.append(shapes.size)
        samples.append(turns["ours"])
        # Parameters, gradients, state and what a step needs beside them.
        memory.append(2 * workload.bytes + state_bytes(ours) + extra.ratio * workload.largest_bytes)
        del workload, ours, peer, turns
    if len(sizes) < 2:
        yield Skipped(case, goals.TIME_GROWTH.name, "fewer than two sizes fit into memory")
        return
    detail = {"parameters": sizes, "step_ms": [1e3 * median(entry) for entry in samples], "memory_bytes": memory}
    for measure, entries in ((goals.TIME_GROWTH, samples), (goals.MEMORY_GROWTH, [[entry] for entry in memory])):
        yield make_row(
            case,
            measure,
            growth_exponent(sizes, entries),
            device=device,
            threads=count,
            goal=goals.goal_of(case, measure, device),
            detail=detail,
        )
