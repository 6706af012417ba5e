"""The steps of the optimizers as compiled kernels. Nothing here defines a meaning."""

from solvers.kernels.choice import BACKENDS, choose, say_once
from solvers.kernels.subproblem import group_norms, subproblem_by_kernel
from solvers.kernels.task import Backend, Prepared, Recurrence, StepTask

__all__ = [
    "BACKENDS",
    "Backend",
    "Prepared",
    "Recurrence",
    "StepTask",
    "choose",
    "group_norms",
    "say_once",
    "subproblem_by_kernel",
]
