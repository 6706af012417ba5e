"""All cases by name, in the order in which they run."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from experiments.bench.cases.conic import conic_case
from experiments.bench.cases.nuclear import nuclear_case
from experiments.bench.cases.scale import scale_case
from experiments.bench.cases.steps import step_case
from experiments.bench.cases.training import ends_case, training_case
from experiments.bench.plan import Case, Plan
from experiments.bench.rows import Row, Skipped
from experiments.bench.shapes import PAPER_WIDTHS, ParameterList, four_layers, grouped, mlp, resnet50, square
from experiments.bench.shapes import transformer as transformer_layers
from experiments.bench.training.workloads import WORKLOADS, Workload

GROUP_SIZES = (3, 64, 2_000, 100_000)
#: Entries of the matrix of the group size cases; ten groups of the largest size.
GROUPED_PARAMETERS = 1_000_000


def _steps(
    name: str, shapes: ParameterList, *, quick: bool = False, against_reference: bool = False, newton: bool = False
) -> Case:
    def run(plan: Plan) -> Iterator[Row | Skipped]:
        return step_case(name, shapes, plan, against_reference=against_reference, against_newton=newton)

    return Case(name, shapes.title, run, quick)


def _nuclear(name: str, widths: tuple[int, ...], *, quick: bool = False) -> Case:
    return Case(name, "nuclear norm, " + mlp(widths).title, lambda plan: nuclear_case(name, widths, plan), quick)


def _training(workload: Workload) -> Case:
    name, title = f"training-{workload.name}", f"whole runs, {workload.training.title}"
    return Case(name, title, lambda plan: training_case(name, workload, plan), workload.quick, "training")


CASES: tuple[Case, ...] = (
    _steps("four-layers", four_layers(), quick=True, against_reference=True, newton=True),
    Case("conic", "512 groups of 64, CVXPY", lambda plan: conic_case("conic", plan), quick=True),
    _nuclear("nuclear-small", (196, 64, 32, 10), quick=True),
    Case("scale", "1e5 to 1e8 parameters", lambda plan: scale_case("scale", plan), quick=True),
    _steps("mlp", mlp(), quick=True),
    *(
        _steps(f"groups-{size}", grouped(size, GROUPED_PARAMETERS), quick=size in (3, 2_000), newton=True)
        for size in GROUP_SIZES
    ),
    *(_steps(f"groups-{size}-rows", grouped(size, GROUPED_PARAMETERS, "output"), newton=True) for size in GROUP_SIZES),
    _steps("resnet50", resnet50(), against_reference=True),
    _steps("transformer", transformer_layers()),
    _steps("matrix-8192", square(8192)),
    _nuclear("nuclear", PAPER_WIDTHS),
    Case(
        "training-ends", "states at the ends of a run", lambda plan: ends_case("training-ends", plan), True, "training"
    ),
    *map(_training, WORKLOADS),
)


def chosen_cases(patterns: Sequence[str], *, quick: bool) -> list[Case]:
    """Cases whose name or family matches a pattern ("groups-*", "training"), all without patterns; of a quick run only
    those that are quick, unless they are asked for by name.

    Raises ValueError, naming the known cases, where a pattern matches none.
    """

    def matches(case: Case, pattern: str) -> bool:
        return fnmatchcase(case.name, pattern) or case.family == pattern

    for pattern in patterns:
        if not any(matches(case, pattern) for case in CASES):
            known = ", ".join(case.name for case in CASES)
            raise ValueError(f"--only must name a case, got {pattern!r}; the known ones are {known}")
    if patterns:
        return [case for case in CASES if any(matches(case, pattern) for pattern in patterns)]
    return [case for case in CASES if case.quick or not quick]
