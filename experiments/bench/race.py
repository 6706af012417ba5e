"""Ours against one peer: timed turn by turn, made into a row."""

from statistics import median
from typing import Any

from experiments.bench import goals
from experiments.bench.plan import Plan
from experiments.bench.rows import Measure, Row, make_row
from experiments.bench.statistics import ratio_of_medians
from experiments.bench.timing import Contestant, Effort, take_turns
from ramda_verify.engine.threads import threads


def race(
    case: str,
    measure: Measure,
    ours: Contestant,
    theirs: Contestant,
    *,
    plan: Plan,
    threads_used: int,
    effort: Effort,
    detail: dict[str, Any],
) -> Row:
    """The row of their median time over ours on ``threads_used`` CPU threads; ``detail`` and the rounds go with it."""
    with threads(threads_used):
        samples = take_turns({"ours": ours, "theirs": theirs}, device=plan.device, effort=effort)
    device = plan.device.type
    return make_row(
        case,
        measure,
        ratio_of_medians(samples["theirs"], samples["ours"]),
        device=device,
        threads=threads_used,
        goal=goals.goal_of(case, measure, device),
        ours_ms=1e3 * median(samples["ours"]),
        peer_ms=1e3 * median(samples["theirs"]),
        detail={**detail, "rounds": len(samples["ours"])},
    )
