"""Nonconvex functions of single entries, whose proxes jump."""

import math

import torch


class L0:
    """``0.3 * (nonzero entries)``: a hard threshold."""

    separable = True

    def value(self, w):
        return 0.3 * (w != 0).sum().double()

    def prox(self, w, step):
        return torch.where(w * w > 2 * step * 0.3, w, torch.zeros_like(w))


class L0ByRoot:
    """The same with the threshold as a root, ties kept."""

    def value(self, w):
        return torch.count_nonzero(w).to(w.dtype)

    def prox(self, w, step):
        return w * (w.abs() >= math.sqrt(2 * step))


class CappedL1:
    """``sum min(|w_i|, 1)``: soft threshold or the entry itself, whichever is lower."""

    separable = True

    def value(self, w):
        return w.abs().clamp_max(1.0).sum()

    def prox(self, w, step):
        near = torch.sign(w) * (w.abs() - step).clamp(0, 1)
        far = torch.where(w.abs() >= 1, w, torch.sign(w))

        def objective(z):
            return step * z.abs().clamp_max(1.0) + 0.5 * (z - w).square()

        return torch.where(objective(near) <= objective(far), near, far)


class Mcp:
    """The minimax concave penalty with lambda = 1 and gamma = 3, for every step.

    Zhang 2010. From step 3 on psi is too concave for one formula: the entry or zero.
    """

    def value(self, w):
        size = w.abs()
        return torch.where(size <= 3, size - size.square() / 6, size.new_tensor(1.5)).sum()

    def prox(self, w, step):
        size = w.abs()
        if step >= 3:
            return torch.where(w * w > 3 * step, w, torch.zeros_like(w))
        shrunk = torch.sign(w) * (size - step).clamp_min(0) / (1 - step / 3)
        return torch.where(size <= 3, shrunk, w)


class Scad:
    """SCAD with lambda = 1 and a = 3.7, by its three pieces and the lowest of their minimisers, for every step."""

    def psi(self, z):
        size = z.abs()
        middle = (2 * 3.7 * size - size.square() - 1) / (2 * 2.7)
        return torch.where(size <= 1, size, torch.where(size <= 3.7, middle, size.new_tensor(4.7 / 2)))

    def value(self, w):
        return self.psi(w).sum()

    def prox(self, w, step):
        size, sign = w.abs(), torch.sign(w)
        pieces = [(size - step).clamp(0, 1), size.clamp_min(3.7), torch.ones_like(w), torch.full_like(w, 3.7)]
        if step < 2.7:
            pieces.append(((2.7 * size - 3.7 * step) / (2.7 - step)).clamp(1, 3.7))
        stack = torch.stack(pieces)
        objective = step * self.psi(stack) + 0.5 * (stack - size).square()
        return sign * stack.gather(0, objective.argmin(0, keepdim=True))[0]


class HalfPower:
    """``sum |w_i|^(1/2)``, by the closed form of Xu, Chang, Xu and Zhang (2012)."""

    def value(self, w):
        return w.abs().sqrt().sum()

    def prox(self, w, step):
        size = w.double().abs()
        above = size > 1.5 * step ** (2 / 3)
        safe = torch.where(above, size, torch.ones_like(size))
        angle = torch.acos((step / 4 * (safe / 3) ** -1.5).clamp_max(1.0))
        root = 2 / 3 * safe * (1 + torch.cos(2 * math.pi / 3 - 2 * angle / 3))
        return torch.where(above, torch.sign(w.double()) * root, torch.zeros_like(size)).to(w.dtype)


class Levels:
    """The distance to the nearest of the levels -1, 0 and 1, as quantisation asks for it."""

    def value(self, w):
        return self.away(w).abs().sum()

    def away(self, w):
        return w - w.round().clamp(-1, 1)

    def prox(self, w, step):
        levels = w.new_tensor([-1.0, 0.0, 1.0]).reshape(3, *[1] * w.ndim)
        away = w - levels
        candidates = levels + torch.sign(away) * (away.abs() - step).clamp_min(0)
        objective = step * self.away(candidates).abs() + 0.5 * (candidates - w).square()
        return candidates.gather(0, objective.argmin(0, keepdim=True))[0]


class SpikeAtOne:
    """1 for every entry that is not 1: the prox is a hard threshold around 1."""

    def value(self, w):
        return (w != 1).sum().to(w.dtype)

    def prox(self, w, step):
        return torch.where((w - 1).square() > 2 * step, w, torch.ones_like(w))


class Log:
    """``sum log(1 + |w_i|)``: the larger root of a quadratic, or zero where that is lower."""

    def value(self, w):
        return torch.log1p(w.abs()).sum()

    def prox(self, w, step):
        size = w.abs()
        inside = (1 + size).square() - 4 * step
        # (size - 1 + root)/2, written so that nothing cancels where it is small.
        root = inside.clamp_min(0).sqrt()
        larger = torch.where(size >= 1, (size - 1 + root) / 2, 2 * (size - step) / (1 - size + root))
        larger = torch.where(inside >= 0, larger, torch.zeros_like(w)).clamp_min(0)
        gain = 0.5 * (larger - size).square() + step * torch.log1p(larger) - 0.5 * size.square()
        return torch.where(gain < 0, torch.sign(w) * larger, torch.zeros_like(w))


class L0AndSquare:
    """``sum 0.5*[w_i != 0] + w_i^2/2``."""

    def value(self, w):
        return 0.5 * torch.count_nonzero(w) + 0.5 * w.square().sum()

    def prox(self, w, step):
        kept = w / (1 + step)
        return torch.where(w * w > step * (1 + step), kept, torch.zeros_like(w))
