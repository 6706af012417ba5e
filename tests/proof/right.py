"""Right regularizers that a user might bring: the prover proves each of them for all its parameters."""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from torch.nn import functional


def checked(name, value, low, *, closed=False):
    if not (value >= low if closed else value > low):
        raise ValueError(f"{name} must be {'>=' if closed else '>'} {low}, got {value}")


def soft(w, threshold):
    return torch.sign(w) * (w.abs() - threshold).clamp(min=0)


@dataclass(frozen=True)
class Huber:
    reg_weight: float = 0.5
    delta: float = 1.0

    def __post_init__(self):
        checked("reg_weight", self.reg_weight, 0, closed=True)
        checked("delta", self.delta, 0)

    def value(self, w):
        size = w.abs()
        inner, outer = size.square() / 2, self.delta * (size - self.delta / 2)
        return self.reg_weight * torch.where(size <= self.delta, inner, outer).sum()

    def prox(self, w, step):
        weight = step * self.reg_weight
        return torch.where(w.abs() <= self.delta * (1 + weight), w / (1 + weight), w - weight * self.delta * w.sign())


@dataclass
class ElasticNet:
    l1: float = 0.5
    l2: float = 0.25

    def __post_init__(self):
        checked("l1", self.l1, 0, closed=True)
        checked("l2", self.l2, 0, closed=True)

    def value(self, w):
        return self.l1 * w.abs().sum() + self.l2 / 2 * (w**2).sum()

    def prox(self, w, step):
        return soft(w, step * self.l1) / (1 + step * self.l2)


class CappedL1:
    """An ordinary class; the capped norm has two candidates, compared by their objectives."""

    separable = True

    def __init__(self, reg_weight=0.5, cap=1.0):
        checked("reg_weight", reg_weight, 0, closed=True)
        checked("cap", cap, 0)
        self.reg_weight, self.cap = reg_weight, cap

    def value(self, w):
        return self.reg_weight * w.abs().clamp(max=self.cap).sum()

    def prox(self, w, step):
        def objective(size):
            return step * self.reg_weight * size.clamp(max=self.cap) + (size - w.abs()) ** 2 / 2

        near = (w.abs() - step * self.reg_weight).relu().clamp(max=self.cap)
        far = w.abs().clamp(min=self.cap)
        return w.sign() * torch.where(objective(near) <= objective(far), near, far)


class MCP:
    """The minimax concave penalty for any step: firm threshold below gamma, hard threshold from there on."""

    def __init__(self, reg_weight=0.5, gamma=2.0):
        checked("reg_weight", reg_weight, 0, closed=True)
        checked("gamma", gamma, 0)
        self.reg_weight, self.gamma = reg_weight, gamma

    def value(self, w):
        size, weight = w.abs(), self.reg_weight
        inner = weight * size - size.square() / (2 * self.gamma)
        return torch.where(size <= self.gamma * weight, inner, self.gamma * weight**2 / 2).sum()

    def prox(self, w, step):
        weight = self.reg_weight
        if step >= self.gamma:
            return torch.where(w.square() > step * self.gamma * weight**2, w, torch.zeros_like(w))
        firm = soft(w, step * weight) / (1 - step / self.gamma)
        return torch.where(w.abs() <= self.gamma * weight, firm, w)


class SCAD:
    """Fan and Li's penalty for any step: past ``a - 1`` the middle piece is concave, and two candidates are left."""

    parameter_ranges = {"reg_weight": ">= 0", "a": "> 2"}  # noqa: RUF012

    def __init__(self, reg_weight=0.5, a=3.7):
        self.reg_weight, self.a = reg_weight, a

    def value(self, w):
        size, weight, a = w.abs(), self.reg_weight, self.a
        middle = (2 * a * weight * size - size**2 - weight**2) / (2 * (a - 1))
        outer = weight**2 * (a + 1) / 2
        return torch.where(size <= weight, weight * size, torch.where(size <= a * weight, middle, outer)).sum()

    def prox(self, w, step):
        weight, a, size = self.reg_weight, self.a, w.abs()
        if step < a - 1:
            middle = ((a - 1) * w - w.sign() * step * a * weight) / (a - 1 - step)
            outer = torch.where(size <= a * weight, middle, w)
            return torch.where(size <= weight * (1 + step), soft(w, step * weight), outer)
        if step < a + 1:
            return torch.where(size <= weight * (a + 1 + step) / 2, soft(w, step * weight), w)
        return torch.where(w**2 <= weight**2 * step * (a + 1), 0 * w, w)


