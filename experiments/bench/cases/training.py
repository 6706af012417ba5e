"""Whole training runs: what a step of RAMDA and of ProxGen costs in AdamW's, from the first step to the last."""

from collections.abc import Iterator

from experiments.bench import goals
from experiments.bench.plan import Plan, too_large
from experiments.bench.rows import Row, Skipped, make_row
from experiments.bench.statistics import quantile_of_ratios, typical, weighted_quantile
from experiments.bench.training.ends import END_STATES, EndedRun
from experiments.bench.training.player import Played, play, timings
from experiments.bench.training.workloads import METHODS, WORKLOADS, Workload

CPU_ONLY = "real training runs are played on the CPU"
#: What a step of each method from one state is called.
MEASURES = {"RAMDA": goals.OVER_FOREACH, "ProxGen": goals.PROXGEN_OVER_FOREACH}
#: Copies of all parameters: two methods with state, snapshots of both, gradients, activations.
COPIES = 24


def training_case(case: str, workload: Workload, plan: Plan) -> Iterator[Row | Skipped]:
    """The median and the 95th percentile over a run, of each method and number of threads."""
    problem = CPU_ONLY if plan.device.type != "cpu" else too_large(4 * COPIES * workload.parameters, plan.device)
    if problem is not None:
        yield Skipped(case, "everything", problem)
        return
    for method in METHODS:
        played = play(workload, method, plan)
        for number in plan.threads:
            yield from run_rows(case, method, workload, played, number, plan)


def run_rows(case: str, method: str, workload: Workload, played: Played, number: int, plan: Plan) -> Iterator[Row]:
    """The two rows of one run with one number of threads; all timed steps go into their detail."""
    ours = [samples["ours"] for samples in played.samples[number]]
    theirs = [samples["theirs"] for samples in played.samples[number]]
    milliseconds = [[1e3 * float(typical(samples)) for samples in lists] for lists in (ours, theirs)]
    points = [
        {"step": step, "ours_ms": round(mine, 4), "peer_ms": round(peer, 4), "zero_groups": round(share, 4)}
        for step, mine, peer, share in zip(played.timed, *milliseconds, played.zero_shares, strict=True)
    ]
    restarts = workload.milestones(played.steps)
    detail = {"parameters": workload.parameters, "steps": played.steps, "restarts_after": restarts, "timed": points}
    device = plan.device.type
    for measure, share in ((goals.RUN_MEDIAN[method], 0.5), (goals.RUN_P95[method], 0.95)):
        yield make_row(
            case,
            measure,
            quantile_of_ratios(ours, theirs, played.weights, share),
            device=device,
            threads=number,
            goal=goals.goal_of(case, measure, device),
            ours_ms=weighted_quantile(milliseconds[0], played.weights, share),
            peer_ms=weighted_quantile(milliseconds[1], played.weights, share),
            detail=detail,
        )


def ends_case(case: str, plan: Plan) -> Iterator[Row | Skipped]:
    """A step from each of END_STATES, made from the last state of the first workload's run."""
    if plan.device.type != "cpu":
        yield Skipped(case, "everything", CPU_ONLY)
        return
    plan.say(f"{case}: training")
    workload = WORKLOADS[0]
    ended = {method: EndedRun(workload, method, plan) for method in METHODS}
    for name in END_STATES:
        for method, measure in MEASURES.items():
            ended[method].put(name)
            for number, samples in timings(ended[method].run, ended[method].rival, plan):
                yield make_row(
                    f"{case}, {name}",
                    measure,
                    quantile_of_ratios([samples["ours"]], [samples["theirs"]], [1], 0.5),
                    device=plan.device.type,
                    threads=number,
                    goal=goals.goal_of(case, measure, plan.device.type),
                    ours_ms=1e3 * float(typical(samples["ours"])),
                    peer_ms=1e3 * float(typical(samples["theirs"])),
                    detail={"parameters": workload.parameters, "rounds": len(samples["ours"])},
                )
