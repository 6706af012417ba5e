"""Run the cases one after the other; what fails or does not fit into the budget is said."""

import time
from collections.abc import Callable, Sequence

from experiments.bench.plan import QUICK_BUDGET, Case, Plan
from experiments.bench.rows import Row, Skipped
from experiments.bench.timing import Action
from ramda_verify.engine.threads import threads

GPU_WORDS = "GPU rows were not measured; where there is an NVIDIA GPU, `ramda-verify bench --device cuda` measures them"

BUDGET_WORDS = f"the {QUICK_BUDGET:.0f} seconds of a quick run were used up"


def run_cases(
    cases: Sequence[Case], plan: Plan, *, show: Callable[[Row | Skipped], None], advance: Action
) -> tuple[list[Row], list[Skipped]]:
    """Rows and what was skipped. ``show`` sees each at once; ``advance`` is called after every case.

    A quick run ends after its budget, also within a case. A case that runs out of memory is skipped from there on.
    """
    rows: list[Row] = []
    skipped: list[Skipped] = []
    started = time.perf_counter()

    def take(entry: Row | Skipped) -> None:
        if isinstance(entry, Row):
            rows.append(entry)
        else:
            skipped.append(entry)
        show(entry)

    def left() -> bool:
        return not plan.quick or time.perf_counter() - started < QUICK_BUDGET

    for case in cases:
        if not left():
            take(Skipped(case.name, "everything", BUDGET_WORDS))
            advance()
            continue
        try:
            with threads(plan.threads[0]):
                for entry in case.run(plan):
                    take(entry)
                    if not left():
                        take(Skipped(case.name, "what may be left", BUDGET_WORDS))
                        break
        except (MemoryError, RuntimeError) as error:
            if "memory" not in str(error).lower() and not isinstance(error, MemoryError):
                raise
            take(Skipped(case.name, "the rest", f"out of memory: {str(error).splitlines()[0]}"))
        advance()
    if plan.device.type != "cuda":
        take(Skipped("all", "GPU", GPU_WORDS))
    return rows, skipped
