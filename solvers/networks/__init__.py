"""What a network needs around an optimizer: parameter groups and measures of structure."""

from solvers.networks.parameter_groups import ParameterGroups, parameter_groups
from solvers.networks.structure import StructureLevel, StructureLevels, structure_levels

__all__ = ["ParameterGroups", "StructureLevel", "StructureLevels", "parameter_groups", "structure_levels"]
