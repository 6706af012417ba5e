"""The part that RAMDA and RMDA share: step-weighted sums from an initial point, averaging, stages."""

import torch
from torch import Tensor

from solvers.optimizers.base import StructuredOptimizer
from solvers.optimizers.method import Counters, Group, State
from solvers.optimizers.parameter_group import INITIAL_MOMENTUM, set_momentum
from solvers.optimizers.saving import INNER
from solvers.optimizers.warm_start import blank
from solvers.regularizers.members import Scalar

#: How often, the paper's alpha, and the largest lr so far, which scales eps_t.
COUNTERS = ("step", "weight_sum", "unit")


class DualAveraging(StructuredOptimizer):
    """At step t: ``s = lr*sqrt(t)``, ``weight_sum += s``, ``grad_sum += s*G`` (the paper's alpha and V).

    The subproblem of every step starts from ``initial_point`` (W0), and ``W = (1-c)*W + c*Ŵ`` with c = ``momentum``,
    the share of the *new* point. A step at lr = 0 has weight zero and is not counted: t stands still.
    """

    def new_state(self, point: Tensor, group: Group) -> State:
        return {"initial_point": point, "grad_sum": torch.zeros_like(point)}

    def counted(self, counters: Counters, group: Group) -> Counters:
        """Adds the step's weight to the weight sum; the unit is the largest lr so far, s_1 where lr is constant."""
        rate, unit = group["lr"], counters["unit"]
        if not isinstance(unit, Tensor) and rate == 0:
            return counters
        step = counters["step"] + 1
        weight = counters["weight_sum"] + self.step_weight(step, group)
        largest = unit.clamp_min(rate) if isinstance(unit, Tensor) else max(unit, rate)
        return {"step": step, "weight_sum": weight, "unit": largest}

    def step_weight(self, step: Scalar, group: Group) -> Scalar:
        """``s_t = lr * sqrt(t)``."""
        weight: Scalar = group["lr"] * step**0.5
        return weight

    def psi_weight(self, counters: Counters, group: Group) -> Scalar:
        return counters["weight_sum"]

    def unit(self, counters: Counters, group: Group) -> float:
        return float(counters["unit"])

    def averaging(self, group: Group) -> Scalar:
        share: Scalar = group["momentum"]
        return share

    def added_decay(self, counters: Counters, group: Group) -> Scalar:
        """``alpha * weight_decay``, what the decay adds to every entry of D. (The paper has no weight decay.)

        W is an average of points that the sums determine, so shrinking W itself would be forgotten; the proximal form
        of the decay, ``alpha * weight_decay/2 * ||Z||^2`` in the subproblem, is not.
        """
        decay: Scalar = counters["weight_sum"] * group["weight_decay"]
        return decay

    def mix(self, point: Tensor, structured: Tensor, group: Group) -> Tensor:
        c = float(self.averaging(group))
        # W = (1-c)*W + c*Ŵ; at c = 1 exactly Ŵ, so that W inherits the structure bit for bit.
        return structured if c == 1.0 else point.mul_(1 - c).add_(structured, alpha=c)

    def restart(self, gamma: float = 1.0) -> None:
        """Enter the next stage (paper, appendix A.1): lr and eps times ``gamma``, W0 the current W, t and sums zero."""
        super().restart(gamma)
        for group in self.param_groups:
            if "eps" in group:
                group["eps"] *= float(gamma)
            for param in group["params"]:
                state = self.state.get(param, {})
                for key in state:
                    if key == "initial_point":
                        state[key].copy_(param.detach())
                    elif not key.startswith(INNER):
                        state[key].zero_()
                blank(state)

    def ramp_momentum(self, stage_step: int) -> None:
        """``c_i = min(c*sqrt(i), 1)`` for step i of the last stage, c the momentum that the group had at first."""
        for group in self.param_groups:
            momentum = group.get(INITIAL_MOMENTUM)
            if momentum is None:
                momentum = group[INITIAL_MOMENTUM] = group["momentum"]
            set_momentum(group, min(float(momentum) * stage_step**0.5, 1.0))
