"""Faults that show from a certain size on, or along one axis only."""

import torch


def soft(w, threshold):
    return torch.sign(w) * (w.abs() - threshold).clamp_min(0)


class _L1:
    convex = True

    def value(self, w):
        return w.abs().sum()

    def prox(self, w, step):
        return soft(w, step)


class FromThirteenEntries(_L1):
    """Entries from the thirteenth on are left as they are."""

    def prox(self, w, step):
        z = w.clone().reshape(-1)
        z[:12] = soft(z[:12], step)
        return z.reshape(w.shape)


class BlocksOfSixteen(_L1):
    """What is left over of blocks of 16 stays unshrunk."""

    def prox(self, w, step):
        v = w.flatten().clone()
        k = v.numel() // 16 * 16 if v.numel() > 16 else v.numel()
        v[:k] = soft(v[:k], step)
        return v.reshape(w.shape)


class RowsOverSixteen(_L1):
    """Rows of more than 16 entries are treated as one of 16."""

    def prox(self, w, step):
        if w.ndim == 2 and w.shape[1] > 16:
            return torch.cat([soft(w[:, :16], step), w[:, 16:]], dim=1)
        return soft(w, step)


class ChunksOfSixtyFour(_L1):
    """The last chunk of 64 gets half the step."""

    def prox(self, w, step):
        flat = w.flatten()
        parts = list(flat.split(64))
        found = [soft(part, step) for part in parts]
        if len(parts) > 1:
            found[-1] = soft(parts[-1], step / 2)
        return torch.cat(found).reshape(w.shape)


class BigRows(_L1):
    """Tensors with over 100 rows lose the last one."""

    def prox(self, w, step):
        z = soft(w, step)
        if w.ndim > 1 and w.shape[0] > 100:
            z[-1] = 0
        return z


class RankFour:
    """The nuclear norm of which only the four largest singular values are kept."""

    convex = True

    def value(self, w):
        if w.ndim != 2:
            raise ValueError(f"a matrix is needed, got {tuple(w.shape)}")
        return torch.linalg.svdvals(w).sum()

    def prox(self, w, step):
        left, sigma, right = torch.linalg.svd(w, full_matrices=False)
        sigma = (sigma - step).clamp_min(0)
        sigma[4:] = 0
        return (left * sigma) @ right


class OneKernelAxis:
    """Norms of filters that forget the last axis of a kernel of two: value sums over axes 1 and 2 only."""

    convex = True

    def value(self, w):
        if w.ndim != 4:
            raise ValueError(f"a convolution is needed, got {tuple(w.shape)}")
        return w.square().sum(dim=(1, 2)).sqrt().sum()

    def prox(self, w, step):
        lengths = w.square().sum(dim=(1, 2, 3), keepdim=True).sqrt()
        return w * torch.where(lengths > step, 1 - step / lengths, torch.zeros_like(lengths))


class KernelAxesSwapped(_L1):
    """The prox returns a kernel transposed, which shows only where it is not symmetric: 3 x 3 or 2 x 2."""

    def prox(self, w, step):
        z = soft(w, step)
        return z.transpose(-1, -2).contiguous() if w.ndim == 4 and w.shape[-1] == w.shape[-2] else z


class LastOfManyColumns(_L1):
    """A loop over columns that ends at 32."""

    def prox(self, w, step):
        z = w.clone()
        last = min(w.shape[-1], 32)
        z[..., :last] = soft(w[..., :last], step)
        return z


class TopTenOnly(_L1):
    """The ten largest entries are shrunk, as if there were no more."""

    def prox(self, w, step):
        flat = w.flatten()
        places = flat.abs().topk(min(10, flat.numel())).indices
        z = torch.zeros_like(flat)
        z[places] = soft(flat[places], step)
        return z.reshape(w.shape)


class ValueOfTheFirstFifty(_L1):
    """value adds the first fifty entries."""

    def value(self, w):
        return w.flatten()[:50].abs().sum()


class MeanFromTwentyRows(_L1):
    """From 20 rows on value is a mean over rows times 19."""

    def value(self, w):
        if w.ndim == 2 and w.shape[0] >= 20:
            return 19 * w.abs().sum(dim=1).mean()
        return w.abs().sum()
