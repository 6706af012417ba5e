"""The nuclear norm: low rank."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from solvers import validate
from solvers.regularizers.base import accumulation_dtype, check_prox_arguments, price_of_norm, priced
from solvers.regularizers.layout import WeightLayout
from solvers.regularizers.members import Scalar
from solvers.regularizers.singular_values import shrink_singular_values, singular_spaces
from solvers.regularizers.spectral_derivative import SpectralProx, spectral_prox


@dataclass(frozen=True)
class NuclearNorm:
    """``psi(w) = reg_weight * sum_i sigma_i(w)``, each tensor seen as the matrix (out, everything else).

    Prox: the soft threshold of the singular values (Cai, Candes and Shen, 2010). There is no closed or scalar form in a
    diagonal metric; the subproblem needs iteration.

    Arguments:
        reg_weight: a finite number >= 0.

    Raises:
        ValueError or TypeError: ``reg_weight`` is negative, not finite or no number.
    """

    reg_weight: float
    convex: ClassVar[bool] = True

    def __post_init__(self) -> None:
        validate.nonnegative("reg_weight", self.reg_weight)

    @classmethod
    def examples(cls) -> "Sequence[NuclearNorm]":
        """The plainest instance; the verifier varies its weight."""
        return (cls(1.0),)

    def check_shape(self, shape: Sequence[int]) -> None:
        """Raise ValueError unless ``shape`` has at least 2 dimensions and one entry."""
        if len(shape) < 2 or 0 in shape:
            raise ValueError(f"NuclearNorm needs a nonempty tensor of 2 or more dimensions, got shape {tuple(shape)}")

    def for_layout(self, layout: WeightLayout, shape: Sequence[int]) -> "NuclearNorm | None":
        """Itself: a matrix and its transpose have the same singular values. None for (in, out, *kernel) and for a
        convolution with groups in that order, which would have to be seen as (out, everything else).

        The matrix of a convolution with groups is (out, in/conv_groups * kernel), its blocks below one another.
        """
        return self if layout.order == "out_in" or (len(shape) == 2 and layout.conv_groups == 1) else None

    def value(self, w: Tensor) -> Tensor:
        sigma: Tensor = torch.linalg.svdvals(_matrix(w))
        return self.reg_weight * sigma.sum()

    def prox(self, w: Tensor, step: Scalar) -> Tensor:
        check_prox_arguments(w, step)
        return shrink_singular_values(_matrix(w), price_of_norm(step, self.reg_weight)).reshape(w.shape).to(w.dtype)

    def prox_with_derivative(self, w: Tensor, step: float) -> SpectralProx:
        """``prox(w, step)`` of a float32 or float64 matrix, with its derivative."""
        return spectral_prox(w, step * self.reg_weight)

    def subgradient_residual(self, point: Tensor, gradient: Tensor, lam: Scalar) -> Tensor:
        """dpsi(Z) is ``{U V' + N : U'N = 0, N V = 0, ||N||_2 <= 1}`` over the singular vectors of nonzero value
        (Watson, 1992). The part of the gradient outside both spaces is shortened by the threshold, the rest is fixed.
        """
        threshold = lam * self.reg_weight
        matrix, slope = _matrix(point), _matrix(gradient)
        left, right = singular_spaces(matrix, max(matrix.shape) * torch.finfo(matrix.dtype).eps)
        normal = slope - left @ (left.mT @ slope)
        normal = normal - (normal @ right.mT) @ right
        fixed = priced(threshold, left @ right)
        free = shrink_singular_values(normal, threshold)
        return (slope - normal + fixed + free).reshape(point.shape)

    def zero_mask(self, B: Tensor, lam: Scalar) -> Tensor:
        """All or nothing: the solution is zero exactly if the spectral norm of B is at most the threshold."""
        zero: Tensor = torch.linalg.matrix_norm(_matrix(B), ord=2) <= lam * self.reg_weight
        return zero.reshape((1,) * B.ndim)

    def structure(self, w: Tensor) -> Tensor:
        """The rank, a 0-d integer tensor."""
        matrix = _matrix(w)
        sigma: Tensor = torch.linalg.svdvals(matrix)
        return (sigma > rank_tolerance(sigma, matrix.shape)).sum()

    def sparsity(self, w: Tensor) -> tuple[int, int]:
        """(zero singular values, singular values): the low-rank level of the paper as two counts."""
        count = min(_matrix(w).shape)
        return count - int(self.structure(w)), count


def _matrix(w: Tensor) -> Tensor:
    return w.reshape(w.shape[0], -1).to(accumulation_dtype(w))


def rank_tolerance(sigma: Tensor, shape: Sequence[int]) -> Tensor:
    """Singular values up to this are rounding: ``max(m, n) * eps * sigma_max``, as in ``torch.linalg.matrix_rank``."""
    return sigma.amax() * max(shape) * torch.finfo(sigma.dtype).eps