class L0:
    def __init__(self, reg_weight=0.3):
        checked("reg_weight", reg_weight, 0, closed=True)
        self.reg_weight = reg_weight

    def value(self, w):
        return self.reg_weight * torch.count_nonzero(w)

    def prox(self, w, step):
        return torch.where(w.abs() > math.sqrt(2 * step * self.reg_weight), w, torch.zeros_like(w))


class L0InPlace:
    """The threshold by a constant ``sqrt(2)``, and entries set to zero in a copy."""

    reg_weight = 0.3

    def value(self, w):
        return self.reg_weight * (w != 0).sum().double()

    def prox(self, w, step):
        found = w.clone()
        found[w.abs() <= math.sqrt(2) * (step * self.reg_weight) ** 0.5] = 0
        return found


class Box:
    """The indicator of [low, high]^n; its bounds depend on one another."""

    parameter_ranges = {"high": "> low"}  # noqa: RUF012

    def __init__(self, low=-1.0, high=2.0):
        self.low, self.high = low, high

    def value(self, w):
        if bool(((w >= self.low) & (w <= self.high)).all()):
            return w.new_zeros(())
        return w.new_full((), math.inf)

    def prox(self, w, step):
        return w.clamp(self.low, self.high)


@dataclass(frozen=True)
class NonnegativeL1:
    reg_weight: Annotated[float, ">= 0"] = 0.5

    def value(self, w):
        return torch.where((w < 0).any(), math.inf, self.reg_weight * w.sum())

    def prox(self, w, step):
        return functional.relu(w - step * self.reg_weight)


class SquaredL2:
    def __init__(self, reg_weight=0.5):
        checked("reg_weight", reg_weight, 0, closed=True)
        self.reg_weight = reg_weight

    def value(self, w):
        return self.reg_weight / 2 * w.square().sum()

    def prox(self, w, step):
        return w / (1 + step * self.reg_weight)


class AsymmetricL1:
    """``up`` for positive and ``down`` for negative entries."""

    parameter_ranges = {"up": (0, math.inf), "down": (0, math.inf)}  # noqa: RUF012

    def __init__(self, up=1.0, down=0.5):
        self.up, self.down = up, down

    def value(self, w):
        return self.up * w.clamp(min=0).sum() + self.down * (-w).clamp(min=0).sum()

    def prox(self, w, step):
        return torch.where(
            w > step * self.up, w - step * self.up, torch.where(w < -step * self.down, w + step * self.down, 0.0 * w)
        )


class SoftShrink:
    """The soft threshold as torch has it."""

    def __init__(self, reg_weight=0.5):
        if reg_weight < 0:
            raise ValueError(f"reg_weight must be >= 0, got {reg_weight}")
        self.reg_weight = reg_weight

    def value(self, w):
        return torch.linalg.vector_norm(w, ord=1) * self.reg_weight

    def prox(self, w, step):
        return functional.softshrink(w, step * self.reg_weight)


class DistanceToInterval:
    """``reg_weight * distance to [-1, 1]``, which is zero inside."""

    def __init__(self, reg_weight=0.5):
        checked("reg_weight", reg_weight, 0, closed=True)
        self.reg_weight = reg_weight

    def value(self, w):
        return self.reg_weight * (w - w.clamp(-1, 1)).abs().sum()

    def prox(self, w, step):
        away = w - w.clamp(-1, 1)
        return w - away.clamp(-step * self.reg_weight, step * self.reg_weight)


