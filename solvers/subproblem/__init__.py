"""The subproblem ``min 1/2<Z,D*Z> - <B,Z> + lam*psi(Z)`` and its solvers."""

from solvers.subproblem.criterion import PowerSchedule, Schedule
from solvers.subproblem.model import Subproblem
from solvers.subproblem.result import Solution, Status
from solvers.subproblem.solve import available_methods, solve

__all__ = ["PowerSchedule", "Schedule", "Solution", "Status", "Subproblem", "available_methods", "solve"]
