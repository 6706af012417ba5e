"""The measures and the goals that they are held to: data."""

from experiments.bench.rows import Goal, Measure

OVER_FOREACH = Measure("RAMDA step / AdamW foreach", "smaller")
OVER_FUSED = Measure("RAMDA step / AdamW fused", "smaller")
OVER_FUSED_GRAPH = Measure("RAMDA step / AdamW fused, CUDA graph", "smaller")
PLAIN_OVER_FOREACH = Measure("RAMDA step, plain backend / AdamW foreach", "smaller")
PLAIN_OVER_FUSED = Measure("RAMDA step, plain backend / AdamW fused", "smaller")
PROXGEN_OVER_FOREACH = Measure("ProxGen step / AdamW foreach", "smaller")
RUN_MEDIAN = {
    method: Measure(f"{method} step / AdamW foreach, median over a run", "smaller") for method in ("RAMDA", "ProxGen")
}
RUN_P95 = {
    method: Measure(f"{method} step / AdamW foreach, 95th percentile over a run", "smaller")
    for method in ("RAMDA", "ProxGen")
}
REFERENCE_OVER_OURS = Measure("reference RAMDA step / ours", "larger")
NEWTON_OVER_OURS = Measure("ProxSSI Newton / ours", "larger")
NUCLEAR_OVER_OURS = Measure("reference nuclear norm PG / ours", "larger")
CVXPY_OVER_OURS = Measure("CVXPY / ours", "larger")
BANDWIDTH = Measure("share of copy bandwidth", "larger")
RESIDUAL = Measure("residual / norm(B)", "smaller", timed=False)
ITERATIONS = Measure("inner iterations", "smaller", timed=False)
EXTRA_MEMORY = Measure("extra memory / largest tensor", "smaller", timed=False)
STATE = Measure("state tensors per parameter", "smaller", timed=False)
TIME_GROWTH = Measure("exponent of time over parameters", "smaller", timed=False)
MEMORY_GROWTH = Measure("exponent of memory over parameters", "smaller", timed=False)

MEASURES = {
    measure.name: measure
    for measure in (
        OVER_FOREACH,
        OVER_FUSED,
        OVER_FUSED_GRAPH,
        PLAIN_OVER_FOREACH,
        PLAIN_OVER_FUSED,
        *RUN_MEDIAN.values(),
        *RUN_P95.values(),
        PROXGEN_OVER_FOREACH,
        REFERENCE_OVER_OURS,
        NEWTON_OVER_OURS,
        NUCLEAR_OVER_OURS,
        CVXPY_OVER_OURS,
        BANDWIDTH,
        RESIDUAL,
        ITERATIONS,
        EXTRA_MEMORY,
        STATE,
        TIME_GROWTH,
        MEMORY_GROWTH,
    )
}

#: What a step may cost in AdamW's (foreach) over a whole training run: below a million parameters, and from there on.
SMALL_RUN, LARGE_RUN = 2.0, 1.5
RUNS = {
    **dict.fromkeys(("training-mnist", "training-digits", "training-embedding", "training-transformer"), SMALL_RUN),
    "training-resnet18": LARGE_RUN,
}

#: (case, measure, device): bound. An entry without a case (None) holds for all, one without a device on all.
BOUNDS: dict[tuple[str | None, Measure, str | None], float] = {
    ("four-layers", OVER_FOREACH, "cpu"): 1.5,
    ("resnet50", OVER_FOREACH, "cpu"): 1.5,
    **{
        (case, measure, "cpu"): bound
        for case, bound in RUNS.items()
        for measure in (*RUN_MEDIAN.values(), *RUN_P95.values())
    },
    ("training-ends", OVER_FOREACH, "cpu"): SMALL_RUN,
    ("training-ends", PROXGEN_OVER_FOREACH, "cpu"): SMALL_RUN,
    ("four-layers", REFERENCE_OVER_OURS, "cpu"): 30.0,
    ("resnet50", REFERENCE_OVER_OURS, "cpu"): 30.0,
    (None, RESIDUAL, None): 1e-5,
    ("resnet50", OVER_FUSED, "cuda"): 1.25,
    ("resnet50", OVER_FUSED_GRAPH, "cuda"): 1.25,
    ("transformer", OVER_FUSED, "cuda"): 1.25,
    ("transformer", OVER_FUSED_GRAPH, "cuda"): 1.25,
    ("matrix-8192", BANDWIDTH, "cuda"): 0.7,
    ("nuclear", NUCLEAR_OVER_OURS, "cpu"): 5.0,
    ("nuclear", NUCLEAR_OVER_OURS, "cuda"): 10.0,
    ("conic", CVXPY_OVER_OURS, None): 1000.0,
    (None, STATE, None): 3.0,
    (None, EXTRA_MEMORY, None): 1.0,
    # Linear: what is left above 1 is what the caches save where everything fits into them.
    ("scale", TIME_GROWTH, None): 1.15,
    ("scale", MEMORY_GROWTH, None): 1.02,
}


def goal_of(case: str, measure: Measure, device: str) -> Goal | None:
    """The goal of a row, the most particular first; None where there is none."""
    for key in ((case, measure, device), (case, measure, None), (None, measure, device), (None, measure, None)):
        if key in BOUNDS:
            return Goal(BOUNDS[key], measure.better)
    return None
