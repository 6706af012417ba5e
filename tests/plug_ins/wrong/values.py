"""value that is no psi, not that of the prox, or not defined where it is asked for."""

import torch


class _L1:
    def value(self, w):
        return w.abs().sum()

    def prox(self, w, step):
        return torch.sign(w) * (w.abs() - step).clamp_min(0)


class RaisesInThreeDimensions(_L1):
    """value raises on three dimensions."""

    def value(self, w):
        if w.ndim == 3:
            raise RuntimeError("not written yet")
        return w.abs().sum()


class RaisesOnRows(_L1):
    """value fails where there are over three rows."""

    def value(self, w):
        if w.ndim > 1:
            return sum(w[:3].abs().sum() for _ in range(1)) + [0.0, 0.0, 0.0, 0.0][max(w.shape[0] - 1, 0) % 7] * w.sum()
        return w.abs().sum()


class RaisesOnLongVectors(_L1):
    """value raises on over 64 entries."""

    def value(self, w):
        if w.numel() > 64:
            raise TypeError("too long")
        return w.abs().sum()


class ProxRaisesOnZero(_L1):
    """prox divides by the largest entry as a Python number."""

    def prox(self, w, step):
        1 / float(w.abs().amax())
        return super().prox(w, step)


class ProxNanAtZero:
    """||w|| with 0/0 at zero."""

    def value(self, w):
        return w.norm()

    def prox(self, w, step):
        return w / w.norm() * (w.norm() - step).clamp_min(0)


class NanOutside:
    """A box whose value is NaN outside."""

    def value(self, w):
        return w.new_tensor(0.0 if bool((w.abs() <= 1).all()) else float("nan"))

    def prox(self, w, step):
        return w.clamp(-1, 1)


class NegativeInfinity:
    """A value that falls to minus infinity at zero."""

    def value(self, w):
        return w.abs().log().sum()

    def prox(self, w, step):
        return torch.zeros_like(w)


class AnotherFunction(_L1):
    """value is that of the squared norm."""

    def value(self, w):
        return w.square().sum()


class WithAConstantPerShape(_L1):
    """The value of a mean."""

    def value(self, w):
        return w.abs().mean()


class SignForgotten(_L1):
    """value is a sum of signed entries."""

    def value(self, w):
        return w.sum()


class PowerOfTheNorm:
    """value is the squared norm of the whole, prox that of the norm."""

    convex = True

    def value(self, w):
        return w.norm().square()

    def prox(self, w, step):
        length = w.norm()
        return w * torch.where(length > step, 1 - step / length.clamp_min(1e-30), torch.zeros_like(length))


class RowsAndColumns:
    """value adds norms of rows, prox shrinks columns."""

    shapes = ((1, 1), (2, 2), (3, 4), (20, 10))

    def value(self, w):
        return w.norm(dim=1).sum()

    def prox(self, w, step):
        lengths = w.norm(dim=0, keepdim=True)
        return w * torch.where(lengths > step, 1 - step / lengths.clamp_min(1e-30), torch.zeros_like(lengths))


class GroupsWithoutSize:
    """value has the root of the group's size, prox has not."""

    shapes = ((1, 1), (2, 2), (3, 4), (20, 10))

    def value(self, w):
        return w.shape[0] ** 0.5 * w.norm(dim=0).sum()

    def prox(self, w, step):
        lengths = w.norm(dim=0, keepdim=True)
        return w * torch.where(lengths > step, 1 - step / lengths.clamp_min(1e-30), torch.zeros_like(lengths))


class TotalVariationByOneStep:
    """Total variation of a vector, each pair drawn together once."""

    shapes = ((1,), (2,), (3,), (5,), (40,))

    def value(self, w):
        return w.diff().abs().sum()

    def prox(self, w, step):
        z = w.clone()
        for i in range(w.numel() - 1):
            apart = z[i + 1] - z[i]
            pull = apart.clamp(-2 * step, 2 * step) / 2
            z[i] += pull
            z[i + 1] -= pull
        return z


class SlopeWithoutPooling:
    """SLOPE without pooling: sorted thresholds only."""

    def value(self, w):
        sizes = w.abs().flatten().sort(descending=True).values
        return (torch.linspace(1.0, 0.25, len(sizes), dtype=w.dtype) * sizes).sum()

    def prox(self, w, step):
        flat = w.flatten()
        order = flat.abs().sort(descending=True).indices
        threshold = torch.empty_like(flat)
        threshold[order] = step * torch.linspace(1.0, 0.25, len(flat), dtype=w.dtype)
        return (torch.sign(flat) * (flat.abs() - threshold).clamp_min(0)).reshape(w.shape)


class NuclearOfTheTranspose:
    """The singular values of another matrix: (all but the last axis, last axis)."""

    convex = True

    def value(self, w):
        if w.ndim < 3:
            raise ValueError(f"three dimensions are needed, got {tuple(w.shape)}")
        return torch.linalg.svdvals(w.flatten(1)).sum()

    def prox(self, w, step):
        left, sigma, right = torch.linalg.svd(w.flatten(0, -2), full_matrices=False)
        return ((left * (sigma - step).clamp_min(0)) @ right).reshape(w.shape)


class NeverReturns(_L1):
    """A loop that does not end on negative entries."""

    def prox(self, w, step):
        while bool((w < -2).any()):
            pass
        return super().prox(w, step)
