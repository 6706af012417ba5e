"""The steps of the optimizers as compiled kernels. Nothing here defines a meaning."""

from solvers.kernels.contract import (
    Backend,
    Counts,
    Integers,
    Prepared,
    Recurrence,
    StepTask,
    numbers_in,
    plain_memory,
)
from solvers.kernels.dispatch import BACKENDS, choose, warn_once
from solvers.kernels.finite import all_finite
from solvers.kernels.subproblem import group_norms, no_group_norms_reason, subproblem_by_kernel

__all__ = [
    "BACKENDS",
    "Backend",
    "Counts",
    "Integers",
    "Prepared",
    "Recurrence",
    "StepTask",
    "all_finite",
    "choose",
    "group_norms",
    "no_group_norms_reason",
    "numbers_in",
    "plain_memory",
    "subproblem_by_kernel",
    "warn_once",
]
