"""The implementable inexactness criterion (paper, eq. 7 and 8): certificates, their floor in rounding, and eps_t.

Ŵ^t is accepted when (7a) some s in dQ_t(Ŵ^t) has ||s|| <= eps_t and (7b) Q_t(Ŵ^t) <= Q_t(W^{t-1}), with
sum eps_t^2 < infinity (8). Q_t carries the weight alpha_t on psi; the residual of a problem that was divided by
alpha_t is multiplied by alpha_t here, in ``residual_norm``, and nowhere else.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from solvers import validate
from solvers.regularizers.base import Scalar, offers
from solvers.subproblem.model import Subproblem
from solvers.subproblem.scale_free import is_batched, is_finite, norm, times


def residual_norm(subproblem: Subproblem, member: Tensor) -> float:
    """Norm of a member of the subdifferential, in the units of the undivided problem Q_t.

    Infinite where it exceeds the largest float64, which no tolerance accepts; zero only where every entry is.
    """
    return times(norm(member), subproblem.scale)


def exact_member(subproblem: Subproblem, Z: Tensor) -> Tensor | None:
    """The minimum-norm member of dQ(Z), or None where the regularizer does not offer it.

    Infinite where D*Z - B is out of range: a regularizer is promised finite tensors.
    """
    if not offers(subproblem.regularizer, "subgradient_residual"):
        return None
    slope, exact = subproblem.gradient(Z), subproblem.regularizer.subgradient_residual
    if is_batched(slope):
        usable = torch.isfinite(slope).all()
        return torch.where(usable, exact(Z, torch.where(usable, slope, 0.0), subproblem.lam), torch.inf)
    return exact(Z, slope, subproblem.lam) if is_finite(slope) else torch.full_like(slope, torch.inf)


def prox_member(slope: Tensor, w: Tensor, Z: Tensor, theta: Scalar) -> Tensor:
    """``s = D*Z - B + (w - Z)/theta``, a member of dQ(Z) for ``Z = prox_{theta*lam*psi}(w)``, whatever w is.

    ``slope`` is D*Z - B. After a proximal gradient step, ``w = Y - theta*(D*Y - B)``, this is the paper's
    ``(D - 1/theta)*(Z - Y)``, which is not used: it does not see that w was rounded, and is zero where a step in a
    narrow dtype is too small to move Z.
    """
    return slope + (w - Z) / theta


class RoundingFloor:
    """Residual that rounding alone can leave at a point, in the units of the undivided problem.

    ``16 eps (||B|| + ||M*Z||)`` with M = ``magnification``: D*Z - B is a difference of numbers of these two sizes. The
    entries of a direct solution are accurate one by one: M = D. A proximal gradient step rounds all of Z relative to
    its largest entries and divides by its step size: M = L, the default. Numbers below the smallest normal one are
    rounded as if they were that large.
    """

    def __init__(self, subproblem: Subproblem, magnification: Tensor | None = None) -> None:
        M = subproblem.step_lipschitz() if magnification is None else magnification
        info, largest = torch.finfo(subproblem.B.dtype), float(M.amax())
        self._magnification = M if M.ndim > 0 else largest
        self._size = norm(subproblem.B) + info.tiny * math.sqrt(subproblem.B.numel()) * (1 + largest)
        self._share, self._scale = 16 * info.eps, subproblem.scale

    def __call__(self, Z: Tensor) -> float:
        M = self._magnification
        magnified = norm(M * Z) if isinstance(M, Tensor) else M * norm(Z)
        level = self._share * (self._size + magnified)
        if not math.isfinite(level):
            # A sixteenth of a rounding of what is out of range may well be in range.
            small = self._share * Z.double()
            magnified = norm(M.double() * small) if isinstance(M, Tensor) else M * norm(small)
            level = self._share * self._size + magnified
        return times(level, self._scale)


def rounding_floor(subproblem: Subproblem, Z: Tensor, magnification: Tensor | None = None) -> float:
    """``RoundingFloor`` at one point."""
    return RoundingFloor(subproblem, magnification)(Z)


def descends(subproblem: Subproblem, Z: Tensor, reference: Tensor) -> bool:
    """(7b): Q(Z) <= Q(reference), up to the rounding error of the comparison."""
    change, rounding, _ = subproblem.change_per_unit(Z, reference)
    return bool(change <= rounding)


def certainly_descends(subproblem: Subproblem, Z: Tensor, member: Tensor, reference: Tensor) -> bool:
    """Whether ``member`` of dQ(Z) alone proves (7b), psi convex; False leaves the question open.

    ``Q(W) - Q(Z) >= <member, W - Z> + 1/2<W - Z, D*(W - Z)>``: psi lies above its tangent and the quadratic part is its
    own expansion. No psi is evaluated, which for the nuclear norm saves two decompositions. The rounding of the member
    and of Z, ``rounding_floor``, is taken off. Both sides are divided by ||W - Z||, which leaves the range of B.
    """
    move = reference.double() - Z
    length = norm(move)
    if length == 0:
        return True
    move /= length
    slope = torch.addcmul(member.double(), subproblem.D.double(), move, value=0.5 * length)
    gain = float(torch.dot(slope.flatten(), move.flatten()))
    return gain * subproblem.scale >= rounding_floor(subproblem, Z)


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
        return float(self.tolerance * unit * step**-self.power)

    @property
    def sum_of_squares(self) -> float:
        """An upper bound on sum (eps_t / unit)^2: tolerance^2 * (1 + 1/(2 power - 1))."""
        return self.tolerance**2 * (1 + 1 / (2 * self.power - 1))
