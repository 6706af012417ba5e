"""The verified core: regularizers, the subproblem and its solvers, the optimizers. Needs torch and nothing else."""

from solvers.networks import (
    ParameterGroups,
    RegWeightMax,
    StructureLevel,
    StructureLevels,
    batch_norm_recomputed,
    materialize,
    parameter_groups,
    recompute_batch_norm,
    reg_weight_max,
    structure_levels,
)
from solvers.optimizers import RAMDA, RMDA, ProxGen, ProxSGD, Stages
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
    "RegWeightMax",
    "Regularizer",
    "Schedule",
    "Solution",
    "Stages",
    "Status",
    "StructureLevel",
    "StructureLevels",
    "Subproblem",
    "Zero",
    "batch_norm_recomputed",
    "materialize",
    "parameter_groups",
    "recompute_batch_norm",
    "reg_weight_max",
    "solve",
    "solve_batch",
    "structure_levels",
]
