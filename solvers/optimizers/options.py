"""The types of the options that every method takes by keyword and hands on, see ``StructuredOptimizer``."""

from typing import TypedDict

from solvers.subproblem.criterion import Schedule


class StepOptions(TypedDict, total=False):
    """The options of a method that names its weight decay itself."""

    maximize: bool
    reg_warmup: int
    schedule: Schedule | None
    method: str
    max_inner_iterations: int
    solve_every: int
    check_finite: bool
    backend: str
    capturable: bool


class CommonOptions(StepOptions, total=False):
    """The options of any other method."""

    weight_decay: float
