"""The methods, one a file: formulas, defaults and the record from which kernel tables and checks derive."""

from solvers.optimizers.base import StructuredOptimizer
from solvers.optimizers.methods.proxgen import ProxGen
from solvers.optimizers.methods.proxsgd import ProxSGD
from solvers.optimizers.methods.ramda import RAMDA
from solvers.optimizers.methods.rmda import RMDA

#: All methods by the names of their records.
METHODS: dict[str, type[StructuredOptimizer]] = {cls.record.name: cls for cls in (RAMDA, RMDA, ProxSGD, ProxGen)}

__all__ = ["METHODS", "RAMDA", "RMDA", "ProxGen", "ProxSGD"]
