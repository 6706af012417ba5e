"""Functions of the norms of groups."""

import torch


class WholeNorm:
    """``||w||``: one group."""

    convex = True

    def value(self, w):
        return torch.linalg.vector_norm(w)

    def prox(self, w, step):
        length = torch.linalg.vector_norm(w)
        return w * (1 - step / length.clamp_min(step))


class WholeNormByCases:
    """The same with a branch for zero."""

    def value(self, w):
        return w.norm()

    def prox(self, w, step):
        length = float(w.double().norm())
        return torch.zeros_like(w) if length <= step else w * (1 - step / length)


class Columns:
    """``0.5 * sum over columns of their norms``, rows first; matrices only."""

    convex = True
    shapes = ((1, 1), (3, 4), (4, 1), (30, 20))

    def value(self, w):
        return 0.5 * w.norm(dim=0).sum()

    def prox(self, w, step):
        lengths = w.norm(dim=0, keepdim=True)
        return w * torch.where(
            lengths > 0.5 * step, 1 - 0.5 * step / lengths.clamp_min(1e-30), torch.zeros_like(lengths)
        )


class Filters:
    """``sum over filters of sqrt(size) * norm``, for every tensor of two dimensions or more."""

    convex = True

    def check_shape(self, shape):
        if len(shape) < 2:
            raise ValueError(f"filters need two dimensions, got {shape}")

    def value(self, w):
        rows = w.flatten(1)
        return rows.shape[1] ** 0.5 * rows.norm(dim=1).sum()

    def prox(self, w, step):
        rows = w.flatten(1)
        threshold = step * rows.shape[1] ** 0.5
        lengths = rows.norm(dim=1, keepdim=True)
        factor = torch.where(lengths > threshold, 1 - threshold / lengths, torch.zeros_like(lengths))
        return (rows * factor).reshape(w.shape)

    def structure(self, w):
        return w.flatten(1).abs().amax(dim=1) > 0

    def sparsity(self, w):
        rows = w.flatten(1)
        return int((rows.abs().amax(dim=1) == 0).sum()) * rows.shape[1], w.numel()


class SparseFilters:
    """``0.2 * L1 + sum of norms of rows``: soft threshold, then the groups."""

    convex = True

    def value(self, w):
        if w.ndim < 2:
            raise ValueError(f"rows need two dimensions, got {tuple(w.shape)}")
        return 0.2 * w.abs().sum() + w.flatten(1).norm(dim=1).sum()

    def prox(self, w, step):
        rows = w.flatten(1)
        rows = torch.sign(rows) * (rows.abs() - 0.2 * step).clamp_min(0)
        lengths = rows.norm(dim=1, keepdim=True)
        factor = torch.where(lengths > step, 1 - step / lengths, torch.zeros_like(lengths))
        return (rows * factor).reshape(w.shape)


class GroupL0:
    """The number of nonzero columns: a column stays or goes."""

    def value(self, w):
        if w.ndim != 2:
            raise ValueError(f"a matrix is needed, got {tuple(w.shape)}")
        return (w.abs().amax(dim=0) > 0).sum().to(w.dtype)

    def prox(self, w, step):
        return w * (w.square().sum(dim=0) > 2 * step)


class GroupMcp:
    """MCP of the norm of the whole tensor, lambda = 1 and gamma = 3."""

    def value(self, w):
        r = w.norm()
        return torch.where(r <= 3, r - r * r / 6, torch.full_like(r, 1.5))

    def prox(self, w, step):
        r = float(w.double().norm())
        if step >= 3:
            return w.clone() if r * r > 3 * step else torch.zeros_like(w)
        if r > 3:
            return w.clone()
        return w * (max(r - step, 0.0) / (1 - step / 3) / r if r else 0.0)


class SquaredGroups:
    """Exclusive LASSO of one group, ``1/2 (sum |w_i|)^2``, by sorting."""

    convex = True

    def value(self, w):
        return 0.5 * w.abs().sum().square()

    def prox(self, w, step):
        sizes = w.abs().flatten().sort(descending=True).values
        count = torch.arange(1, len(sizes) + 1, dtype=w.dtype)
        level = (step * sizes.cumsum(0) / (1 + step * count)).amax()
        return torch.sign(w) * (w.abs() - level).clamp_min(0)


class LargestEntry:
    """``max |w_i|``: what the projection on the L1 ball of radius ``step`` takes away."""

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


class OverlappingNorms:
    """``||w|| + sum of |w_i|``: a tree of groups, the leaves first."""

    convex = True

    def value(self, w):
        return w.norm() + w.abs().sum()

    def prox(self, w, step):
        leaves = torch.sign(w) * (w.abs() - step).clamp_min(0)
        length = leaves.norm()
        return torch.where(length > step, leaves * (1 - step / length.clamp_min(1e-30)), torch.zeros_like(w))


class EntriesAndLength:
    """0.3*||w||_1 + 0.8*||w||, with a model whose cone Clarabel solves to less than it says where w is large."""

    convex = True

    def value(self, w):
        return 0.3 * w.abs().sum() + 0.8 * w.norm()

    def prox(self, w, step):
        left = w.sign() * (w.abs() - 0.3 * step).clamp_min(0)
        length = left.norm()
        return left * (1 - 0.8 * step / length) if length > 0.8 * step else torch.zeros_like(w)

    def as_cvxpy(self, x):
        import cvxpy

        return 0.3 * cvxpy.sum(cvxpy.abs(x)) + 0.8 * cvxpy.pnorm(x, 2)
