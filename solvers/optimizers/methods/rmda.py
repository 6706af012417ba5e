"""RMDA: regularized modernized dual averaging (Huang and Lee, ICLR 2022, arXiv 2112.02612)."""

from typing import Any

import torch
from torch import Tensor

from solvers.kernels import Recurrence
from solvers.optimizers.base import Group, NormalForm, State
from solvers.optimizers.methods.dual_averaging import DualAveraging


class RMDA(DualAveraging):
    """Regularized modernized dual averaging: RAMDA with the scalar preconditioner ``beta = sqrt(t)``.

    ``s = lr*sqrt(t)``, ``alpha += s``, ``V += s*G``; Ŵ minimises ``beta/2||Z||^2 - <beta*W0 - V, Z> +
    alpha*psi(Z)``; ``W = (1-c)*W + c*Ŵ``. Arguments as for RAMDA, without ``eps``.
    """

    recurrence = Recurrence("rmda", ("initial_point", "grad_sum"))

    def __init__(
        self, params: Any, lr: float = 1e-1, momentum: float = 1e-1, regularizer: Any = None, **options: Any
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "regularizer": regularizer}, **options)

    def accumulate(self, gradient: Tensor, state: State, group: Group) -> None:
        state["grad_sum"].add_(gradient, alpha=self.step_weight(int(state["step"]), group))

    def normal_form(self, point: Tensor, state: State, group: Group) -> NormalForm:
        beta = int(state["step"]) ** 0.5
        B = torch.sub(beta * state["initial_point"], state["grad_sum"])
        return NormalForm(B, B.new_tensor(beta).expand_as(B), float(self.psi_weight(state, group)))

    def coefficients(self, step: Any, group: Group) -> tuple[Any, ...]:
        return self.step_weight(step, group), step**0.5
