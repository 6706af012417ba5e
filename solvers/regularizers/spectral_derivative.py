"""The soft threshold of singular values together with its derivative, at the price of the smaller Gram matrix.

With h(s) = max(1 - tau/sqrt(s), 0) the prox of ``tau * (nuclear norm)`` at an (m, n) matrix X, m <= n, is
``h(X X') X``, so its derivative follows from that of a matrix function (Daleckii and Krein, 1965): in direction H

    h(X X') H + U (T o (U' (H X' + X H') U)) U' X,   T_ij = (h(s_i) - h(s_j)) / (s_i - s_j),

U and s the eigenvectors and eigenvalues of X X'. Where a singular value is tau this is one element of the generalised
Jacobian, which is all that a semismooth Newton method asks for (Qi and Sun, 1993). No right singular vector is needed,
so that the eigenvectors of the Gram matrix do.

T is large where singular values are small. With N = diag(max(sigma_i, tau)) and Y = N^-1 U' X, whose rows have at most
length 1, the second term is ``U (C1 o K + C2 o K') Y``, K = U' H Y', and the entries of ``C1 = T N^2`` and
``C2 = N T N`` are at most 1. A product U' X is rounded relative to the largest singular value: where N is not larger
than that, a row of Y would be all rounding. Where there are right singular vectors the row is ``sigma_i v_i'``; where
there are none it is set to zero, which gives the derivative at a matrix that differs from X by that rounding.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from solvers.regularizers.singular_values import left_singular_vectors

#: Below this many rows the larger products are small calls, and fewer of them count more than fewer operations.
FEW_ROWS = 16
#: What a row of U' X is rounded by, in units of eps and the largest singular value.
ROUNDED_ROW = 16


@dataclass
class SpectralProx:
    """``Z = U_k diag(1 - tau/sigma_k) U_k' X``, k the singular values above tau, and its derivative; X lies wide.

    ``point`` and the directions of ``derivative`` have the shape of the tensor whose matrix X or X' is. ``left`` and
    ``sigma`` are U and the singular values in ascending order, ``right`` is V' where there is a full decomposition.
    """

    wide: Tensor
    left: Tensor
    sigma: Tensor
    right: Tensor | None
    threshold: float
    tall: bool
    shape: torch.Size

    def __post_init__(self) -> None:
        self.rank = int((self.sigma > self.threshold).sum())
        self._lost = len(self.sigma) - self.rank
        self._shares = (self.sigma[self._lost :] - self.threshold) / self.sigma[self._lost :]
        #: The mean eigenvalue of the left factor h(X X').
        self.gain = float(self._shares.sum()) / len(self.sigma)
        self._left = self.left.to(self.wide.dtype)
        self._active = self._left[:, self._lost :]
        self._factors = self._shares.to(self.wide.dtype).unsqueeze(1)
        self._rows = self._rows_at(slice(self._lost, None))
        self.point = self._back(self._active @ (self._factors * self._rows))

    def derivative(self, direction: Tensor) -> Tensor:
        """The derivative of the prox, applied to a direction."""
        H = _as_matrix(direction)
        H = H.mT if self.tall else H
        return self._back(self._by_rows(H) if self._is_low else self._whole(H))

    def _back(self, wide: Tensor) -> Tensor:
        """In the shape and order of the tensor."""
        return (wide.mT if self.tall else wide).reshape(self.shape)

    def _rows_at(self, which: slice) -> Tensor:
        """Rows of U' X."""
        if self.right is None:
            return self._left[:, which].mT @ self.wide
        return self.sigma[which].unsqueeze(1) * self.right[which]

    @cached_property
    def _is_low(self) -> bool:
        """Whether products with the active rows alone, six instead of three, are the fewer operations."""
        return len(self.sigma) > FEW_ROWS and 2 * self.rank < len(self.sigma)

    @cached_property
    def _lengths(self) -> Tensor:
        """The diagonal of N, positive where a singular value and the threshold are both zero, too."""
        lengths = self.sigma.clamp_min(self.threshold)
        positive = lengths[lengths > 0]
        return torch.where(lengths > 0, lengths, positive[0]) if len(positive) else torch.ones_like(lengths)

    @cached_property
    def _unit_rows(self) -> Tensor:
        """Y."""
        rows = torch.cat([self._rows_at(slice(self._lost)), self._rows])
        lengths = self._lengths.unsqueeze(1)
        if self.right is None:
            info = torch.finfo(rows.dtype)
            known = lengths > torch.clamp(ROUNDED_ROW * info.eps * self.sigma[-1], min=info.tiny)
            lengths = torch.where(known, lengths, torch.inf)
        return rows / lengths.to(rows.dtype)

    @cached_property
    def _coefficients(self) -> tuple[Tensor, Tensor]:
        """C1 and C2, in float64 up to here: differences of close singular values are not small numbers rounded."""
        sigma, N = self.sigma / self._lengths[-1], self._lengths / self._lengths[-1]
        tau, lost = self.threshold / float(self._lengths[-1]), self._lost
        quotients = sigma.new_zeros(len(sigma), len(sigma))
        active, rest = sigma[lost:].unsqueeze(1), sigma[:lost]
        # In units of N on both sides: tau/(a*b*(a + b)) * a*b, and (1 - tau/a)/((a - b)*(a + b)) * a*tau.
        quotients[lost:, lost:] = tau / (active + active.mT)
        quotients[lost:, :lost] = self._shares.unsqueeze(1) / (active - rest) * (active / (active + rest)) * N[:lost]
        quotients[:lost, lost:] = quotients[lost:, :lost].mT
        return (quotients * N / N.unsqueeze(1)).to(self.wide.dtype), quotients.to(self.wide.dtype)

    @cached_property
    def _left_factor(self) -> Tensor:
        return (self._active * self._factors.mT) @ self._active.mT

    def _whole(self, H: Tensor) -> Tensor:
        straight, crossed = self._coefficients
        K = self._left.mT @ (H @ self._unit_rows.mT)
        turned = self._left @ torch.addcmul(straight * K, crossed, K.mT)
        return torch.mm(self._left_factor, H).addmm_(turned, self._unit_rows)

    def _by_rows(self, H: Tensor) -> Tensor:
        (straight, crossed), lost, Y = self._coefficients, self._lost, self._unit_rows
        rows = self._active.mT @ H
        K_rows, K_columns = rows @ Y.mT, self._left.mT @ (H @ Y[lost:].mT)
        active = torch.addcmul(straight[lost:] * K_rows, crossed[lost:], K_columns.mT)
        rest = torch.addcmul(straight[:lost, lost:] * K_columns[:lost], crossed[:lost, lost:], K_rows[:, :lost].mT)
        found = self._active @ (rows * self._factors).addmm_(active, Y)
        return found.addmm_(self._left[:, :lost] @ rest, Y[lost:])


def _as_matrix(tensor: Tensor) -> Tensor:
    return tensor.reshape(tensor.shape[0], -1)


def spectral_prox(w: Tensor, threshold: float) -> SpectralProx:
    """The prox of ``threshold * (nuclear norm)`` at a float32 or float64 tensor, seen as the matrix (first axis, all
    others), with its derivative.

    float64 matrices are decomposed themselves, narrower ones by their Gram matrix in float64, see ``singular_values``.
    """
    matrix = _as_matrix(w)
    tall = matrix.shape[0] > matrix.shape[1]
    wide = matrix.mT.contiguous() if tall else matrix
    if matrix.dtype == torch.float64:
        vectors, values, others = torch.linalg.svd(wide, full_matrices=False)
        left, sigma, right = vectors.flip(1), values.flip(0), others.flip(0)
    else:
        (left, sigma), right = left_singular_vectors(wide), None
    return SpectralProx(wide, left, sigma, right, threshold, tall, w.shape)
