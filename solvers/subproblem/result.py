"""What a solve returns: the point, how it ended, and the certificate."""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from torch import Tensor


class Status(Enum):
    """How a solve ended. Only CONVERGED meets the criterion; nothing is ever silent."""

    CONVERGED = "the residual is at most the tolerance"
    ITERATION_LIMIT = "the iteration limit was reached with the residual above the tolerance"
    PRECISION_LIMIT = "the residual is above the tolerance but at the rounding level of the dtype"
    FELL_BACK = "the result had a higher objective than the reference point and was replaced by a point that has not"
    NOT_STATIONARY = "a direct solution has a residual above the tolerance"
    NON_FINITE = "a NaN or an infinity appeared; the point returned is the best finite one, or zero"

    @property
    def converged(self) -> bool:
        """Whether the criterion is met."""
        return self is Status.CONVERGED


class Leg(NamedTuple):
    """The part of a solve that one iterative method did."""

    method: str
    iterations: int


@dataclass(frozen=True)
class Solution:
    """The result of a solve. Residuals and objectives are in the units of the undivided problem.

    Attributes:
        point: of the kind of B.
        status: how the solve ended.
        iterations: those of all methods.
        residual: the norm of a member of dQ(point), the smallest one known. Above the largest float64 it is infinite
            and never accepted; below the smallest it is the smallest, never 0.
        objective: Q(point). Q is of the size of B*B/D and leaves float64 before its problem does: it is 0 or infinite
            then. NaN where it was not asked for.
        tolerance: eps_t, as it was given.
        method: the one that finished.
        descent: whether the solver's own point had Q <= Q(reference), criterion (7b); None where no reference was
            given. Where it had not, the point was replaced by one that has (FELL_BACK).
        legs: the iterative methods in order: more than one where a method was too slow and the next took over.
    """

    point: Tensor
    status: Status
    iterations: int
    residual: float
    objective: float
    tolerance: float
    method: str
    descent: bool | None = None
    legs: tuple[Leg, ...] = ()

    @property
    def accepted(self) -> bool:
        """Criterion (7): the residual is at most the tolerance. (7b) holds for every point returned."""
        return self.residual <= self.tolerance
