"""Convex functions of single entries."""

import math

import numpy as np
import torch
from torch.nn import functional


class SoftThreshold:
    """``0.3 * sum |w_i|``, in the words of a textbook."""

    convex = True
    separable = True

    def value(self, w):
        return 0.3 * w.abs().sum()

    def prox(self, w, step):
        return torch.sign(w) * torch.relu(w.abs() - 0.3 * step)


class ByFunctional:
    """The L1 norm by torch's own soft threshold."""

    def value(self, w):
        return functional.l1_loss(w, torch.zeros_like(w), reduction="sum")

    def prox(self, w, step):
        return functional.softshrink(w, step)


class ByClamp:
    """The L1 norm by Moreau's identity: what is left of w after its projection on the box."""

    convex = True

    def value(self, w):
        return 2.0 * w.abs().sum()

    def prox(self, w, step):
        return w - w.clamp(-2.0 * step, 2.0 * step)


class Shifted:
    """``sum |w_i - 0.1|``."""

    convex = True
    separable = True

    def value(self, w):
        return (w - 0.1).abs().sum()

    def prox(self, w, step):
        away = w - 0.1
        return 0.1 + torch.sign(away) * (away.abs() - step).clamp_min(0)


class LeaningL1:
    """A pull of 2 on positive entries and of 0.5 on negative ones."""

    convex = True

    def value(self, w):
        return torch.where(w > 0, 2.0 * w, -0.5 * w).sum()

    def prox(self, w, step):
        return (w - 2.0 * step).clamp_min(0) + (w + 0.5 * step).clamp_max(0)


class Ridge:
    """``1/2 ||w||^2``."""

    convex = True
    separable = True

    def value(self, w):
        return 0.5 * w.square().sum()

    def prox(self, w, step):
        return w / (1 + step)


class ElasticNet:
    """``sum |w_i| + w_i^2``."""

    convex = True
    separable = True

    def __init__(self, l1=1.0, l2=2.0):
        self.l1, self.l2 = l1, l2

    def value(self, w):
        return self.l1 * w.abs().sum() + 0.5 * self.l2 * w.square().sum()

    def prox(self, w, step):
        return torch.sign(w) * (w.abs() - step * self.l1).clamp_min(0) / (1 + step * self.l2)

    def as_cvxpy(self, x):
        import cvxpy

        return self.l1 * cvxpy.sum(cvxpy.abs(x)) + 0.5 * self.l2 * cvxpy.sum_squares(x)


class Huber:
    """Quadratic up to 0.5, linear from there on."""

    convex = True
    separable = True

    def value(self, w):
        return functional.huber_loss(w, torch.zeros_like(w), reduction="sum", delta=0.5)

    def prox(self, w, step):
        near = w / (1 + step)
        return torch.where(near.abs() <= 0.5, near, w - 0.5 * step * torch.sign(w))


class DeadZone:
    """``sum max(|w_i| - 1, 0)``: nothing is asked of entries up to 1."""

    convex = True

    def value(self, w):
        return (w.abs() - 1).clamp_min(0).sum()

    def prox(self, w, step):
        size = w.abs()
        return torch.sign(w) * torch.where(size <= 1, size, torch.maximum(size - step, torch.ones_like(w)))


class LogBarrier:
    """``-sum log w_i`` of positive entries, free of cancellation."""

    convex = True

    def value(self, w):
        return torch.where((w > 0).all(), -w.clamp_min(1e-300).log().sum(), w.new_full((), math.inf))

    def prox(self, w, step):
        root = torch.sqrt(w * w + 4 * step)
        return torch.where(w >= 0, (w + root) / 2, 2 * step / (root - w))


class CubicPenalty:
    """``1/3 sum |w_i|^3``: the root of ``r + step*r^2 = |w|``, in the form that does not cancel."""

    convex = True

    def value(self, w):
        return w.abs().pow(3).sum() / 3

    def prox(self, w, step):
        return 2 * w / (1 + torch.sqrt(1 + 4 * step * w.abs()))


class PositivePart:
    """``sum max(w_i, 0)``."""

    convex = True
    separable = True

    def value(self, w):
        return w.clamp_min(0).sum()

    def prox(self, w, step):
        return torch.where(w > step, w - step, torch.where(w < 0, w, torch.zeros_like(w)))


class Linear:
    """``<c, w>`` with c = 0.7 everywhere: not bounded below."""

    convex = True

    def value(self, w):
        return 0.7 * w.sum()

    def prox(self, w, step):
        return w - 0.7 * step


class Nothing:
    """psi = 0."""

    convex = True
    separable = True

    def value(self, w):
        return w.new_zeros(())

    def prox(self, w, step):
        return w.clone()


class TwoKinks:
    """``sum |w_i| + |w_i - 1|``, kinks at 0 and at 1."""

    convex = True

    def value(self, w):
        return (w.abs() + (w - 1).abs()).sum()

    def prox(self, w, step):
        right = (w - 2 * step).clamp_min(1)
        left = (w + 2 * step).clamp_max(0)
        return torch.where(w > 1, right, torch.where(w < 0, left, w))


class HalfQuadratic:
    """Its own memory order and its own loops: the L1 norm entry by entry, as a beginner writes it."""

    def value(self, w):
        total = w.new_zeros(())
        for entry in w.flatten():
            total = total + abs(entry)
        return total

    def prox(self, w, step):
        z = w.clone().flatten()
        for i in range(len(z)):
            z[i] = torch.sign(z[i]) * max(float(abs(z[i])) - step, 0.0)
        return z.reshape(w.shape)


class ByNumpy:
    """The L1 norm outside torch, which takes a step that is a number and none that is a tensor."""

    def value(self, w):
        return torch.as_tensor(np.abs(w.double().cpu().numpy()).sum()).to(w)

    def prox(self, w, step):
        a = w.double().cpu().numpy()
        return torch.as_tensor(np.sign(a) * np.maximum(np.abs(a) - step, 0)).to(w)


class OneNumber:
    """|w| + w^2/2 of a tensor with one entry."""

    convex = True

    def check_shape(self, shape):
        if math.prod(shape) != 1:
            raise ValueError(f"one number is wanted, got a tensor of shape {tuple(shape)}")

    def value(self, w):
        self.check_shape(w.shape)
        return (w.abs() + 0.5 * w.square()).sum()

    def prox(self, w, step):
        self.check_shape(w.shape)
        return w.sign() * (w.abs() - step).clamp_min(0) / (1 + step)
