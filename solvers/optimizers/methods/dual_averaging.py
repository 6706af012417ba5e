"""What RAMDA and RMDA share: step-weighted sums from an initial point, averaging, stages."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from solvers import validate
from solvers.optimizers.base import Group, State, StructuredOptimizer


class DualAveraging(StructuredOptimizer):
    """At step t: ``s = lr*sqrt(t)``, ``weight_sum += s``, ``grad_sum += s*G`` (the paper's alpha and V).

    The subproblem of every step starts from ``initial_point`` (W0), and ``W = (1-c)*W + c*Ŵ`` with c = ``momentum``,
    the share of the *new* point.
    """

    averages = True

    def check_group(self, group: Group) -> None:
        validate.nonnegative("lr", group["lr"])
        validate.in_interval("momentum", group["momentum"], 0.0, 1.0, open_low=True)

    def new_state(self, point: Tensor, group: Group) -> State:
        return {
            "weight_sum": torch.zeros((), dtype=torch.float64),
            "unit": torch.zeros((), dtype=torch.float64),
            "initial_point": point.clone(),
            "grad_sum": torch.zeros_like(point),
        }

    def advance(self, states: Sequence[State], group: Group) -> None:
        """Adds the step's weight to the weight sums; the first one is the unit of eps_t."""
        super().advance(states, group)
        sums, units = ([state[key] for state in states] for key in ("weight_sum", "unit"))
        step = torch.stack([state["step"] for state in states]).double()
        weight = self.step_weight(step, group) + torch.zeros_like(step)  # it may be one number for all steps
        # Counters on a GPU are not looked at; elsewhere most often all parameters have made as many steps.
        if step.is_cpu and (step == step[0]).all():
            torch._foreach_add_(sums, float(weight[0]))
        else:
            torch._foreach_add_(sums, list(weight.unbind()))
        if not step.is_cpu or (step == 1).any():
            torch._foreach_copy_(units, list(torch.where(step == 1, weight, torch.stack(units)).unbind()))

    def step_weight(self, step: Any, group: Group) -> Any:
        """``s_t = lr * sqrt(t)``."""
        return group["lr"] * step**0.5

    def psi_weight(self, state: State, group: Group) -> Any:
        return state["weight_sum"]

    def unit(self, state: State, group: Group) -> float:
        return float(state["unit"])

    def averaging(self, group: Group) -> float:
        return group["momentum"]

    def mix(self, point: Tensor, structured: Tensor, group: Group) -> Tensor:
        c = self.averaging(group)
        # W = (1-c)*W + c*Ŵ; at c = 1 exactly Ŵ, so that W inherits the structure bit for bit.
        return structured if c == 1.0 else point.mul_(1 - c).add_(structured, alpha=c)

    @torch.no_grad()
    def restart(self, gamma: float = 1.0) -> None:
        """Enter the next stage (paper, appendix A.1): lr and eps times ``gamma``, W0 the current W, t and sums zero."""
        super().restart(gamma)
        for group in self.param_groups:
            if "eps" in group:
                group["eps"] *= gamma
            for param in group["params"]:
                for key, value in self.state.get(param, {}).items():
                    if key == "initial_point":
                        value.copy_(param.detach())
                    else:
                        value.zero_()

    def ramp_momentum(self, initial: list[float], stage_step: int) -> None:
        """``c_i = min(c*sqrt(i), 1)`` for step i of the last stage."""
        for group, momentum in zip(self.param_groups, initial, strict=True):
            group["momentum"] = min(momentum * stage_step**0.5, 1.0)
