"""ProxGen on the AdamW base (Yun, Lozano and Yang, NeurIPS 2021; Huang and Lee, 2024, Algorithm 3)."""

from typing import Unpack

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from solvers import validate
from solvers.kernels import Recurrence
from solvers.optimizers.base import StructuredOptimizer
from solvers.optimizers.method import Counters, Group, MethodRecord, NormalForm, State
from solvers.optimizers.options import StepOptions
from solvers.regularizers.members import Regularizer, Scalar


def check_betas(name: str, value: object) -> None:
    """Raise unless ``value`` is two numbers in [0, 1)."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise ValueError(f"{name} must be two numbers in [0, 1), got {value!r}")
    for index, beta in enumerate(value):
        validate.in_interval(f"{name}[{index}]", beta, 0.0, 1.0)
        if beta == 1.0:
            raise ValueError(f"{name}[{index}] must be in [0, 1), got {beta!r}")


class ProxGen(StructuredOptimizer):
    """AdamW whose step solves the regularized subproblem in its own preconditioner.

    Decoupled decay ``W = (1 - lr*weight_decay)*W`` first; ``m`` and ``v`` are Adam's averages, bias-corrected;
    ``P = sqrt(v) + eps``; W minimises ``1/2<Z,P*Z> - <P*W - lr*m, Z> + lr*psi(Z)``. With psi = 0 this is torch's AdamW.
    With a group LASSO it is ProxSSI (Deleu and Bengio, arXiv 2102.03869): the subproblem is solved exactly.

    Arguments:
        params: tensors, named tensors or parameter groups, which may set any of the hyperparameters below.
        lr: >= 0.
        betas: two numbers in [0, 1), the shares of the old averages in the new ones.
        eps: > 0, added to the preconditioner.
        weight_decay: >= 0, decoupled.
        amsgrad: whether to use the largest v so far in place of v (Reddi, Kale and Kumar, 2018).
        regularizer: psi of groups that name none; None means psi = 0.
        **options: see StructuredOptimizer.

    Raises:
        ValueError or TypeError: an argument, or a setting of a group, is not allowed.
    """

    record = MethodRecord(
        name="proxgen",
        reference="Yun, Lozano and Yang, NeurIPS 2021; Huang and Lee, NeurIPS 2024, Algorithm 3",
        hyperparameters={
            "lr": validate.nonnegative,
            "betas": check_betas,
            "eps": validate.positive,
            "amsgrad": validate.boolean,
        },
        state=("exp_avg", "exp_avg_sq"),
        optional_state=("max_exp_avg_sq",),
        recurrence=Recurrence("proxgen", ("exp_avg", "exp_avg_sq"), coefficients=7),
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        regularizer: Regularizer | None = None,
        **options: Unpack[StepOptions],
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "amsgrad": amsgrad,
            "regularizer": regularizer,
        }
        super().__init__(params, defaults, weight_decay=weight_decay, **options)

    def new_state(self, point: Tensor, group: Group) -> State:
        names = ["exp_avg", "exp_avg_sq", *(["max_exp_avg_sq"] if group["amsgrad"] else [])]
        return {name: torch.zeros_like(point) for name in names}

    def accumulate(self, gradient: Tensor, state: State, group: Group) -> None:
        beta1, beta2 = group["betas"]
        # m = beta1*m + (1-beta1)*G, v = beta2*v + (1-beta2)*G*G
        state["exp_avg"].lerp_(gradient, 1 - beta1)
        state["exp_avg_sq"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        if group["amsgrad"]:
            torch.maximum(state["max_exp_avg_sq"], state["exp_avg_sq"], out=state["max_exp_avg_sq"])

    def decayed(self, point: Tensor, group: Group) -> Tensor:
        return point.mul_(1 - group["lr"] * group["weight_decay"])

    def normal_form(self, point: Tensor, state: State, group: Group) -> NormalForm:
        beta1, beta2 = group["betas"]
        t = int(state["step"])
        v = state["max_exp_avg_sq"] if group["amsgrad"] else state["exp_avg_sq"]
        # P = sqrt(v / (1 - beta2^t)) + eps; B = P*W - lr*m / (1 - beta1^t)
        P = v.sqrt().div_((1 - beta2**t) ** 0.5).add_(group["eps"])
        B = (P * point).sub_(state["exp_avg"], alpha=group["lr"] / (1 - beta1**t))
        return NormalForm(B, P, group["lr"])

    def recurrence_of(self, group: Group) -> Recurrence | None:
        if self.recurrence is None or not group["amsgrad"]:
            return self.recurrence
        return Recurrence("proxgen_amsgrad", (*self.recurrence.state, "max_exp_avg_sq"), coefficients=7)

    def coefficients(self, counters: Counters, group: Group) -> tuple[Scalar, ...]:
        (beta1, beta2), step = group["betas"], counters["step"]
        rate = group["lr"] / (1 - beta1**step)
        return (
            1 - group["lr"] * group["weight_decay"],
            1 - beta1,
            beta2,
            1 - beta2,
            (1 - beta2**step) ** -0.5,
            group["eps"],
            rate,
        )
