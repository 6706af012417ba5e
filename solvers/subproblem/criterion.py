"""The implementable inexactness criterion (paper, eq. 7 and 8): certificates, their floor in rounding, and eps_t.

Ŵ^t is accepted when (7a) some s in dQ_t(Ŵ^t) has ||s|| <= eps_t and (7b) Q_t(Ŵ^t) <= Q_t(W^{t-1}), with
sum eps_t^2 < infinity (8). Q_t carries the weight alpha_t on psi; the residual of a problem that was divided by
alpha_t is multiplied by alpha_t here, in ``residual_norm``, and nowhere else.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from solvers import validate
from solvers.regularizers.base import offers
from solvers.subproblem.model import Subproblem


def residual_norm(subproblem: Subproblem, member: Tensor) -> float:
    """Norm of a member of the subdifferential, in the units of the undivided problem Q_t."""
    return float(torch.linalg.vector_norm(member, dtype=torch.float64)) * subproblem.scale


def exact_member(subproblem: Subproblem, Z: Tensor) -> Tensor | None:
    """The minimum-norm member of dQ(Z), or None where the regularizer does not offer it."""
    if not offers(subproblem.regularizer, "subgradient_residual"):
        return None
    return subproblem.regularizer.subgradient_residual(Z, subproblem.gradient(Z), subproblem.lam)


def proximal_gradient_member(subproblem: Subproblem, Z: Tensor, Z_next: Tensor, theta: Any) -> Tensor:
    """``s = (D - 1/theta)*(Z_next - Z)``, a member of dQ(Z_next) for ``Z_next = prox(Z - theta*(D*Z - B))``."""
    return (subproblem.D - 1 / theta) * (Z_next - Z)


def rounding_floor(subproblem: Subproblem, Z: Tensor | None = None) -> float:
    """Residual that rounding alone can leave, in the units of the undivided problem.

    16 eps ||B|| for a direct solution, whose entries are accurate one by one: D*Z - B is a difference of numbers of the
    size of B. A proximal gradient step rounds Z relative to its largest entries, which L magnifies: 16 eps (||B|| +
    ||L*Z||) at an iterate ``Z``.
    """
    size = residual_norm(subproblem, subproblem.B)
    if Z is not None:
        size += residual_norm(subproblem, subproblem.step_lipschitz() * Z)
    return 16 * torch.finfo(subproblem.B.dtype).eps * size


def descends(subproblem: Subproblem, Z: Tensor, reference: Tensor) -> bool:
    """(7b): Q(Z) <= Q(reference), up to the rounding error of the comparison."""
    change, rounding = subproblem.objective_change(Z, reference)
    return bool(change <= rounding)


def certainly_descends(subproblem: Subproblem, Z: Tensor, member: Tensor, reference: Tensor) -> bool:
    """Whether ``member`` of dQ(Z) alone proves (7b), psi convex; False leaves the question open.

    ``Q(W) - Q(Z) >= <member, W - Z> + 1/2<W - Z, D*(W - Z)>``: psi lies above its tangent and the quadratic part is its
    own expansion. No psi is evaluated, which for the nuclear norm saves two decompositions. The rounding of the member
    and of Z, ``rounding_floor``, is taken off.
    """
    move = reference.double() - Z.double()
    gain = torch.sum(move * (member.double() + 0.5 * subproblem.D.double() * move)) * subproblem.scale
    margin = rounding_floor(subproblem, Z) * torch.linalg.vector_norm(move)
    return bool(gain >= margin)


class Schedule(Protocol):
    """eps_t as a function of the step t = 1, 2, ... and of ``unit``, the weight of psi in Q_1.

    With the unit a schedule needs no knowledge of the method: eps_t = unit * (a dimensionless rule).
    """

    def __call__(self, step: int, unit: float) -> float: ...


@dataclass(frozen=True)
class PowerSchedule:
    """``eps_t = tolerance * unit * t^(-power)``; power > 1/2 makes sum eps_t^2 finite, which (8) demands.

    ``unit`` is alpha_1 for the dual averaging methods and the step size for the others, so that ``tolerance`` is the
    residual allowed at the first step in the units of a gradient of f. Raises ValueError unless tolerance > 0 and
    power > 1/2.
    """

    tolerance: float = 1e-3
    power: float = 1.0

    def __post_init__(self) -> None:
        validate.positive("tolerance", self.tolerance)
        validate.in_interval("power", self.power, 0.5, math.inf, open_low=True)

    def __call__(self, step: int, unit: float) -> float:
        return self.tolerance * unit * step**-self.power

    @property
    def sum_of_squares(self) -> float:
        """An upper bound on sum (eps_t / unit)^2: tolerance^2 * (1 + 1/(2 power - 1))."""
        return self.tolerance**2 * (1 + 1 / (2 * self.power - 1))
