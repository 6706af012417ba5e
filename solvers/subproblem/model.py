"""The subproblem, the one object that the library stands on."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from solvers import validate
from solvers.regularizers.base import offers, require_regularizer
from solvers.regularizers.members import ProxWithDerivative, Scalar
from solvers.subproblem.numbers import NumbersOfOne
from solvers.subproblem.problems import Problems
from solvers.subproblem.scale_free import is_batched, is_finite, unit


@dataclass(frozen=True)
class Subproblem(NumbersOfOne, Problems):
    """``min over Z of Q(Z) = 1/2<Z, D*Z> - <B, Z> + lam * psi(Z)``, D > 0 and "*" elementwise.

    The solution is the proximal operator of ``lam*psi`` in the metric D at the centre B/D. ``check_values`` looks at
    the entries. The public ``solve`` calls it; the optimizers, whose gradients are checked already, leave it out.

    Arguments:
        B: a floating-point tensor of a shape on which psi is defined.
        D: of the shape, dtype and device of B, > 0.
        lam: a finite number >= 0, or a 0-d tensor.
        regularizer: psi.
        scale: > 0, by how much the problem was divided: residuals and objectives are reported for the undivided problem
            (the paper's Algorithm 1 hands PG the problem over alpha_t, while criterion (7) speaks of Q_t).

    Raises:
        TypeError or ValueError: the arguments do not fit together, or one is none of these.
    """

    lead = 0

    def __post_init__(self) -> None:
        validate.floating_tensor("B", self.B)
        validate.floating_tensor("D", self.D)
        validate.same_kind("D", self.D, "B", self.B)
        if not isinstance(self.lam, Tensor):
            validate.nonnegative("lam", self.lam)
        validate.positive("scale", self.scale)
        require_regularizer("regularizer", self.regularizer)
        if offers(self.regularizer, "check_shape"):
            self.regularizer.check_shape(self.B.shape)

    def check_values(self) -> None:
        """Refuse values outside their range. Synchronises with the device.

        Raises:
            ValueError: B or D has a NaN or an infinity, D an entry <= 0, or lam is negative.
        """
        super().check_values()
        validate.nonnegative("lam", float(self.lam))

    def divided_by(self, factor: float) -> "Subproblem":
        """The same problem with Q divided by ``factor``. Solution and reported residuals do not change.

        Arguments:
            factor: a finite number > 0.

        Returns:
            A Subproblem, whose ``scale`` is multiplied by the factor.

        Raises:
            ValueError or TypeError: ``factor`` is none.
        """
        validate.positive("factor", factor)
        return replace(self, B=self.B / factor, D=self.D / factor, lam=self.lam / factor, scale=self.scale * factor)

    def prox(self, w: Tensor, theta: Scalar) -> Tensor:
        """``prox of theta*lam*psi``. (The paper's Algorithm 2 writes prox_psi and means this.)

        A regularizer is promised a finite ``w`` and a finite positive step. At lam = 0 the prox is the identity. A step
        that underflows is taken at the smallest normal number: a constraint holds at any step > 0, however small. Where
        ``w`` or the step has left the range of its dtype the result is NaN, which ends a solve as NON_FINITE: the prox
        of an infinity may well be a finite number, and that number means nothing.

        Arguments:
            w: of the kind of B.
            theta: a number > 0, a 0-d tensor, or one that broadcasts to B where psi separates.

        Returns:
            A tensor of the kind of B.
        """
        step = theta * self.lam
        if isinstance(step, Tensor):
            if is_batched(w, step):
                return self._prox_of_many(w, step)
            low, high = (float(bound) for bound in step.aminmax())
            # A prox that leaves torch (numpy, math) takes a number as it comes, and a tensor not.
            step = low if step.ndim == 0 else step
        else:
            low = high = float(step)
        if not (is_finite(w) and math.isfinite(high)):
            return torch.full_like(w, torch.nan)
        if low > 0:
            return self.regularizer.prox(w, step)
        if float(self.lam) == 0:
            return w
        least = torch.finfo(w.dtype).tiny
        return self.regularizer.prox(w, torch.where(step > 0, step, least) if isinstance(step, Tensor) else least)

    def prox_with_derivative(self, w: Tensor, step: float) -> ProxWithDerivative | None:
        """The prox of step*psi at ``w`` with its derivative; None where the regularizer does not offer it, or where
        ``w`` or the step is out of range.

        Arguments:
            w: of the kind of B.
            step: a number > 0.

        Returns:
            The prox with its derivative, or None.
        """
        regularizer = self.regularizer
        if not offers(regularizer, "prox_with_derivative") or not (is_finite(w) and 0 < step < math.inf):
            return None
        return regularizer.prox_with_derivative(w, step)

    def _prox_of_many(self, w: Tensor, step: Tensor) -> Tensor:
        """``prox`` under ``torch.vmap``, where no number may be read."""
        usable = torch.isfinite(w).all() & torch.isfinite(step).all()
        least = torch.finfo(w.dtype).tiny
        found = self.regularizer.prox(torch.where(usable, w, 0.0), torch.where(usable & (step > 0), step, least))
        # As tensors under vmap, lam and the step would widen a narrow dtype.
        return torch.where(usable, torch.where(torch.as_tensor(self.lam) > 0, found, w), torch.nan).to(w.dtype)

    def step_lipschitz(self, step_rule: str = "block") -> Tensor:
        """L, the largest entry of D: one number, or one per block of a regularizer that separates.

        Arguments:
            step_rule: "global" or "block".

        Returns:
            A 0-d tensor, or one that broadcasts to D.

        Raises:
            ValueError: ``step_rule`` is none of the two.
        """
        validate.one_of("step_rule", step_rule, ("block", "global"))
        if step_rule == "block" and offers(self.regularizer, "blockwise_max"):
            return self.regularizer.blockwise_max(self.D)
        if step_rule == "block" and offers(self.regularizer, "separable"):
            return self.D
        return self.D.amax()

    def objective(self, Z: Tensor) -> Tensor:
        """Q(Z), in the units of the undivided problem.

        Arguments:
            Z: of the kind of B.

        Returns:
            A 0-d float64 tensor.
        """
        z = Z.double()
        size = unit(z)
        smooth = torch.sum((z / size) * (0.5 * self.D.double() * z - self.B.double()))
        return (smooth + self._price(self.regularizer.value(z), size)) * self.scale * size

    def objective_change(self, Z: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
        """``Q(Z) - Q(reference)`` of the undivided problem.

        Arguments:
            Z, reference: of the kind of B.

        Returns:
            The change and a bound on its rounding error, 0-d float64 tensors.
        """
        change, rounding, size = self.change_per_unit(Z, reference)
        return change * self.scale * size, rounding * self.scale * size

    def change_per_unit(self, Z: Tensor, reference: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``objective_change`` divided by the third number, the largest magnitude in both points: it has the range of
        B, where Q itself, of the size of B*B/D, may be too small or too large for float64.

        The quadratic part is taken as ``<Z - W, D*(Z + W)/2 - B>``, which does not cancel where Z is close to W.

        Arguments:
            Z, reference: of the kind of B.

        Returns:
            The change, the bound and the unit, 0-d float64 tensors.
        """
        z, w = Z.double(), reference.double()
        size = unit(z, w)
        terms = ((z - w) / size) * (0.5 * self.D.double() * (z + w) - self.B.double())
        psi = torch.stack([self._price(self.regularizer.value(point), size) for point in (z, w)])
        change = terms.sum() + psi[0] - psi[1]
        # An infinite psi (a constraint that is violated) is not subject to rounding.
        sizes = terms.abs().sum() + psi.abs().nan_to_num(posinf=0.0).sum()
        return change, 32 * torch.finfo(torch.float64).eps * sizes, size

    def _price(self, value: Tensor, size: Tensor) -> Tensor:
        """``lam * psi / size``; zero at lam = 0, also where psi is infinite."""
        if not isinstance(self.lam, Tensor):
            return value / size * self.lam if self.lam > 0 else torch.zeros_like(size)
        return torch.where(self.lam > 0, value / size * self.lam, 0.0)
