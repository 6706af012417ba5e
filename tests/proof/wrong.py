"""Wrong regularizers of the kind people write: the prover refutes each with a counterexample that float64 confirms."""

import math
from dataclasses import dataclass

import torch

from tests.proof import right
from tests.proof.right import soft


class ShrinksTwice(right.ElasticNet):
    def prox(self, w, step):
        return soft(w, step * self.l1) / (1 + 2 * step * self.l2)


class StepTwice(right.SquaredL2):
    def prox(self, w, step):
        return w / (1 + step * step * self.reg_weight)


class WeightForgotten(right.ElasticNet):
    def prox(self, w, step):
        return soft(w, step) / (1 + step * self.l2)


class StepForgotten(right.ElasticNet):
    def prox(self, w, step):
        return soft(w, self.l1) / (1 + step * self.l2)


class RoundedRoot(right.L0):
    def prox(self, w, step):
        return torch.where(w.abs() > 1.41 * math.sqrt(step * self.reg_weight), w, torch.zeros_like(w))


class HalfThreshold(right.L0):
    def prox(self, w, step):
        return torch.where(w.abs() > math.sqrt(step * self.reg_weight), w, torch.zeros_like(w))


class FirmBeyondGamma(right.MCP):
    """The firm threshold at any step, where the step must be below gamma."""

    def prox(self, w, step):
        firm = soft(w, step * self.reg_weight) / (1 - step / self.gamma)
        return torch.where(w.abs() <= self.gamma * self.reg_weight, firm, w)


class GammaTimesStep(right.MCP):
    """Thresholds scaled by the step that are not."""

    def prox(self, w, step):
        if step >= self.gamma:
            return super().prox(w, step)
        firm = soft(w, step * self.reg_weight) / (1 - step / self.gamma)
        return torch.where(w.abs() <= step * self.gamma * self.reg_weight, firm, w)


class WrongAboveAValue(right.SquaredL2):
    def prox(self, w, step):
        return torch.where(w.abs() > 1e6, w, super().prox(w, step))


class WrongOfNegative(right.SoftShrink):
    def prox(self, w, step):
        return (w - step * self.reg_weight).clamp(min=0) + (w + step * self.reg_weight / 2).clamp(max=0)


class WrongAtOnePoint(right.SquaredL2):
    def prox(self, w, step):
        return torch.where(w == 3, w, super().prox(w, step))


class IdentityAtTinySteps(right.SoftShrink):
    def prox(self, w, step):
        return w.clone() if step < 1e-5 else super().prox(w, step)


class IdentityAtHugeSteps(right.SoftShrink):
    def prox(self, w, step):
        return torch.where(torch.as_tensor(step) > 1e8, w, super().prox(w, step))


class OtherFunction(right.Huber):
    """The prox of the L1 norm beside the value of Huber's function."""

    def prox(self, w, step):
        return soft(w, step * self.reg_weight)


class MeanForSum(right.Huber):
    """Huber's outer piece without the constant that joins it to the inner one."""

    def value(self, w):
        size = w.abs()
        return self.reg_weight * torch.where(size <= self.delta, size.square() / 2, self.delta * size).sum()


class KeepsWhatItShouldCap(right.CappedL1):
    """The near candidate alone."""

    def prox(self, w, step):
        return torch.where(w.abs() <= self.cap, soft(w, step * self.reg_weight), w)


class SmallBox(right.Box):
    def prox(self, w, step):
        return w.clamp(self.low, 1.0)


class OpenBox(right.Box):
    """Out of the set by a millionth."""

    def prox(self, w, step):
        return w.clamp(self.low, self.high + 1e-6)


class NegativeAllowed(right.NonnegativeL1):
    def prox(self, w, step):
        return w - step * self.reg_weight


class NotANumberAtZero(right.SoftShrink):
    def prox(self, w, step):
        return w / w.abs() * (w.abs() - step * self.reg_weight).clamp(min=0)


class RaisesAtLargeSteps(right.SquaredL2):
    def prox(self, w, step):
        if step > 100:
            raise ValueError(f"step must be at most 100, got {step}")
        return super().prox(w, step)


class SwappedBounds(right.AsymmetricL1):
    def prox(self, w, step):
        return torch.where(w > step * self.down, w - step * self.down, (w + step * self.up).clamp(max=0))


class SmallSCADOnly(right.SCAD):
    """Fan and Li's prox is for steps below a - 1."""

    def prox(self, w, step):
        weight, a, size = self.reg_weight, self.a, w.abs()
        middle = ((a - 1) * w - w.sign() * step * a * weight) / (a - 1 - step)
        outer = torch.where(size <= a * weight, middle, w)
        return torch.where(size <= weight * (1 + step), soft(w, step * weight), outer)


class UnscaledSCAD(right.SCAD):
    """The first threshold at twice the weight, whatever the step, as printed for a step of 1."""

    def prox(self, w, step):
        weight, a, size = self.reg_weight, self.a, w.abs()
        if step >= a - 1:
            return super().prox(w, step)
        middle = ((a - 1) * w - w.sign() * step * a * weight) / (a - 1 - step)
        outer = torch.where(size <= a * weight, middle, w)
        return torch.where(size <= 2 * weight, soft(w, step * weight), outer)


class HalfPowerOff(right.HalfPower):
    """The jump half a percent too early."""

    factor = 0.94


class SquaredNormThreshold(right.GroupL2):
    def prox(self, w, step):
        norm = w.square().sum()
        return torch.where(norm > step * self.reg_weight, w * (1 - step * self.reg_weight / norm), 0 * w)


class GroupSizeForgotten:
    """sqrt(|g|) in the value and not in the prox."""

    def value(self, w):
        return math.sqrt(w.numel()) * w.norm()

    def prox(self, w, step):
        norm = w.norm()
        return torch.where(norm > step, w * (1 - step / norm), torch.zeros_like(w))


@dataclass
class GroupThresholdOff:
    """The jump of the group L0 norm at 0.99 of where it belongs."""

    reg_weight: float = 0.3

    def value(self, w):
        return self.reg_weight * (w.norm() > 0).double()

    def prox(self, w, step):
        return w * (w.norm() > 0.99 * math.sqrt(2 * step * self.reg_weight))


class BallOfSquare(right.Ball):
    """Projects to the square of the radius."""

    def prox(self, w, step):
        norm = torch.linalg.norm(w)
        return w if norm <= self.radius else w * (self.radius**2 / norm)


ENTRIES = [
    ShrinksTwice(), StepTwice(), WeightForgotten(), StepForgotten(), RoundedRoot(), HalfThreshold(), FirmBeyondGamma(),
    GammaTimesStep(), WrongAboveAValue(), WrongOfNegative(), WrongAtOnePoint(), IdentityAtTinySteps(),
    IdentityAtHugeSteps(), OtherFunction(), MeanForSum(), KeepsWhatItShouldCap(), SmallBox(), OpenBox(),
    NegativeAllowed(), NotANumberAtZero(), RaisesAtLargeSteps(), SwappedBounds(), SmallSCADOnly(), UnscaledSCAD(),
    HalfPowerOff(),
]  # fmt: skip
GROUPS = [SquaredNormThreshold(), GroupSizeForgotten(), GroupThresholdOff(), BallOfSquare()]
