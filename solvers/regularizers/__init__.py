"""Regularizers: psi, its prox, and what it knows beyond that."""

from solvers.regularizers.base import OPTIONAL_MEMBERS, MetricProx, Regularizer
from solvers.regularizers.group_lasso import GroupLasso
from solvers.regularizers.groups import Grouping
from solvers.regularizers.l1 import L1
from solvers.regularizers.layout import WeightLayout
from solvers.regularizers.nuclear_norm import NuclearNorm
from solvers.regularizers.zero import Zero

__all__ = [
    "L1",
    "OPTIONAL_MEMBERS",
    "GroupLasso",
    "Grouping",
    "MetricProx",
    "NuclearNorm",
    "Regularizer",
    "WeightLayout",
    "Zero",
]
