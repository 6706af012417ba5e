"""Functions and sets from papers and the web, whose own numbers or tolerances are of another size than w."""

import math

import torch

from tests.plug_ins.right.sets import indicator


class SortedSimplex:
    """The tensor sums to one and has no negative entry; by Duchi's sort, with the tolerances that people write."""

    convex = True

    def value(self, w):
        return indicator(w, bool((w >= -1e-9).all()) and abs(float(w.double().sum()) - 1) < 1e-6)

    def prox(self, w, step):
        descending = w.double().flatten().sort(descending=True).values
        excess = (descending.cumsum(0) - 1) / torch.arange(1, w.numel() + 1)
        level = excess[(descending > excess).nonzero()[-1, 0]]
        return (w.double() - level).clamp_min(0).to(w.dtype)


class Monotone:
    """Entries that do not fall, up to 1e-10: pool adjacent violators."""

    convex = True

    def value(self, w):
        return indicator(w, (w.flatten().diff() >= -1e-10).all())

    def prox(self, w, step):
        pools = []
        for entry in w.flatten().tolist():
            pools.append((entry, 1))
            while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
                (last, few), (before, many) = pools.pop(), pools.pop()
                pools.append(((last * few + before * many) / (few + many), few + many))
        return torch.tensor([mean for mean, count in pools for _ in range(count)], dtype=w.dtype).reshape(w.shape)


class Semidefinite:
    """Symmetric matrices without a negative eigenvalue, up to 1e-9."""

    convex = True
    shapes = ((1, 1), (2, 2), (3, 3), (5, 5))

    def value(self, w):
        return indicator(w, torch.allclose(w, w.mT, atol=1e-9) and bool(torch.linalg.eigvalsh(w).min() >= -1e-9))

    def prox(self, w, step):
        eigenvalues, basis = torch.linalg.eigh((w + w.mT) / 2)
        return (basis * eigenvalues.clamp_min(0)) @ basis.mT


class Orthonormal:
    """Matrices with orthonormal columns: the polar factor, one of many where columns depend on each other."""

    shapes = ((2, 2), (3, 2), (4, 3))

    def value(self, w):
        return indicator(w, torch.allclose(w.mT @ w, torch.eye(w.shape[1], dtype=w.dtype), atol=1e-8))

    def prox(self, w, step):
        left, _, right = torch.linalg.svd(w, full_matrices=False)
        return left @ right


class NuclearBall:
    """Singular values that sum to at most 2."""

    convex = True
    shapes = ((1, 3), (3, 2), (4, 4), (20, 10))

    def value(self, w):
        return indicator(w, torch.linalg.svdvals(w).sum() <= 2 * (1 + 1e-7))

    def prox(self, w, step):
        left, sigma, right = torch.linalg.svd(w, full_matrices=False)
        if float(sigma.sum()) <= 2:
            return w.clone()
        excess = (sigma.cumsum(0) - 2) / torch.arange(1, len(sigma) + 1, dtype=sigma.dtype)
        return (left * (sigma - excess[(sigma > excess).nonzero().max()]).clamp_min(0)) @ right


class TiedRows:
    """The first two entries or rows are equal."""

    convex = True
    shapes = ((2,), (4,), (2, 3), (5, 4))

    def value(self, w):
        return indicator(w, (w[0] - w[1]).abs().max() <= 1e-9 * (1 + w.abs().max()))

    def prox(self, w, step):
        return torch.cat([((w[0] + w[1]) / 2).expand_as(w[:2]), w[2:]])


class Ternary:
    """Entries -1, 0 and 1."""

    def value(self, w):
        return indicator(w, ((w == 0) | (w.abs() == 1)).all())

    def prox(self, w, step):
        return w.clamp(-1, 1).round()


class Trimmed:
    """``sum |w_i|`` without the two largest."""

    def value(self, w):
        return w.abs().flatten().sort(descending=True).values[2:].sum()

    def prox(self, w, step):
        flat = w.flatten()
        z = torch.sign(flat) * (flat.abs() - step).clamp_min(0)
        largest = flat.abs().topk(min(2, len(flat))).indices
        z[largest] = flat[largest]
        return z.reshape(w.shape)


class Berhu:
    """``|w|`` up to 0.7, ``(w^2 + 0.49)/1.4`` beyond."""

    convex = True
    separable = True

    def value(self, w):
        return torch.where(w.abs() <= 0.7, w.abs(), (w * w + 0.49) / 1.4).sum()

    def prox(self, w, step):
        soft = torch.sign(w) * (w.abs() - step).clamp_min(0)
        return torch.where(w.abs() - step <= 0.7, soft, w / (1 + step / 0.7))


class Poisson:
    """``w - log w`` of positive entries."""

    convex = True

    def value(self, w):
        return (w - w.log()).sum() if bool((w > 0).all()) else w.new_tensor(math.inf)

    def prox(self, w, step):
        ahead = w - step
        root = (ahead * ahead + 4 * step).sqrt()
        return torch.where(ahead > 0, (ahead + root) / 2, 2 * step / (root - ahead))


class LogSum:
    """``log(1 + 2|w|)``: the larger root, or zero where that is better. Its 1/2 vanishes beside no small w."""

    def value(self, w):
        return torch.log1p(2 * w.abs()).sum()

    def prox(self, w, step):
        size = w.abs()
        inside = (size + 0.5) ** 2 - 4 * step
        root = ((size - 0.5 + inside.clamp_min(0).sqrt()) / 2).clamp_min(0)
        better = 0.5 * (root - size) ** 2 + step * torch.log1p(2 * root) < 0.5 * size**2
        return torch.sign(w) * torch.where((inside >= 0) & better, root, torch.zeros_like(size))


class LogCosh:
    """``log cosh w``, whose value cancels for small w; the prox by Newton's method between 0 and w."""

    convex = True

    def value(self, w):
        return (w.abs() + torch.nn.functional.softplus(-2 * w.abs()) - math.log(2)).sum()

    def prox(self, w, step):
        size = w.double().abs()
        low, high, z = torch.zeros_like(size), size, size / (1 + step)
        for _ in range(60):
            slope = z - size + step * torch.tanh(z)
            low, high = torch.where(slope < 0, z, low), torch.where(slope >= 0, z, high)
            newton = z - slope / (1 + step / torch.cosh(z.clamp_max(300)) ** 2)
            z, last = torch.where((newton >= low) & (newton <= high), newton, (low + high) / 2), z
            if ((z - last).abs() <= 4e-16 * z).all():
                break
        return (torch.sign(w) * z).to(w.dtype)


class Periodic:
    """Half the squared distance to the nearest integer."""

    def value(self, w):
        return 0.5 * (w - w.round()).square().sum()

    def prox(self, w, step):
        return (w + step * w.round()) / (1 + step)
