"""What a network needs around an optimizer: parameter groups, the choice of weights, measures of structure, and Ŵ."""

from solvers.evaluation.batch_norm import batch_norm_advice, batch_norm_recomputed, recompute_batch_norm
from solvers.networks.materialize import materialize
from solvers.networks.parameter_groups import ParameterGroups, parameter_groups
from solvers.networks.structure import StructureLevel, StructureLevels, structure_levels
from solvers.networks.weights import RegWeightMax, reg_weight_max

__all__ = [
    "ParameterGroups",
    "RegWeightMax",
    "StructureLevel",
    "StructureLevels",
    "batch_norm_advice",
    "batch_norm_recomputed",
    "materialize",
    "parameter_groups",
    "recompute_batch_norm",
    "reg_weight_max",
    "structure_levels",
]
