"""ProxSGD with momentum and a unit step (Yang et al., ICLR 2020)."""

from typing import Any

import torch
from torch import Tensor

from solvers import validate
from solvers.kernels import Recurrence
from solvers.optimizers.base import Group, NormalForm, State, StructuredOptimizer


class ProxSGD(StructuredOptimizer):
    """Proximal stochastic gradient with momentum.

    ``m = (1-momentum)*m + momentum*G`` from m = 0 (the share of the *new* gradient; 1 means no momentum), then W
    minimises ``1/2||Z||^2 - <W - lr*m, Z> + lr*psi(Z)``: the normal form of the method times lr, so that lr = 0 is
    allowed.

    Arguments:
        lr: >= 0. momentum: in (0, 1]. regularizer and **options: as for RAMDA.
    """

    recurrence = Recurrence("proxsgd", ("momentum_buffer",))

    def __init__(
        self, params: Any, lr: float = 1e-1, momentum: float = 1e-1, regularizer: Any = None, **options: Any
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "regularizer": regularizer}, **options)

    def check_group(self, group: Group) -> None:
        validate.nonnegative("lr", group["lr"])
        validate.in_interval("momentum", group["momentum"], 0.0, 1.0, open_low=True)

    def new_state(self, point: Tensor, group: Group) -> State:
        return {"momentum_buffer": torch.zeros_like(point)}

    def accumulate(self, gradient: Tensor, state: State, group: Group) -> None:
        state["momentum_buffer"].mul_(1 - group["momentum"]).add_(gradient, alpha=group["momentum"])

    def normal_form(self, point: Tensor, state: State, group: Group) -> NormalForm:
        B = torch.sub(point, state["momentum_buffer"], alpha=group["lr"])
        return NormalForm(B, B.new_ones(()).expand_as(B), group["lr"])

    def coefficients(self, step: Any, group: Group) -> tuple[Any, ...]:
        return group["momentum"], group["lr"]
