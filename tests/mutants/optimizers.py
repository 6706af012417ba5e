"""Wrong optimizers: every line of the algorithms, broken once."""

from typing import Any

import torch

from ramda_verify.checks.optimizer import steps as checks
from solvers import RAMDA, RMDA, ProxGen, ProxSGD, Stages
from solvers.optimizers import StructuredOptimizer
from solvers.optimizers.method import NormalForm
from solvers.optimizers.saving import checked
from tests.mutants.mutant import Mutant, wrong_optimizer
from tests.mutants.patching import Patch, class_in, entry

STEP, PARENT, RELOAD, WHAT = "step-transcription", "parent-method", "save-and-continue", "structured-iterate"


def put_in(optimizer: str, wrong: Any) -> Patch:
    return entry(checks.CLASSES, optimizer, wrong)


class MomentumOfOldIterate(RAMDA):
    """c weighs the old iterate, as in MADGRAD."""

    def mix(self, point, structured, group):
        return group["momentum"] * point + (1 - group["momentum"]) * structured


class SquaresUnweighted(RAMDA):
    """U += G*G without s."""

    def accumulate(self, gradient, state, group):
        state["grad_sum"].add_(gradient, alpha=self.step_weight(int(state["step"]), group))
        state["grad_sq_sum"].addcmul_(gradient, gradient)


class SquareRoot(RAMDA):
    """P = sqrt(U) + eps."""

    def normal_form(self, point, state, group):
        P = state["grad_sq_sum"].sqrt() + group["eps"]
        return NormalForm(P * state["initial_point"] - state["grad_sum"], P, float(state["weight_sum"]))


class EpsInsideRoot(RAMDA):
    """P = cbrt(U + eps)."""

    def normal_form(self, point, state, group):
        P = (state["grad_sq_sum"] + group["eps"]) ** (1 / 3)
        return NormalForm(P * state["initial_point"] - state["grad_sum"], P, float(state["weight_sum"]))


class PsiWithoutAlpha(RAMDA):
    """lam = 1 in place of alpha_t."""

    def normal_form(self, point, state, group):
        return super().normal_form(point, state, group)._replace(lam=1.0)


class ConstantStepWeight(RAMDA):
    """s = lr in place of lr*sqrt(t)."""

    def step_weight(self, step, group):
        return group["lr"]


class StartsFromCurrentPoint(RAMDA):
    """B = P*W - V: the current point in place of W0 (the slip of Algorithm 1's index)."""

    def normal_form(self, point, state, group):
        B, D, lam = super().normal_form(point, state, group)
        return NormalForm(B + D * (point - state["initial_point"]), D, lam)


class RestartKeeps(RAMDA):
    """A restart leaves one entry of the state as it was."""

    kept = ""

    @torch.no_grad()
    def restart(self, gamma=1.0):
        before = {param: state[self.kept].clone() for param, state in self.state.items()}
        super().restart(gamma)
        for param, value in before.items():
            self.state[param][self.kept].copy_(value)


def keeping(entry: str) -> type[RAMDA]:
    return type(f"RestartKeeps_{entry}", (RestartKeeps,), {"kept": entry})


class EpsWithoutGamma(RAMDA):
    """A restart multiplies lr alone."""

    def restart(self, gamma=1.0):
        kept = [group["eps"] for group in self.param_groups]
        super().restart(gamma)
        for group, eps in zip(self.param_groups, kept, strict=True):
            group["eps"] = eps


class RateWithoutGamma(RMDA):
    """A restart leaves lr as it is."""

    def restart(self, gamma=1.0):
        super().restart(1.0)


class RampOffByOne(RMDA):
    """The ramp runs one step ahead."""

    def ramp_momentum(self, stage_step):
        super().ramp_momentum(stage_step + 1)


class NoRamp(RAMDA):
    """Momentum stays constant in the last stage."""

    def ramp_momentum(self, stage_step):
        pass


class RampInEveryStage(Stages):
    """The ramp begins in the first stage."""

    def _update_lr(self, epoch=None):
        super()._update_lr(epoch)
        if self.last_epoch > 0 and not self.in_last_stage:
            entered = max((milestone for milestone in self.milestones if milestone <= self.steps), default=0)
            self.optimizer.ramp_momentum(self.steps - entered + 1)


class LinearBeta(RMDA):
    """beta = t in place of sqrt(t)."""

    def normal_form(self, point, state, group):
        beta = float(state["step"])
        B = beta * state["initial_point"] - state["grad_sum"]
        return NormalForm(B, torch.full_like(B, beta), float(state["weight_sum"]))


class BufferUndampened(ProxSGD):
    """m = (1-c)*m + G."""

    def accumulate(self, gradient, state, group):
        state["momentum_buffer"].mul_(1 - group["momentum"]).add_(gradient)


class PsiWithoutRate(ProxSGD):
    """The weight of psi is 1 where the quadratic part was multiplied by lr."""

    def normal_form(self, point, state, group):
        return super().normal_form(point, state, group)._replace(lam=1.0)


