"""RMDA: regularized modernized dual averaging (Huang and Lee, ICLR 2022, arXiv 2112.02612)."""

from functools import partial
from typing import Unpack

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from solvers import validate
from solvers.kernels import Recurrence
from solvers.optimizers.method import Counters, Group, MethodRecord, NormalForm, State
from solvers.optimizers.methods.dual_averaging import COUNTERS, DualAveraging
from solvers.optimizers.options import CommonOptions
from solvers.regularizers.members import Regularizer, Scalar


class RMDA(DualAveraging):
    """Regularized modernized dual averaging: RAMDA with the scalar preconditioner ``beta = sqrt(t)``.

    ``s = lr*sqrt(t)``, ``alpha += s``, ``V += s*G``; Ŵ minimises ``beta/2||Z||^2 - <beta*W0 - V, Z> +
    alpha*psi(Z)``; ``W = (1-c)*W + c*Ŵ``.

    Arguments:
        params: tensors, named tensors or parameter groups, which may set any of the hyperparameters below.
        lr: >= 0.
        momentum: c in (0, 1], the share of Ŵ; 1 means no averaging.
        regularizer: psi of groups that name none; None means psi = 0.
        **options: see StructuredOptimizer.

    Raises:
        ValueError or TypeError: an argument, or a setting of a group, is not allowed.
    """

    record = MethodRecord(
        name="rmda",
        reference="Huang and Lee, ICLR 2022, arXiv 2112.02612",
        hyperparameters={
            "lr": validate.nonnegative,
            "momentum": partial(validate.in_interval, low=0.0, high=1.0, open_low=True),
        },
        state=("initial_point", "grad_sum"),
        counters=COUNTERS,
        recurrence=Recurrence("rmda", ("initial_point", "grad_sum"), coefficients=3),
        averages=True,
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-1,
        momentum: float = 1e-1,
        regularizer: Regularizer | None = None,
        **options: Unpack[CommonOptions],
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "regularizer": regularizer}, **options)

    def accumulate(self, gradient: Tensor, state: State, group: Group) -> None:
        state["grad_sum"].add_(gradient, alpha=float(self.step_weight(int(state["step"]), group)))

    def normal_form(self, point: Tensor, state: State, group: Group) -> NormalForm:
        # B = beta*W0 - V; a weight decay adds alpha*weight_decay to D.
        beta = int(state["step"]) ** 0.5
        B = torch.sub(beta * state["initial_point"], state["grad_sum"])
        D = B.new_tensor(beta + float(self.added_decay(state, group))).expand_as(B)
        return NormalForm(B, D, float(self.psi_weight(state, group)))

    def coefficients(self, counters: Counters, group: Group) -> tuple[Scalar, ...]:
        step = counters["step"]
        return self.step_weight(step, group), step**0.5, self.added_decay(counters, group)
