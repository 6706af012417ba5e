"""Right regularizers that a user might bring: nonconvex, a constraint, one that couples all entries."""

import math

import torch


class L0:
    """``0.3 * (nonzero entries)``: nonconvex; the prox is a hard threshold."""

    separable = True

    def value(self, w):
        return 0.3 * (w != 0).sum().double()

    def prox(self, w, step):
        return torch.where(w * w > 2 * step * 0.3, w, torch.zeros_like(w))


class Box:
    """The indicator of [-1, 1]^n: infinite outside."""

    convex = True
    separable = True

    def value(self, w):
        return w.new_zeros(()) if bool((w.abs() <= 1).all()) else w.new_full((), math.inf)

    def prox(self, w, step):
        return w.clamp(-1, 1)


class LargestEntry:
    """``max |w_i|``: the prox is what the projection on the L1 ball of radius ``step`` takes away."""

    convex = True

    def value(self, w):
        return w.abs().amax()

    def prox(self, w, step):
        sizes = w.double().abs().flatten().sort(descending=True).values
        if sizes.sum() <= step:
            return torch.zeros_like(w)
        levels = (sizes.cumsum(0) - step) / torch.arange(1, len(sizes) + 1)
        level = levels[int((sizes >= levels).nonzero().max())]
        return w.double().clamp(-level, level).to(w.dtype)
