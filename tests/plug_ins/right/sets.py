"""Constraints: indicators with their projections, as textbooks write them."""

import math

import torch


def indicator(w, inside):
    """0 inside, infinity outside."""
    return w.new_tensor(0.0 if bool(inside) else math.inf)


class Box:
    """[-1, 1]^n."""

    convex = True
    separable = True

    def value(self, w):
        return indicator(w, (w.abs() <= 1).all())

    def prox(self, w, step):
        return w.clamp(-1, 1)


class Orthant:
    """w >= 0."""

    convex = True

    def value(self, w):
        return indicator(w, (w >= 0).all())

    def prox(self, w, step):
        return w.clamp_min(0)


class NonnegativeSum:
    """sum w over w >= 0; outside, where nothing is a subgradient, its residual is that of zero."""

    convex = True
    separable = True

    def value(self, w):
        return w.sum() + indicator(w, (w >= 0).all())

    def prox(self, w, step):
        return (w - step).clamp_min(0)

    def metric_prox(self, B, D, lam):
        return (B - lam).clamp_min(0) / D

    def subgradient_residual(self, Z, G, lam):
        return torch.where(Z > 0, G + lam, (G + lam).clamp_max(0))


class NonnegativeSumWithTolerance:
    """0.3*sum w over w >= 0, up to 1e-12."""

    convex = True

    def value(self, w):
        return 0.3 * w.sum() + indicator(w, w.min() >= -1e-12)

    def prox(self, w, step):
        return (w - 0.3 * step).clamp_min(0)


class Ball:
    """||w|| <= 1, without a tolerance."""

    convex = True

    def value(self, w):
        return indicator(w, w.norm() <= 1)

    def prox(self, w, step):
        return w / w.norm().clamp_min(1.0)


class BallWithTolerance:
    """||w|| <= 2, up to 1e-9."""

    convex = True

    def value(self, w):
        return indicator(w, w.double().norm() <= 2 * (1 + 1e-9))

    def prox(self, w, step):
        length = w.norm()
        return w.clone() if length <= 2 else w * (2 / length)


class BallLoosely:
    """||w|| <= 1, up to 1e-6."""

    convex = True

    def value(self, w):
        return indicator(w, w.double().norm() <= 1 + 1e-6)

    def prox(self, w, step):
        return w / w.norm().clamp_min(1.0)


class BallWithDistance:
    """||w|| <= 1 with the distance to it."""

    convex = True

    def value(self, w):
        return indicator(w, w.double().norm() <= 1 + 1e-6)

    def violation(self, w):
        return (w.norm() - 1).clamp_min(0)

    def prox(self, w, step):
        return w / w.norm().clamp_min(1.0)


class Simplex:
    """{w >= 0, sum w = 1} by sorting; psi is 0 up to 1e-6."""

    convex = True
    tolerance = 1e-6

    def value(self, w):
        near = abs(float(w.double().sum()) - 1) <= self.tolerance
        return indicator(w, bool((w >= 0).all()) and near)

    def prox(self, w, step):
        descending = w.flatten().sort(descending=True).values
        excess = (descending.cumsum(0) - 1) / torch.arange(1, w.numel() + 1, dtype=w.dtype)
        return (w - excess[(descending > excess).sum() - 1]).clamp_min(0)


class SimplexTightly(Simplex):
    """Up to 1e-9."""

    tolerance = 1e-9


class SimplexStrictly(Simplex):
    """Up to 1e-12."""

    tolerance = 1e-12


class SimplexWithDistance(Simplex):
    """With the distance from the set, by its own projection in float64."""

    def violation(self, w):
        return (w.double() - self.prox(w.double(), 1.0)).norm()


class L1Ball:
    """sum |w_i| <= 1, by sorting."""

    convex = True

    def value(self, w):
        return indicator(w, w.double().abs().sum() <= 1 + 1e-9)

    def prox(self, w, step):
        if w.abs().sum() <= 1:
            return w.clone()
        sizes = w.abs().flatten().sort(descending=True).values
        excess = (sizes.cumsum(0) - 1) / torch.arange(1, len(sizes) + 1, dtype=w.dtype)
        level = excess[int((sizes > excess).sum()) - 1]
        return torch.sign(w) * (w.abs() - level).clamp_min(0)


class Halfspace:
    """sum w_i <= 1."""

    convex = True

    def value(self, w):
        return indicator(w, w.double().sum() <= 1 + 1e-10 * (1 + w.double().abs().sum()))

    def prox(self, w, step):
        return w - (w.sum() - 1).clamp_min(0) / w.numel()


class Hyperplane:
    """sum w_i = 0: thin, and without a tolerance worth the name."""

    convex = True

    def value(self, w):
        return indicator(w, w.double().sum().abs() <= 1e-12 * (1 + w.double().abs().sum()))

    def prox(self, w, step):
        return w - w.mean()


class Sphere:
    """||w|| = 1: thin and not convex; the north pole where w is zero."""

    def value(self, w):
        return indicator(w, (w.double().norm() - 1).abs() <= 1e-6)

    def prox(self, w, step):
        scaled = w / w.abs().amax().clamp_min(1e-300) if bool((w != 0).any()) else torch.zeros_like(w)
        if not bool((scaled != 0).any()):
            scaled = torch.eye(1, w.numel(), dtype=w.dtype).reshape(w.shape)
        return scaled / scaled.norm()


class Signs:
    """Every entry is -1 or 1."""

    def value(self, w):
        return indicator(w, (w.abs() == 1).all())

    def prox(self, w, step):
        return torch.where(w >= 0, torch.ones_like(w), -torch.ones_like(w))


class Largest:
    """At most two nonzero entries."""

    def value(self, w):
        return indicator(w, (w != 0).sum() <= 2)

    def prox(self, w, step):
        flat = w.flatten()
        kept = torch.zeros_like(flat)
        places = flat.abs().topk(min(2, flat.numel())).indices
        kept[places] = flat[places]
        return kept.reshape(w.shape)


class TwoOfFour:
    """At most two nonzeros in every four neighbours of the last axis."""

    shapes = ((4,), (8,), (2, 4), (3, 8), (2, 3, 4), (20, 40))

    def value(self, w):
        return indicator(w, ((w.reshape(-1, 4) != 0).sum(dim=1) <= 2).all())

    def prox(self, w, step):
        fours = w.reshape(-1, 4)
        places = fours.abs().topk(2, dim=1).indices
        return torch.zeros_like(fours).scatter(1, places, fours.gather(1, places)).reshape(w.shape)


class Stochastic:
    """Every row on the simplex."""

    convex = True
    shapes = ((1, 3), (2, 2), (3, 4), (5, 1), (20, 40))

    def value(self, w):
        good = (w >= 0).all() and ((w.double().sum(dim=1) - 1).abs() <= 1e-8).all()
        return indicator(w, good)

    def prox(self, w, step):
        descending = w.sort(dim=1, descending=True).values
        count = torch.arange(1, w.shape[1] + 1, dtype=w.dtype, device=w.device)
        excess = (descending.cumsum(1) - 1) / count
        last = (descending > excess).sum(dim=1, keepdim=True) - 1
        return (w - excess.gather(1, last)).clamp_min(0)


class BoxAndL1:
    """``sum |w_i|`` on [-2, 2]^n."""

    convex = True

    def value(self, w):
        return w.abs().sum() + indicator(w, (w.abs() <= 2).all())

    def prox(self, w, step):
        return (torch.sign(w) * (w.abs() - step).clamp_min(0)).clamp(-2, 2)
