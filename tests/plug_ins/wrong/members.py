"""A right prox with a wrong optional member."""

import torch

from tests.plug_ins.right.groups import LargestEntry


def soft(w, threshold):
    return torch.sign(w) * (w.abs() - threshold).clamp_min(0)


class _L1:
    convex = True

    def value(self, w):
        return w.abs().sum()

    def prox(self, w, step):
        return soft(w, step)


class _L0:
    def value(self, w):
        return torch.count_nonzero(w).to(w.dtype)

    def prox(self, w, step):
        return torch.where(w * w > 2 * step, w, torch.zeros_like(w))


class _Mcp:
    def value(self, w):
        size = w.abs()
        return torch.where(size <= 3, size - size.square() / 6, size.new_tensor(1.5)).sum()

    def prox(self, w, step):
        size = w.abs()
        if step >= 3:
            return torch.where(w * w > 3 * step, w, torch.zeros_like(w))
        shrunk = torch.sign(w) * (size - step).clamp_min(0) / (1 - step / 3)
        return torch.where(size <= 3, shrunk, w)


class ConvexL0(_L0):
    """Says convex, and is not."""

    convex = True


class ConvexMcp(_Mcp):
    """Says convex, and is not."""

    convex = True


class SeparableNorm:
    """Says separable, and is not."""

    separable = True

    def value(self, w):
        return w.norm()

    def prox(self, w, step):
        length = w.norm()
        step = torch.as_tensor(step, dtype=w.dtype)
        return w * torch.where(length > step, 1 - step / length.clamp_min(1e-30), torch.zeros_like(length))


class SeparableWithoutSteps(_L1):
    """Says separable; its prox takes the mean of the steps."""

    separable = True

    def prox(self, w, step):
        return soft(w, step if isinstance(step, float) else torch.as_tensor(step, dtype=w.dtype).mean())


class ResidualZeroOnL0(_L0):
    """subgradient_residual is always zero."""

    def subgradient_residual(self, Z, G, lam):
        return torch.zeros_like(Z)


class ResidualZeroOnMcp(_Mcp):
    """subgradient_residual is always zero."""

    def subgradient_residual(self, Z, G, lam):
        return torch.zeros_like(Z)


class ResidualOfL1OnMcp(_Mcp):
    """subgradient_residual is that of the L1 norm."""

    def subgradient_residual(self, Z, G, lam):
        return torch.where(Z != 0, G + lam * torch.sign(Z), soft(G, lam))


class ResidualZero(_L1):
    """subgradient_residual is always zero."""

    def subgradient_residual(self, Z, G, lam):
        return torch.zeros_like(Z)


class ResidualNotSmallest(_L1):
    """subgradient_residual takes the sign 0 at zero."""

    def subgradient_residual(self, Z, G, lam):
        return G + lam * torch.sign(Z)


class ResidualWithoutLam(_L1):
    """subgradient_residual forgets lam."""

    def subgradient_residual(self, Z, G, lam):
        return torch.where(Z != 0, G + torch.sign(Z), soft(G, 1.0))


class ResidualHalved(_L1):
    """Half of the right one."""

    def subgradient_residual(self, Z, G, lam):
        return 0.5 * torch.where(Z != 0, G + lam * torch.sign(Z), soft(G, lam))


class MetricProxSlightlyOff(_L1):
    """metric_prox is 3e-5 off."""

    def metric_prox(self, B, D, lam):
        return soft(B, lam) / D * (1 + 3e-5)


class MetricProxShifted(_L1):
    """metric_prox shrinks 1e-6 of lam too much."""

    def metric_prox(self, B, D, lam):
        return soft(B, lam * (1 + 1e-6)) / D


class MetricProxOfTheMean(_L1):
    """metric_prox takes the mean of D."""

    def metric_prox(self, B, D, lam):
        return soft(B, lam) / D.mean()


class MetricProxDividedEarly(_L1):
    """The threshold is not divided by D."""

    def metric_prox(self, B, D, lam):
        return soft(B / D, lam)


class MetricProxAtLamZero(_L1):
    """Zero at lam = 0."""

    def metric_prox(self, B, D, lam):
        return soft(B, lam) / D if lam > 0 else torch.zeros_like(B)


class MetricProxNanAtLamZero:
    """||w||: 0/0 at lam = 0."""

    convex = True

    def value(self, w):
        return w.abs().sum()

    def prox(self, w, step):
        return soft(w, step)

    def metric_prox(self, B, D, lam):
        return soft(B, lam) / D * (lam / lam)


