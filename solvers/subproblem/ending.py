"""Where the runs of an iterative method ended, of one problem or of every problem of a batch."""

from typing import NamedTuple

import torch
from torch import Tensor

from solvers.subproblem.per_problem import Flag, Number
from solvers.subproblem.problems import Problems
from solvers.subproblem.result import Status

#: In the tensor of a batch a status is its place in here.
STATUSES = tuple(Status)
CODE = {status: code for code, status in enumerate(STATUSES)}
#: Neither a status nor the code of one: a run that goes on.
RUNNING = -1


class Iterate(NamedTuple):
    """A point and a member of dQ there."""

    point: Tensor
    member: Tensor


class Ending(NamedTuple):
    """Where a run ended; ``member`` is a member of dQ(point), where one was kept.

    Of a batch every field is a tensor with an entry for each problem; ``status`` holds codes, and a member that was not
    kept is NaN.
    """

    point: Tensor
    status: Flag
    iterations: Number
    residual: Number
    member: Tensor | None = None


def ended_by(status: Flag, wanted: Status) -> Flag:
    """Whether a run ended with this status."""
    return status == CODE[wanted] if isinstance(status, Tensor) else status is wanted


def status_where(condition: Flag, status: Status, otherwise: Flag) -> Flag:
    """``status`` where the condition holds, else what ``otherwise`` has: a status, codes, or RUNNING."""
    if isinstance(condition, bool):
        return status if condition else otherwise
    return torch.where(condition, CODE[status], otherwise)


def status_of_all(problems: Problems, status: Status) -> Flag:
    """The same status for every problem."""
    return problems.full(CODE[status]) if problems.lead else status


def unended(problems: Problems, start: Tensor, residual: Number) -> Ending:
    """The ending to begin with: at ``start``, of the given residual."""
    # A single problem keeps no member that it does not have.
    member = torch.full_like(start, torch.nan) if problems.lead else None
    return Ending(start, problems.full(RUNNING), problems.full(0), residual, member)


def statuses(status: Flag) -> tuple[Status, ...]:
    """The statuses of all problems."""
    return tuple(STATUSES[code] for code in status.tolist()) if isinstance(status, Tensor) else (status,)
