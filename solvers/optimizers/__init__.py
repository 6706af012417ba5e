"""The optimizers; each is one way of making the subproblem of a step."""

from solvers.optimizers.base import StructuredOptimizer
from solvers.optimizers.methods.proxgen import ProxGen
from solvers.optimizers.methods.proxsgd import ProxSGD
from solvers.optimizers.methods.ramda import RAMDA
from solvers.optimizers.methods.rmda import RMDA
from solvers.optimizers.stages import Stages

__all__ = ["RAMDA", "RMDA", "ProxGen", "ProxSGD", "Stages", "StructuredOptimizer"]