class MetricProxOfMcp(_Mcp):
    """The soft threshold of another function."""

    def metric_prox(self, B, D, lam):
        return soft(B, lam) / D


class ScreensTooMuch(_L1):
    """zero_mask calls 1 % too much zero."""

    def zero_mask(self, B, lam):
        return B.abs() <= 1.01 * lam


class ScreensEverything(_L1):
    """zero_mask calls small tensors zero."""

    def zero_mask(self, B, lam):
        return torch.full_like(B, bool(B.norm() <= 2 * lam), dtype=torch.bool)


class ScreensByTheSquare(_L1):
    """zero_mask compares squares with lam."""

    def zero_mask(self, B, lam):
        return B.square() <= lam


class StructureConstant(_L1):
    """structure is the same everywhere."""

    def structure(self, w):
        return torch.zeros(1)


class StructureTolerant(_L1):
    """structure takes 1e-8 for zero."""

    def structure(self, w):
        return w.abs() > 1e-8


class StructureOfOneEntry(_L1):
    """structure looks at the first entry."""

    def structure(self, w):
        return w.flatten()[:1] != 0


class StructureOfSigns(LargestEntry):
    """structure of max |w_i|: all zero or not, where the set of largest entries is asked for."""

    def structure(self, w):
        return torch.zeros(2)


class SparsityInPercent(_L1):
    """sparsity returns shares."""

    def sparsity(self, w):
        return float((w == 0).float().mean()), 1.0


class SparsityOfNonzeros(_L1):
    """sparsity counts what is left."""

    def sparsity(self, w):
        return int((w != 0).sum()), w.numel()


class SparsityInGroups:
    """sparsity counts columns, not the entries in them."""

    convex = True
    shapes = ((2, 2), (3, 4), (4, 3), (20, 10))

    def value(self, w):
        return w.norm(dim=0).sum()

    def prox(self, w, step):
        lengths = w.norm(dim=0, keepdim=True)
        return w * torch.where(lengths > step, 1 - step / lengths.clamp_min(1e-30), torch.zeros_like(lengths))

    def sparsity(self, w):
        return int((w.abs().amax(dim=0) == 0).sum()), w.shape[1]


class SparsityTolerant(_L1):
    """sparsity counts entries below 1e-6."""

    def sparsity(self, w):
        return int((w.abs() < 1e-6).sum()), w.numel()


class GroupNormsWithGaps(_L1):
    """group_norms describes memory with gaps as if it had none."""

    def group_norms(self, w):
        from solvers.regularizers.members import GroupNorms

        return GroupNorms(1.0, 1, w.numel(), 1)


class GroupNormsOfAnotherWeight(_L1):
    """group_norms with twice the weight."""

    def group_norms(self, w):
        from solvers.regularizers.members import GroupNorms

        return GroupNorms(2.0, 1, w.numel(), 1) if w.is_contiguous() else None


class DerivativeOfTheIdentity(_L1):
    """prox_with_derivative calls everything smooth."""

    def prox_with_derivative(self, w, step):
        return _Answer(soft(w, step), lambda H: H)


class _Answer:
    gain = 1.0

    def __init__(self, point, derivative):
        self.point, self.derivative = point, derivative


class CvxpyOfAnotherFunction(_L1):
    """as_cvxpy is the norm."""

    def as_cvxpy(self, x):
        import cvxpy

        return cvxpy.norm(cvxpy.vec(x, order="C"), 2)


class BlockwiseMaxTooSmall:
    """||w||, whose blockwise_max gives every entry its own D."""

    convex = True

    def value(self, w):
        return w.norm()

    def prox(self, w, step):
        length, step = w.norm(), torch.as_tensor(step, dtype=w.dtype)
        return w * torch.where(length > step, 1 - step / length.clamp_min(1e-30), torch.zeros_like(length))

    def blockwise_max(self, D):
        return D


class ViolationOfAnotherSet:
    """A box whose violation is that of a smaller one."""

    convex = True

    def value(self, w):
        return w.new_tensor(0.0 if bool((w.abs() <= 1).all()) else torch.inf)

    def prox(self, w, step):
        return w.clamp(-1, 1)

    def violation(self, w):
        return (w.abs() - 0.5).clamp_min(0).norm()


class ViolationZero:
    """A ball projected 1 % too far out, excused by a violation of zero."""

    convex = True

    def value(self, w):
        return w.new_tensor(0.0 if bool(w.norm() <= 1) else torch.inf)

    def prox(self, w, step):
        return w / (w.norm() / 1.01).clamp_min(1.0)

    def violation(self, w):
        return w.new_zeros(())
