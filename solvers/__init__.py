"""The verified core: regularizers, the subproblem and its solvers, the optimizers. Needs torch and nothing else."""

from solvers.networks import ParameterGroups, StructureLevel, parameter_groups, structure_levels
from solvers.optimizers import (
    RAMDA,
    RMDA,
    ProxGen,
    ProxSGD,
    Stages,
    StructuredOptimizer,
    structured_iterate,
    structured_iterate_swapped_in,
    unwrapped,
)
from solvers.regularizers import L1, GroupLasso, MetricProx, NuclearNorm, Regularizer, Zero
from solvers.subproblem import BatchSolution, PowerSchedule, Schedule, Solution, Status, Subproblem, solve, solve_batch

__all__ = [
    "L1",
    "RAMDA",
    "RMDA",
    "BatchSolution",
    "GroupLasso",
    "MetricProx",
    "NuclearNorm",
    "ParameterGroups",
    "PowerSchedule",
    "ProxGen",
    "ProxSGD",
    "Regularizer",
    "Schedule",
    "Solution",
    "Stages",
    "Status",
    "StructureLevel",
    "StructuredOptimizer",
    "Subproblem",
    "Zero",
    "parameter_groups",
    "solve",
    "solve_batch",
    "structure_levels",
    "structured_iterate",
    "structured_iterate_swapped_in",
    "unwrapped",
]
