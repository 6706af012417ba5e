"""A whole step: RAMDA with group LASSO against torch's AdamW, on one parameter list."""

from collections.abc import Iterator
from statistics import median
from typing import Any

import torch

from experiments.bench import goals
from experiments.bench.cases.newton import newton_rows
from experiments.bench.cases.quality import quality_rows
from experiments.bench.cases.reference_step import reference_rows
from experiments.bench.plan import Plan, too_large
from experiments.bench.rows import Measure, Row, Skipped, make_row
from experiments.bench.shapes import ParameterList
from experiments.bench.statistics import ratio_of_medians
from experiments.bench.timing import Action, Contestant, captured, take_turns
from experiments.bench.workload import (
    Workload,
    adamw,
    make_workload,
    supports,
    twin,
    warmed_up,
    zero_group_share,
)
from ramda_verify.engine.threads import threads

#: Passes over the parameters' memory: RAMDA reads W, G, W0, V, U and writes W, V, U; AdamW reads W, G, m, v and writes
#: W, m, v; a copy reads and writes.
RAMDA_PASSES, ADAMW_PASSES, COPY_PASSES = 8, 7, 2
#: Larger than the caches of a CPU or GPU.
COPY_BYTES = 256 * 2**20

#: (contestant, peer): the measure that their ratio is.
PAIRS: dict[tuple[str, str], Measure] = {
    ("ours", "foreach"): goals.OVER_FOREACH,
    ("ours", "fused"): goals.OVER_FUSED,
    ("plain", "foreach"): goals.PLAIN_OVER_FOREACH,
    ("plain", "fused"): goals.PLAIN_OVER_FUSED,
    ("ours, graph", "fused, graph"): goals.OVER_FUSED_GRAPH,
}


def step_case(
    case: str, shapes: ParameterList, plan: Plan, *, against_reference: bool = False, against_newton: bool = False
) -> Iterator[Row | Skipped]:
    """All rows of one parameter list."""
    problem = too_large(memory_needed(shapes, plan.device), plan.device)
    if problem is not None:
        yield Skipped(case, "everything", problem)
        return
    plan.say(f"{case}: warming up")
    workload = make_workload(shapes, plan.device, plan.seed)
    ours = warmed_up(workload)
    contestants: dict[str, Action] = {"ours": ours.step}
    if supports("backend"):
        contestants["plain"] = twin(ours, workload, backend="plain").step
    contestants["foreach"] = adamw(workload, foreach=True).step
    contestants["fused"] = adamw(workload, fused=True).step
    if plan.device.type == "cuda":
        contestants |= _graphs(workload, plan.device)
        if "ours, graph" not in contestants:
            yield Skipped(case, goals.OVER_FUSED_GRAPH.name, "this version of RAMDA has no option capturable")
    detail = {
        "parameters": shapes.size,
        "tensors": len(shapes.entries),
        "zero_group_share": round(zero_group_share(ours), 4),
    }
    for count in plan.threads:
        plan.say(f"{case}: steps, {count} CPU threads")
        with threads(count):
            yield from timed_rows(case, contestants, workload, plan, count, detail)
    del contestants
    yield from quality_rows(case, workload, ours, plan)
    if against_reference:
        yield from reference_rows(case, workload, ours, plan)
    if against_newton:
        yield from newton_rows(case, ours, plan)


def memory_needed(shapes: ParameterList, device: torch.device) -> int:
    """Bytes that a step case holds at most, roughly: contestants with their states, and scratch of plain torch."""
    optimizers = 2 + 2 * 4 + 2 * 3 + (7 if device.type == "cuda" else 0)
    return 4 * (optimizers * shapes.size + 16 * shapes.largest) + 2 * COPY_BYTES


def timed_rows(
    case: str,
    steps: dict[str, Action],
    workload: Workload,
    plan: Plan,
    thread_count: int,
    detail: dict[str, Any],
) -> Iterator[Row]:
    """Ratios of all pairs and the share of the copy bandwidth.

    The plain backend, ten and more times slower, meets its peers in rounds of its own: few, and out of the others' way.
    """
    source = torch.ones(COPY_BYTES // 4, device=plan.device)
    target = torch.empty_like(source)
    contestants = {name: Contestant(step) for name, step in steps.items()}
    contestants["copy"] = Contestant(lambda: target.copy_(source))
    plain = {name: contestants[name] for name in ("plain", "foreach", "fused") if "plain" in contestants}
    contestants.pop("plain", None)
    samples = take_turns(contestants, device=plan.device, effort=plan.effort)
    yield from pair_rows(case, samples, plan, thread_count, detail)
    yield bandwidth_row(case, samples, workload, plan, thread_count)
    if plain:
        samples = take_turns(plain, device=plan.device, effort=plan.brief_effort)
        yield from pair_rows(case, samples, plan, thread_count, detail)


def pair_rows(
    case: str, samples: dict[str, list[float]], plan: Plan, thread_count: int, detail: dict[str, Any]
) -> Iterator[Row]:
    """The ratio of every pair of which both took part."""
    device = plan.device.type
    for (ours, peer), measure in PAIRS.items():
        if ours in samples and peer in samples:
            yield make_row(
                case,
                measure,
                ratio_of_medians(samples[ours], samples[peer]),
                device=device,
                threads=thread_count,
                goal=goals.goal_of(case, measure, device),
                ours_ms=1e3 * median(samples[ours]),
                peer_ms=1e3 * median(samples[peer]),
                detail={**detail, "rounds": len(samples[ours])},
            )


def bandwidth_row(case: str, samples: dict[str, list[float]], workload: Workload, plan: Plan, thread_count: int) -> Row:
    """Bytes moved over time, of our fastest contestant, relative to a copy of a large buffer."""
    seconds = {name: median(entry) for name, entry in samples.items()}
    fastest = min((name for name in ("ours", "ours, graph") if name in samples), key=lambda name: seconds[name])
    moved, copied = RAMDA_PASSES * workload.bytes, COPY_PASSES * COPY_BYTES
    device = plan.device.type
    return make_row(
        case,
        goals.BANDWIDTH,
        ratio_of_medians(samples["copy"], samples[fastest], factor=moved / copied),
        device=device,
        threads=thread_count,
        goal=goals.goal_of(case, goals.BANDWIDTH, device),
        ours_ms=1e3 * seconds[fastest],
        peer_ms=1e3 * seconds["copy"],
        detail={
            "copy_gigabytes_per_second": round(copied / (1e9 * seconds["copy"]), 2),
            "step_gigabytes_per_second": round(moved / (1e9 * seconds[fastest]), 2),
            "adamw_fused_gigabytes_per_second": round(ADAMW_PASSES * workload.bytes / (1e9 * seconds["fused"]), 2),
            "contestant": fastest,
        },
    )


def _graphs(workload: Workload, device: torch.device) -> dict[str, Action]:
    """Both steps as CUDA graphs, where ours can be captured."""
    found: dict[str, Action] = {"fused, graph": captured(adamw(workload, fused=True, capturable=True).step, device)}
    if supports("capturable"):
        found["ours, graph"] = captured(warmed_up(workload, capturable=True, check_finite=False).step, device)
    return found
