"""Thresholds and jumps that are slightly off."""

import math

import torch


class _L0:
    factor: float

    def value(self, w):
        return torch.count_nonzero(w).to(w.dtype)

    def prox(self, w, step):
        return w * (w.abs() > self.factor * math.sqrt(step))


class L0At141(_L0):
    """1.41 for the square root of 2."""

    factor = 1.41


class L0At1414(_L0):
    """1.4142, a printed constant."""

    factor = 1.4142


class L0At1(_L0):
    """The square root of the step, without the 2."""

    factor = 1.0


class CappedL1Early:
    """min(|w|, 1): the entry itself from 1 + 0.499 step on, where half is right."""

    def value(self, w):
        return w.abs().clamp_max(1.0).sum()

    def prox(self, w, step):
        if step > 2:
            return torch.where(w * w > 2 * step, w, torch.zeros_like(w))
        soft = torch.sign(w) * (w.abs() - step).clamp_min(0)
        return torch.where(w.abs() > 1 + 0.499 * step, w, soft)


class McpWide:
    """MCP of gamma 3 whose prox uses 2.5 % more."""

    gamma = 3.075

    def value(self, w):
        size = w.abs()
        return torch.where(size <= 3, size - size.square() / 6, size.new_tensor(1.5)).sum()

    def prox(self, w, step):
        size, gamma = w.abs(), self.gamma
        if step >= gamma:
            return torch.where(w * w > 3 * step, w, torch.zeros_like(w))
        shrunk = torch.sign(w) * (size - step).clamp_min(0) / (1 - step / gamma)
        return torch.where(size <= gamma, shrunk, w)


class McpNarrow(McpWide):
    """The same with 0.1 % less."""

    gamma = 2.997


class McpBeyond(McpWide):
    """The formula for small steps at every step."""

    gamma = 3.0

    def prox(self, w, step):
        size = w.abs()
        shrunk = torch.sign(w) * (size - step).clamp_min(0) / (1 - min(step, 2.9) / 3)
        return torch.where(size <= 3, shrunk, w)


class SoftAtNineTenths:
    """The dead zone ends at 0.999 of the threshold."""

    def value(self, w):
        return w.abs().sum()

    def prox(self, w, step):
        return torch.where(w.abs() > 0.999 * step, w - step * torch.sign(w), torch.zeros_like(w))


class SoftAtTheNextDigit:
    """The dead zone ends at 1.001 of the threshold."""

    def value(self, w):
        return w.abs().sum()

    def prox(self, w, step):
        return torch.where(w.abs() > 1.001 * step, w - step * torch.sign(w), torch.zeros_like(w))


class HuberAtTheKink:
    """Huber's function of 0.5 whose prox changes its formula at 0.5 (1 + step) * 1.01."""

    def value(self, w):
        size = w.abs()
        return torch.where(size <= 0.5, 0.5 * size.square(), 0.5 * size - 0.125).sum()

    def prox(self, w, step):
        near = w / (1 + step)
        return torch.where(near.abs() <= 0.505, near, w - 0.5 * step * torch.sign(w))


class HalfPowerRounded:
    """|w|^(1/2) with the threshold 1.48 step^(2/3) for 1.5."""

    def value(self, w):
        return w.abs().sqrt().sum()

    def prox(self, w, step):
        size = w.double().abs()
        above = size > 1.48 * step ** (2 / 3)
        safe = torch.where(above, size, torch.ones_like(size))
        angle = torch.acos((step / 4 * (safe / 3) ** -1.5).clamp_max(1.0))
        root = 2 / 3 * safe * (1 + torch.cos(2 * math.pi / 3 - 2 * angle / 3))
        return torch.where(above, torch.sign(w.double()) * root, torch.zeros_like(size)).to(w.dtype)


class GroupL0Unsquared:
    """The number of nonzero columns; a column stays where its norm is over 2 step, not its square."""

    shapes = ((1, 1), (3, 4), (5, 2), (20, 30))

    def value(self, w):
        return (w.abs().amax(dim=0) > 0).sum().to(w.dtype)

    def prox(self, w, step):
        return w * (w.norm(dim=0) > 2 * step)


class RankSlightlyOff:
    """Half the rank: singular values stay from 0.995 of the threshold on."""

    shapes = ((1, 2), (2, 2), (3, 4), (12, 20))

    def value(self, w):
        sigma = torch.linalg.svdvals(w)
        return 0.5 * (sigma > 1e-12 * sigma.amax().clamp_min(1e-300)).sum().to(w.dtype)

    def prox(self, w, step):
        left, sigma, right = torch.linalg.svd(w, full_matrices=False)
        return (left * (sigma * (sigma > 0.995 * math.sqrt(step)))) @ right


class ScadOffByOneStep:
    """SCAD of a = 3.7 whose soft threshold ends at 2, not at 1 + step."""

    def psi(self, z):
        size = z.abs()
        middle = (2 * 3.7 * size - size.square() - 1) / (2 * 2.7)
        return torch.where(size <= 1, size, torch.where(size <= 3.7, middle, size.new_tensor(4.7 / 2)))

    def value(self, w):
        return self.psi(w).sum()

    def prox(self, w, step):
        size, sign = w.abs(), torch.sign(w)
        step = min(step, 2.0)
        soft = (size - step).clamp_min(0)
        middle = (2.7 * size - 3.7 * step) / (2.7 - step)
        return sign * torch.where(size <= 2, soft, torch.where(size <= 3.7, middle, size))


class LevelsByRounding:
    """The distance to -1, 0 or 1, whose prox goes to the nearest level from 0.4 on."""

    def value(self, w):
        return (w - w.round().clamp(-1, 1)).abs().sum()

    def prox(self, w, step):
        level = w.round().clamp(-1, 1)
        away = w - level
        return torch.where(away.abs() < 0.4 * min(step, 1.0), level, w - torch.sign(away) * min(step, 0.4))
