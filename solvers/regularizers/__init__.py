"""Regularizers: psi, its prox, and what it knows beyond that."""

from solvers.regularizers.group_lasso import GroupLasso
from solvers.regularizers.groups import Grouping
from solvers.regularizers.l1 import L1
from solvers.regularizers.layout import WeightLayout
from solvers.regularizers.mcp import MCP
from solvers.regularizers.members import OPTIONAL_MEMBERS, MetricProx, Regularizer
from solvers.regularizers.nuclear_norm import NuclearNorm
from solvers.regularizers.simplex import Simplex
from solvers.regularizers.sparse_group_lasso import SparseGroupLasso
from solvers.regularizers.zero import Zero

__all__ = [
    "L1",
    "MCP",
    "OPTIONAL_MEMBERS",
    "GroupLasso",
    "Grouping",
    "MetricProx",
    "NuclearNorm",
    "Regularizer",
    "Simplex",
    "SparseGroupLasso",
    "WeightLayout",
    "Zero",
]
