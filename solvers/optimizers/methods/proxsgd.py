"""ProxSGD with momentum and a unit step (Yang et al., ICLR 2020)."""

from functools import partial
from typing import Unpack

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from solvers import validate
from solvers.kernels import Recurrence
from solvers.optimizers.base import StructuredOptimizer
from solvers.optimizers.method import Counters, Group, MethodRecord, NormalForm, State
from solvers.optimizers.options import CommonOptions
from solvers.regularizers.members import Regularizer, Scalar


class ProxSGD(StructuredOptimizer):
    """Proximal stochastic gradient with momentum.

    ``m = (1-momentum)*m + momentum*G`` from m = 0 (the share of the *new* gradient; 1 means no momentum), then W
    minimises ``1/2||Z||^2 - <W - lr*m, Z> + lr*psi(Z)``: the normal form of the method times lr, so that lr = 0 is
    allowed.

    Arguments:
        params: tensors, named tensors or parameter groups, which may set any of the hyperparameters below.
        lr: >= 0.
        momentum: in (0, 1], the share of the new gradient.
        regularizer: psi of groups that name none; None means psi = 0.
        **options: see StructuredOptimizer.

    Raises:
        ValueError or TypeError: an argument, or a setting of a group, is not allowed.
    """

    record = MethodRecord(
        name="proxsgd",
        reference="Yang et al., ICLR 2020",
        hyperparameters={
            "lr": validate.nonnegative,
            "momentum": partial(validate.in_interval, low=0.0, high=1.0, open_low=True),
        },
        state=("momentum_buffer",),
        recurrence=Recurrence("proxsgd", ("momentum_buffer",), coefficients=3),
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

    def new_state(self, point: Tensor, group: Group) -> State:
        return {"momentum_buffer": torch.zeros_like(point)}

    def accumulate(self, gradient: Tensor, state: State, group: Group) -> None:
        state["momentum_buffer"].mul_(1 - group["momentum"]).add_(gradient, alpha=group["momentum"])

    def decayed(self, point: Tensor, group: Group) -> Tensor:
        decay = group["lr"] * group["weight_decay"]
        return point.mul_(1 - decay) if decay else point

    def normal_form(self, point: Tensor, state: State, group: Group) -> NormalForm:
        B = torch.sub(point, state["momentum_buffer"], alpha=group["lr"])
        return NormalForm(B, B.new_ones(()).expand_as(B), group["lr"])

    def coefficients(self, counters: Counters, group: Group) -> tuple[Scalar, ...]:
        return group["momentum"], group["lr"], 1 - group["lr"] * group["weight_decay"]
