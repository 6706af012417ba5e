"""The optimizers; each is one way of making the subproblem of a step."""

from solvers.optimizers.base import StructuredOptimizer
from solvers.optimizers.methods import METHODS, RAMDA, RMDA, ProxGen, ProxSGD
from solvers.optimizers.stages import Stages
from solvers.optimizers.wrapped import structured_iterate, structured_iterate_swapped_in, unwrapped

__all__ = [
    "METHODS",
    "RAMDA",
    "RMDA",
    "ProxGen",
    "ProxSGD",
    "Stages",
    "StructuredOptimizer",
    "structured_iterate",
    "structured_iterate_swapped_in",
    "unwrapped",
]
