"""The steps of the optimizers as compiled kernels. Nothing here defines a meaning."""

from solvers.kernels.choice import BACKENDS, choose, say_once
from solvers.kernels.task import Backend, Recurrence, StepTask

__all__ = ["BACKENDS", "Backend", "Recurrence", "StepTask", "choose", "say_once"]
