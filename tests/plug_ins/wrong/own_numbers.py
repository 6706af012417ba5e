"""The slips that the functions and sets of ``right/own_numbers.py`` invite."""

import torch

from tests.plug_ins.right import own_numbers as right
from tests.plug_ins.right.groups import LargestEntry


class SimplexByDividing(right.SortedSimplex):
    """Clamped and divided by the sum, which is no projection."""

    def prox(self, w, step):
        z = w.clamp_min(0)
        return z / z.sum() if bool(z.sum() > 0) else torch.full_like(w, 1 / w.numel())


class LargestEntryShortStep(LargestEntry):
    """A step 1 % too short."""

    def prox(self, w, step):
        return super().prox(w, 0.99 * step)


class MonotoneBySorting(right.Monotone):
    """Sorted, not pooled."""

    def prox(self, w, step):
        return w.flatten().sort().values.reshape(w.shape)


class SemidefiniteByMagnitude(right.Semidefinite):
    """Negative eigenvalues turned positive."""

    def prox(self, w, step):
        eigenvalues, basis = torch.linalg.eigh((w + w.mT) / 2)
        return (basis * eigenvalues.abs()) @ basis.mT


class SemidefiniteOfOneTriangle(right.Semidefinite):
    """``eigh`` reads the lower triangle only."""

    def prox(self, w, step):
        eigenvalues, basis = torch.linalg.eigh(w)
        return (basis * eigenvalues.clamp_min(0)) @ basis.mT


class OrthonormalByQr(right.Orthonormal):
    """Orthonormal, but not the nearest."""

    def prox(self, w, step):
        return torch.linalg.qr(w).Q


class NuclearBallByScaling(right.NuclearBall):
    """Scaled into the ball."""

    def prox(self, w, step):
        return w * (2 / torch.linalg.svdvals(w).sum()).clamp_max(1)


class TernaryTooEarly(right.Ternary):
    """One from 0.49 on."""

    def prox(self, w, step):
        return torch.sign(w) * (w.abs() > 0.49)


class TrimmedBySign(right.Trimmed):
    """The largest by sign where the tensor is large."""

    def prox(self, w, step):
        flat = w.flatten()
        z = torch.sign(flat) * (flat.abs() - step).clamp_min(0)
        largest = (flat.abs() if len(flat) < 100 else flat).topk(min(2, len(flat))).indices
        z[largest] = flat[largest]
        return z.reshape(w.shape)


class BerhuTooEarly(right.Berhu):
    """The kink looked for at w, not at the answer."""

    def prox(self, w, step):
        soft = torch.sign(w) * (w.abs() - step).clamp_min(0)
        return torch.where(w.abs() <= 0.7, soft, w / (1 + step / 0.7))


class LogSumWithoutComparing(right.LogSum):
    """The larger root even where zero is better."""

    def prox(self, w, step):
        size = w.abs()
        inside = (size + 0.5) ** 2 - 4 * step
        root = ((size - 0.5 + inside.clamp_min(0).sqrt()) / 2).clamp_min(0)
        return torch.sign(w) * torch.where(inside >= 0, root, torch.zeros_like(size))


class LogCoshTwoSteps(right.LogCosh):
    """Newton's method, stopped after two steps."""

    def prox(self, w, step):
        z = w
        for _ in range(2):
            slope = torch.tanh(z)
            z = z - (z - w + step * slope) / (1 + step * (1 - slope * slope))
        return z


class PeriodicByFloor(right.Periodic):
    """The integer below in place of the nearest."""

    def prox(self, w, step):
        return (w + step * w.floor()) / (1 + step)
