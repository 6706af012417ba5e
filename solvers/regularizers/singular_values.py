"""The soft threshold of singular values, and the singular subspaces, at the price of the smaller Gram matrix.

A singular value decomposition of a 512 x 784 matrix takes twice as long as the eigendecomposition of its smaller Gram
matrix. Squaring costs half of the digits, so the Gram matrix is formed and decomposed in float64, and only for matrices
of narrower dtypes: for these nothing is lost. float64 matrices take the decomposition itself, the plain path that the
fast one is checked against.

Why nothing is lost: the eigenvalues carry an error of at most c * 2^-53 * sigma_max^2, c a modest number. A singular
value near the threshold tau thus moves by c * 2^-53 * sigma_max^2 / tau, and none by more than the square root,
sqrt(c) * 1e-8 * sigma_max. Both the thresholded values and what they multiply stay within that, below the 6e-8 *
sigma_max that float32 leaves of any singular value. No threshold and no spectrum needs a case of its own. No number is
read from a device, and everything runs under ``torch.vmap``.
"""

import torch
from torch import Tensor

from solvers.regularizers.base import shrink
from solvers.regularizers.members import Scalar


def shrink_singular_values(matrix: Tensor, threshold: Scalar) -> Tensor:
    """``sum_i max(sigma_i - threshold, 0) u_i v_i'`` of an (m, n) matrix, in its dtype (float32 or float64).

    The prox of ``threshold * (nuclear norm)`` (Cai, Candes and Shen, 2010). ``threshold`` >= 0 is a number or a 0-d
    tensor.
    """
    by = shrink_by_svd if matrix.dtype == torch.float64 else shrink_by_gram
    return by(matrix, threshold)


def shrink_by_svd(matrix: Tensor, threshold: Scalar) -> Tensor:
    """The plain path: a singular value decomposition in the dtype of the matrix."""
    left, sigma, right = torch.linalg.svd(matrix, full_matrices=False)
    shrunk: Tensor = (left * shrink(sigma, threshold)) @ right
    return shrunk


def shrink_by_gram(matrix: Tensor, threshold: Scalar) -> Tensor:
    """``U diag(max(1 - threshold/sigma, 0)) U' M`` with the eigenvectors U of ``M M'`` in float64; M lies wide.

    The two products with M are taken in its own dtype: they round relative to entries, not to squares.
    """
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.mT
    left, sigma = left_singular_vectors(wide)
    lost = sigma <= threshold
    if lost.device.type == "cpu" and not torch._C._functorch.is_batchedtensor(lost):
        # Where reading a number costs nothing, what is shrunk to zero takes no part in the products.
        below = int(lost.sum())
        left, sigma = left[:, below:], sigma[below:]
    kept = torch.where(sigma > threshold, 1 - threshold / torch.where(sigma > 0, sigma, 1.0), 0.0)
    left, kept = left.to(wide.dtype), kept.to(wide.dtype)
    shrunk = (left * kept) @ (left.mT @ wide)
    return shrunk if wide is matrix else shrunk.mT


def left_singular_vectors(wide: Tensor) -> tuple[Tensor, Tensor]:
    """Left singular vectors (m, m) and values (m,), in ascending order and float64, of a matrix with m <= n."""
    lifted = wide.double()
    squares, left = torch.linalg.eigh(lifted @ lifted.mT)
    return left, squares.clamp_min(0).sqrt()


def singular_spaces(matrix: Tensor, rank_tolerance: float) -> tuple[Tensor, Tensor]:
    """(m, k) and (k, n) singular vectors, k = min(m, n), set to zero where the singular value counts as zero.

    Counting as zero: at most ``rank_tolerance`` times the largest. Masks in place of a slice, whose length would have
    to be read.
    """
    if matrix.dtype == torch.float64:
        left, sigma, right = torch.linalg.svd(matrix, full_matrices=False)
        kept = sigma > rank_tolerance * sigma.amax()
        return left * kept, right * kept.unsqueeze(-1)
    if matrix.shape[0] > matrix.shape[1]:
        right, left = singular_spaces(matrix.mT, rank_tolerance)
        return left.mT, right.mT
    vectors, sigma = left_singular_vectors(matrix)
    kept = sigma > rank_tolerance * sigma.amax()
    vectors = vectors * kept
    scaled = vectors / torch.where(kept, sigma, 1.0)
    return vectors.to(matrix.dtype), (scaled.mT @ matrix.double()).to(matrix.dtype)