class DecayAfterwards(ProxGen):
    """Weight decay after the step in place of before."""

    def decayed(self, point, group):
        return point

    def mix(self, point, structured, group):
        return structured * (1 - group["lr"] * group["weight_decay"])


class DecayCoupled(ProxGen):
    """Weight decay through the gradient, as in Adam."""

    def decayed(self, point, group):
        return point

    def step(self, closure=None):
        for group in self.param_groups:
            for param in group["params"]:
                param.grad = param.grad + group["weight_decay"] * param.detach()
        return super().step(closure)


class NoBiasCorrection(ProxGen):
    """m and v as they are."""

    def normal_form(self, point, state, group):
        P = state["exp_avg_sq"].sqrt() + group["eps"]
        return NormalForm(P * point - group["lr"] * state["exp_avg"], P, group["lr"])


class AmsgradIgnored(ProxGen):
    """The largest v is kept and not used."""

    def normal_form(self, point, state, group):
        return super().normal_form(point, state, {**group, "amsgrad": False})


class CastsOnLoad(RAMDA):
    """torch's loader alone: sums of 16-bit parameters lose their float32."""

    def load_state_dict(self, state_dict):
        saved = checked(state_dict, self.param_groups, self, self.defaults)
        torch.optim.Optimizer.load_state_dict(self, saved)


class Forgets(RAMDA):
    """Loading loses one entry of the state."""

    lost = ""

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        for state in self.state.values():
            state[self.lost].zero_()


def forgetting(entry: str) -> type[RAMDA]:
    return type(f"Forgets_{entry}", (Forgets,), {"lost": entry})


class ForgetsBuffer(ProxSGD):
    """Loading loses the momentum."""

    def load_state_dict(self, state_dict):
        super().load_state_dict({**state_dict, "state": {}})


class AverageForStructured(RAMDA):
    """structured_iterate returns W."""

    def structured_iterate(self):
        return {param: param.detach().clone() for group in self.param_groups for param in group["params"]}


class SwapNotRestored(RMDA):
    """What stays in the parameters."""

    def structured_iterate_swapped_in(self):
        context = super().structured_iterate_swapped_in()

        class Stays:
            def __enter__(self):
                return context.__enter__()

            def __exit__(self, *error):
                return None

        return Stays()


class FlushesTooMuch(ProxGen):
    """Everything below 1e-3 is flushed to zero, not only denormals."""

    def mix(self, point, structured, group):
        return torch.hardshrink(structured, 1e-3)


def _mutant(optimizer: str, wrong: type[StructuredOptimizer], *found_by: str) -> Mutant:
    return wrong_optimizer(wrong.__name__, put_in(optimizer, wrong), optimizer, *found_by)


MUTANTS = [
    _mutant("ramda", MomentumOfOldIterate, STEP, PARENT),
    _mutant("ramda", SquaresUnweighted, STEP, PARENT),
    _mutant("ramda", SquareRoot, STEP, PARENT),
    _mutant("ramda", EpsInsideRoot, STEP, PARENT),
    _mutant("ramda", PsiWithoutAlpha, STEP, "step-transcription-iterative"),
    _mutant("ramda", ConstantStepWeight, STEP, PARENT),
    _mutant("ramda", StartsFromCurrentPoint, STEP, PARENT),
    *(_mutant("ramda", keeping(e), STEP) for e in ("initial_point", "grad_sum", "grad_sq_sum", "weight_sum", "step")),
    _mutant("ramda", EpsWithoutGamma, STEP),
    _mutant("rmda", RateWithoutGamma, STEP),
    _mutant("rmda", RampOffByOne, STEP),
    _mutant("ramda", NoRamp, STEP),
    wrong_optimizer("RampInEveryStage", class_in(checks, Stages, RampInEveryStage), "ramda", STEP),
    _mutant("rmda", LinearBeta, STEP, PARENT, WHAT),
    _mutant("proxsgd", BufferUndampened, STEP, PARENT),
    _mutant("proxsgd", PsiWithoutRate, STEP),
    _mutant("proxgen", DecayAfterwards, STEP, PARENT),
    _mutant("proxgen", DecayCoupled, STEP, PARENT),
    _mutant("proxgen", NoBiasCorrection, STEP, PARENT),
    _mutant("proxgen", AmsgradIgnored, STEP, PARENT),
    _mutant("proxgen", FlushesTooMuch, STEP),
    _mutant("ramda", CastsOnLoad, RELOAD),
    *(_mutant("ramda", forgetting(e), RELOAD) for e in ("weight_sum", "grad_sum", "grad_sq_sum", "initial_point")),
    _mutant("proxsgd", ForgetsBuffer, RELOAD),
    _mutant("ramda", AverageForStructured, WHAT),
    _mutant("rmda", SwapNotRestored, WHAT),
]
