"""The subproblem ``min 1/2<Z,D*Z> - <B,Z> + lam*psi(Z)`` and its solvers."""

from solvers.subproblem.batch import solve_batch
from solvers.subproblem.batch_result import BatchSolution
from solvers.subproblem.criterion import PowerSchedule, Schedule
from solvers.subproblem.model import Subproblem
from solvers.subproblem.result import Solution, Status
from solvers.subproblem.solve import available_methods, solve

__all__ = [
    "BatchSolution",
    "PowerSchedule",
    "Schedule",
    "Solution",
    "Status",
    "Subproblem",
    "available_methods",
    "solve",
    "solve_batch",
]
