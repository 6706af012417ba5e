"""The implementable inexactness criterion (paper, eq. 7 and 8): certificates, their floor in rounding, and eps_t.

Ŵ^t is accepted when (7a) some s in dQ_t(Ŵ^t) has ||s|| <= eps_t and (7b) Q_t(Ŵ^t) <= Q_t(W^{t-1}), with
sum eps_t^2 < infinity (8). Q_t carries the weight alpha_t on psi; the residual of a problem that was divided by
alpha_t is multiplied by alpha_t here, in ``residual_norm``, and nowhere else.
"""

import math
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import Tensor

from solvers import validate
from solvers.regularizers.base import offers
from solvers.regularizers.members import HasSubgradientResidual, Scalar
from solvers.subproblem.model import Subproblem
from solvers.subproblem.per_problem import Flag, Number, PerProblem, all_of, where
from solvers.subproblem.problems import Problems
from solvers.subproblem.scale_free import is_batched, is_finite, times


def residual_norm(problems: Problems, member: Tensor) -> Number:
    """Norm of a member of the subdifferential, in the units of the undivided problem Q_t.

    Infinite where it exceeds the largest float64, which no tolerance accepts; zero only where every entry is.
    """
    return times(problems.norm(member), problems.scale)


def exact_member(problems: Problems, Z: Tensor) -> Tensor | None:
    """The minimum-norm member of dQ(Z), or None where the regularizer does not offer it.

    Infinite where D*Z - B is out of range: a regularizer is promised finite tensors.
    """
    if not offers(problems.regularizer, "subgradient_residual"):
        return None
    found: Tensor = problems.each(_minimum_norm_member, Z)
    return found


def _minimum_norm_member(subproblem: Subproblem, Z: Tensor) -> Tensor:
    slope, exact = subproblem.gradient(Z), cast(HasSubgradientResidual, subproblem.regularizer).subgradient_residual
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


class RoundingFloor(PerProblem):
    """Residual that rounding alone can leave at a point, in the units of the undivided problem.

    ``16 eps (||B|| + ||M*Z||)`` with M = ``magnification``: D*Z - B is a difference of numbers of these two sizes. The
    entries of a direct solution are accurate one by one: M = D. A proximal gradient step rounds all of Z relative to
    its largest entries and divides by its step size: M = L, the default. Numbers below the smallest normal one are
    rounded as if they were that large.
    """

    def __init__(self, problems: Problems, magnification: Tensor | None = None) -> None:
        M = problems.step_lipschitz() if magnification is None else magnification
        info, largest = torch.finfo(problems.B.dtype), problems.largest(M)
        self._problems, self._by_entry = problems, M.ndim > problems.lead
        self._magnification = M if self._by_entry else largest
        self._size = problems.norm(problems.B) + info.tiny * math.sqrt(problems.entries) * (1 + largest)
        self._share, self._scale = 16 * info.eps, problems.scale

    def __call__(self, Z: Tensor) -> Number:
        level = self._share * (self._size + self._magnified(Z))
        finite = level < math.inf
        if not all_of(finite):
            # A sixteenth of a rounding of what is out of range may well be in range.
            level = where(finite, level, self._share * self._size + self._magnified(self._share * Z.double()))
        return times(level, self._scale)

    def _magnified(self, Z: Tensor) -> Number:
        """||M*Z||."""
        M = self._magnification
        return self._problems.norm(M * Z) if self._by_entry else M * self._problems.norm(Z)


def rounding_floor(problems: Problems, Z: Tensor, magnification: Tensor | None = None) -> Number:
    """``RoundingFloor`` at one point of each problem."""
    return RoundingFloor(problems, magnification)(Z)


def descends(problems: Problems, Z: Tensor, reference: Tensor) -> Flag:
    """(7b): Q(Z) <= Q(reference), up to the rounding error of the comparison."""
    change, rounding, _ = problems.each(_change_per_unit, Z, reference)
    return problems.read(change <= rounding)


def lower(problems: Problems, Z: Tensor, other: Tensor) -> Flag:
    """Whether Q(Z) < Q(other)."""
    return problems.read(problems.each(_change_per_unit, Z, other)[0] < 0)


def _change_per_unit(subproblem: Subproblem, Z: Tensor, reference: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return subproblem.change_per_unit(Z, reference)


def certainly_descends(problems: Problems, Z: Tensor, member: Tensor, reference: Tensor) -> Flag:
    """Whether ``member`` of dQ(Z) alone proves (7b), psi convex; False leaves the question open.

    ``Q(W) - Q(Z) >= <member, W - Z> + 1/2<W - Z, D*(W - Z)>``: psi lies above its tangent and the quadratic part is its
    own expansion. No psi is evaluated, which for the nuclear norm saves two decompositions. The rounding of the member
    and of Z, ``rounding_floor``, is taken off. Both sides are divided by ||W - Z||, which leaves the range of B.
    """
    move = reference.double() - Z
    length = problems.norm(move)
    at_rest = length == 0
    move = move / problems.along(where(at_rest, 1.0, length), move)
    slope = torch.addcmul(member.double(), problems.D.double(), move * problems.along(0.5 * length, move))
    gain = problems.sum(slope * move)
    return at_rest | (gain * problems.scale >= rounding_floor(problems, Z))


class Schedule(Protocol):
    """eps_t as a function of the step t = 1, 2, ... and of the weight of psi in Q_1.

    With this unit a schedule needs no knowledge of the method: eps_t = unit * (a dimensionless rule).
    """

    def __call__(self, step: int, unit: float) -> float: ...


@dataclass(frozen=True)
class PowerSchedule:
    """``eps_t = tolerance * unit * t^(-power)``; power > 1/2 makes sum eps_t^2 finite, which (8) demands.

    ``unit`` is alpha_1 for the dual averaging methods and the step size for the others, so that ``tolerance`` is the
    residual allowed at the first step in the units of a gradient of f.

    Arguments:
        tolerance: a finite number > 0.
        power: a number > 1/2.

    Raises:
        ValueError or TypeError: an argument is none of these.
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


def best_residual(problems: Problems, member: Tensor, point: Tensor, level: Number) -> Number:
    """The residual of the exact minimum-norm subgradient, where there is one, else that of the certificate; and the
    certificate's where the exact one is larger by more than the rounding ``level``.

    The exact one is the smaller one but for rounding: a singular value barely above zero leaves its singular vectors,
    and with them the subdifferential at the rounded point, undetermined, while the certificate of the step stays
    accurate. A certificate in turn does not see that the point was rounded, and may be zero where that is not.
    """
    return smaller_residual(problems, residual_norm(problems, member), point, level)


def smaller_residual(problems: Problems, certificate: Number, point: Tensor, level: Number) -> Number:
    """``best_residual``, given the residual of the certificate."""
    exact = exact_member(problems, point)
    if exact is None:
        return certificate
    minimal = residual_norm(problems, exact)
    return where((certificate + level < minimal) | (minimal != minimal), certificate, minimal)
