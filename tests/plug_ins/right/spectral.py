"""Functions of singular values, and of the matrix as a whole."""

import math

import torch


def matrix(w):
    """(out, everything else); matrices and more only."""
    if w.ndim < 2:
        raise ValueError(f"a matrix is needed, got shape {tuple(w.shape)}")
    return w.flatten(1)


class Nuclear:
    """0.4 * the sum of the singular values."""

    convex = True

    def value(self, w):
        return 0.4 * torch.linalg.svdvals(matrix(w)).sum()

    def prox(self, w, step):
        left, sigma, right = torch.linalg.svd(matrix(w), full_matrices=False)
        return ((left * (sigma - 0.4 * step).clamp_min(0)) @ right).reshape(w.shape)


class NuclearForMatrices:
    """The nuclear norm with its shapes, and float64 and float32 alone."""

    convex = True
    shapes = ((1, 3), (2, 2), (3, 5), (20, 7))
    dtypes = (torch.float64, torch.float32)

    def value(self, w):
        return torch.linalg.matrix_norm(w, "nuc")

    def prox(self, w, step):
        left, sigma, right = torch.linalg.svd(w, full_matrices=False)
        return left @ torch.diag((sigma - step).clamp_min(0)) @ right


class Rank:
    """0.5 * rank: singular values stay or go."""

    def value(self, w):
        sigma = torch.linalg.svdvals(matrix(w).double())
        return 0.5 * (sigma > 1e-12 * sigma.amax().clamp_min(1e-300)).sum().to(w.dtype)

    def prox(self, w, step):
        left, sigma, right = torch.linalg.svd(matrix(w).double(), full_matrices=False)
        sigma = sigma * (sigma.square() > step)
        return ((left * sigma) @ right).reshape(w.shape).to(w.dtype)


class RankTwo:
    """Matrices of rank two at most, up to a billionth of the largest entry."""

    def value(self, w):
        sigma = torch.linalg.svdvals(matrix(w).double())
        return w.new_tensor(math.inf if sigma[2:].sum() > 1e-9 * w.double().abs().max() else 0.0)

    def prox(self, w, step):
        left, sigma, right = torch.linalg.svd(matrix(w).double(), full_matrices=False)
        return ((left[:, :2] * sigma[:2]) @ right[:2]).reshape(w.shape).to(w.dtype)


class RankTwoWithDistance(RankTwo):
    """The same set, and the distance to it."""

    def violation(self, w):
        return torch.linalg.vector_norm(torch.linalg.svdvals(matrix(w).double())[2:])


class Spectral:
    """The largest singular value."""

    convex = True

    def value(self, w):
        return torch.linalg.matrix_norm(matrix(w), 2)

    def prox(self, w, step):
        left, sigma, right = torch.linalg.svd(matrix(w), full_matrices=False)
        if float(sigma.sum()) <= step:
            return torch.zeros_like(w)
        excess = (sigma.cumsum(0) - step) / torch.arange(1, len(sigma) + 1, dtype=w.dtype)
        # The level is the largest. To count the values above theirs finds none where the step is a rounding of them.
        return ((left * sigma.clamp_max(excess.amax())) @ right).reshape(w.shape)


class Frobenius:
    """1/2 of the squared distance from the identity, on matrices."""

    convex = True

    def value(self, w):
        return 0.5 * (matrix(w) - self.target(w)).square().sum()

    def target(self, w):
        rows = matrix(w)
        return torch.eye(*rows.shape, dtype=w.dtype, device=w.device)

    def prox(self, w, step):
        return ((matrix(w) + step * self.target(w)) / (1 + step)).reshape(w.shape)


class LogDeterminant:
    """``-log det W`` of symmetric positive definite matrices: a barrier, and no cone's."""

    def check_shape(self, shape):
        if len(shape) != 2 or shape[0] != shape[1]:
            raise ValueError("a square matrix is needed")

    def value(self, w):
        self.check_shape(w.shape)
        values = torch.linalg.eigvalsh(w.double())
        inside = torch.allclose(w, w.mT, rtol=1e-6, atol=0) and bool((values > 0).all())
        return (-values.log().sum() if inside else values.new_tensor(torch.inf)).to(w.dtype)

    def prox(self, w, step):
        values, vectors = torch.linalg.eigh(((w + w.mT) / 2).double())
        root = (values**2 + 4 * step).sqrt()
        # The other form cancels where a value is negative.
        values = torch.where(values >= 0, (values + root) / 2, 2 * step / (root - values))
        z = (vectors * values) @ vectors.mT
        return ((z + z.mT) / 2).to(w.dtype)


class RootsOfSingularValues:
    """The Schatten quasi-norm of power 1/2: steep without end where a singular value is zero up to rounding."""

    def value(self, w):
        return torch.linalg.svdvals(matrix(w).double()).sqrt().sum().to(w.dtype)

    def prox(self, w, step):
        left, sigma, right = torch.linalg.svd(matrix(w).double(), full_matrices=False)
        angle = torch.arccos((float(step) / 4 * (sigma.clamp_min(1e-300) / 3) ** -1.5).clamp(-1, 1))
        moved = 2 / 3 * sigma * (1 + torch.cos(2 / 3 * (torch.pi - angle)))
        sigma = torch.where(sigma > 1.5 * float(step) ** (2 / 3), moved, 0)
        return ((left * sigma) @ right).reshape(w.shape).to(w.dtype)
