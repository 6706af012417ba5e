"""What a network needs around an optimizer: parameter groups and measures of structure."""

from solvers.networks.parameter_groups import ParameterGroups, parameter_groups
from solvers.networks.structure import StructureLevel, structure_levels

__all__ = ["ParameterGroups", "StructureLevel", "parameter_groups", "structure_levels"]
