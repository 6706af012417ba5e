"""Safe screening: parts of the solution that are provably zero before any iteration."""

from typing import cast

import torch
from torch import Tensor

from solvers.regularizers.base import offers
from solvers.regularizers.members import HasZeroMask
from solvers.subproblem.model import Subproblem
from solvers.subproblem.problems import Problems


def screen(problems: Problems, Z: Tensor) -> Tensor:
    """``Z`` with every entry set to zero that is zero in the solution (Theorem 1 of arXiv 2102.03869, weighted).

    The blocks are independent, so this never raises Q where psi is convex. Proximal gradient steps keep these entries
    at zero. Where the regularizer has no ``zero_mask``, ``Z`` comes back as it is.
    """
    if not offers(problems.regularizer, "zero_mask"):
        return Z
    screened: Tensor = problems.each(_screened, Z)
    return screened


def _screened(subproblem: Subproblem, Z: Tensor) -> Tensor:
    return torch.where(cast(HasZeroMask, subproblem.regularizer).zero_mask(subproblem.B, subproblem.lam), 0.0, Z)