class TwoValues:
    """The indicator of {-1, 1}: nonconvex, the nearest of two values; at 0 both are nearest."""

    def value(self, w):
        return torch.where((w.abs() == 1).all(), 0.0, math.inf)

    def prox(self, w, step):
        return torch.where(w >= 0, torch.ones_like(w), -torch.ones_like(w))


class HalfPower:
    """``sum sqrt(|w_i|)``, whose prox is a root of a cubic (Xu and others, 2012), by its cosine."""

    factor = 54 ** (1 / 3) / 4

    def __init__(self, reg_weight=0.5):
        checked("reg_weight", reg_weight, 0)
        self.reg_weight = reg_weight

    def value(self, w):
        return self.reg_weight * w.abs().sqrt().sum()

    def prox(self, w, step):
        weight = 2 * step * self.reg_weight
        angle = torch.arccos(weight / 8 * (w.abs() / 3) ** -1.5)
        large = 2 / 3 * w * (1 + torch.cos(2 * math.pi / 3 - 2 * angle / 3))
        return torch.where(w.abs() > self.factor * weight ** (2 / 3), large, 0.0)


class GroupL2:
    """The norm of a whole tensor."""

    def __init__(self, reg_weight=0.5):
        checked("reg_weight", reg_weight, 0)
        self.reg_weight = reg_weight

    def value(self, w):
        return self.reg_weight * w.norm()

    def prox(self, w, step):
        norm = w.norm()
        return w * (1 - step * self.reg_weight / norm).clamp(min=0)


class GroupMCP:
    """MCP of the norms of the columns of a matrix."""

    shapes = ((3, 4), (2, 5))

    def __init__(self, reg_weight=0.5, gamma=2.0):
        checked("reg_weight", reg_weight, 0, closed=True)
        checked("gamma", gamma, 0)
        self.reg_weight, self.gamma = reg_weight, gamma

    def value(self, w):
        size, weight = torch.linalg.vector_norm(w, dim=0), self.reg_weight
        inner = weight * size - size.square() / (2 * self.gamma)
        return torch.where(
            size <= self.gamma * weight, inner, torch.full_like(size, 1) * self.gamma * weight**2 / 2
        ).sum()

    def prox(self, w, step):
        size, weight = w.square().sum(dim=0, keepdim=True).sqrt(), self.reg_weight
        shrunk = (size - step * weight).clamp(min=0) / (1 - step / self.gamma)
        firm = torch.where(size <= self.gamma * weight, shrunk, size)
        hard = torch.where(size.square() > step * self.gamma * weight**2, size, torch.zeros_like(size))
        length = firm if step < self.gamma else hard
        return torch.where(size > 0, w * (length / size), torch.zeros_like(w))


class GroupL0:
    def __init__(self, reg_weight=0.3):
        checked("reg_weight", reg_weight, 0, closed=True)
        self.reg_weight = reg_weight

    def value(self, w):
        return self.reg_weight * (w.pow(2).sum() > 0).double()

    def prox(self, w, step):
        return w * (w.pow(2).sum() > 2 * step * self.reg_weight)


class Ball:
    """The indicator of the Euclidean ball of a radius."""

    def __init__(self, radius=1.5):
        checked("radius", radius, 0)
        self.radius = radius

    def value(self, w):
        return w.new_tensor(0.0) if w.norm() <= self.radius else w.new_tensor(math.inf)

    def prox(self, w, step):
        norm = torch.linalg.norm(w)
        return w if norm <= self.radius else w * (self.radius / norm)


ENTRIES = [
    Huber(), ElasticNet(), CappedL1(), MCP(), SCAD(), L0(), L0InPlace(), Box(), NonnegativeL1(), SquaredL2(),
    AsymmetricL1(), SoftShrink(), DistanceToInterval(), TwoValues(),
]  # fmt: skip
#: Proved in 20 to 60 seconds.
LONG = [HalfPower()]
GROUPS = [GroupL2(), GroupMCP(), GroupL0(), Ball()]
