"""The subproblem, the one object that the library stands on."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from solvers import validate
from solvers.regularizers.base import offers, require_regularizer


@dataclass(frozen=True)
class Subproblem:
    """``min over Z of Q(Z) = 1/2<Z, D*Z> - <B, Z> + lam * psi(Z)``, D > 0 and "*" elementwise.

    The proximal operator of ``lam*psi`` in the metric D at the centre B/D. B and D have one shape, floating-point dtype
    and device; ``lam`` >= 0 is a number or a 0-d tensor. ``scale`` says by how much the problem was divided: residuals
    and objectives are reported for the undivided problem (the paper's Algorithm 1 hands PG the problem over alpha_t,
    while criterion (7) speaks of Q_t).

    Raises TypeError or ValueError on arguments that do not fit together. Entries are looked at by ``check_values``,
    which the public ``solve`` calls; the optimizers, whose gradients are checked already, leave it out.
    """

    B: Tensor
    D: Tensor
    lam: Any
    regularizer: Any
    scale: float = 1.0

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
        """Raise ValueError unless B is finite, D finite and > 0 and lam >= 0. Synchronises with the device."""
        validate.finite("B", self.B)
        validate.finite("D", self.D)
        if not bool((self.D > 0).all()):
            raise ValueError(f"D must be > 0 everywhere, got a smallest entry of {float(self.D.min()):g}")
        validate.nonnegative("lam", float(self.lam))

    @property
    def convex(self) -> bool:
        """Whether psi says that it is convex; Q is then strongly convex with modulus min D."""
        return offers(self.regularizer, "convex")

    def divided_by(self, factor: float) -> "Subproblem":
        """The same problem with Q divided by ``factor`` > 0. Solution and reported residuals do not change."""
        validate.positive("factor", factor)
        return replace(self, B=self.B / factor, D=self.D / factor, lam=self.lam / factor, scale=self.scale * factor)

    def gradient(self, Z: Tensor) -> Tensor:
        """Gradient of the smooth part, ``D*Z - B``."""
        return torch.addcmul(-self.B, self.D, Z)

    def prox(self, w: Tensor, theta: Any) -> Tensor:
        """``prox of theta*lam*psi``. (The paper's Algorithm 2 writes prox_psi and means this.)"""
        step = theta * self.lam
        # A regularizer is promised a positive step; at zero the prox is the identity.
        if not isinstance(step, Tensor) and step == 0:
            return w
        return self.regularizer.prox(w, step)

    def step_lipschitz(self, step_rule: str = "block") -> Tensor:
        """L, the largest entry of D: one number ("global"), or one per block of a regularizer that separates
        ("block").
        """
        validate.one_of("step_rule", step_rule, ("block", "global"))
        if step_rule == "block" and offers(self.regularizer, "blockwise_max"):
            return self.regularizer.blockwise_max(self.D)
        if step_rule == "block" and offers(self.regularizer, "separable"):
            return self.D
        return self.D.amax()

    def objective(self, Z: Tensor) -> Tensor:
        """Q(Z) as a 0-d float64 tensor, in the units of the undivided problem."""
        z = Z.double()
        smooth = torch.sum(z * (0.5 * self.D.double() * z - self.B.double()))
        return (smooth + self.lam * self.regularizer.value(z)) * self.scale

    def objective_change(self, Z: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
        """``Q(Z) - Q(reference)`` in float64 and a bound on its rounding error, in the units of the undivided problem.

        The quadratic part is taken as ``<Z - W, D*(Z + W)/2 - B>``, which does not cancel where Z is close to W.
        """
        z, w = Z.double(), reference.double()
        terms = (z - w) * (0.5 * self.D.double() * (z + w) - self.B.double())
        psi = self.lam * torch.stack([self.regularizer.value(z), self.regularizer.value(w)])
        change = terms.sum() + psi[0] - psi[1]
        # An infinite psi (a constraint that is violated) is not subject to rounding.
        sizes = terms.abs().sum() + psi.abs().nan_to_num(posinf=0.0).sum()
        rounding = 32 * torch.finfo(torch.float64).eps * sizes
        return change * self.scale, rounding * self.scale
