"""The soft threshold of singular values together with its derivative, at the price of the smaller Gram matrix.

With h(s) = max(1 - tau/sqrt(s), 0) the prox of ``tau * (nuclear norm)`` at an (m, n) matrix X, m <= n, is
``h(X X') X``, so its derivative follows from that of a matrix function (Daleckii and Krein): in direction H it is

    h(X X') H + U (T o (U' (H X' + X H') U)) U' X,   T_ij = (h(s_i) - h(s_j)) / (s_i - s_j),

U and s the eigenvectors and eigenvalues of X X'. Where a singular value is tau this is one element of the generalised
Jacobian, which is all that a semismooth Newton method asks for (Qi and Sun, 1993). No right singular vector is needed.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from solvers.regularizers.singular_values import left_singular_vectors

#: Below this many rows the larger products are small calls, and fewer of them count more than fewer operations.
FEW_ROWS = 16


@dataclass
class SpectralProx:
    """``Z = U_k diag(1 - tau/sigma_k) U_k' X``, k the singular values above tau, and its derivative; X lies wide.

    ``point`` and the directions of ``derivative`` have the shape of the tensor whose matrix X or X' is.
    """

    wide: Tensor
    left: Tensor
    sigma: Tensor
    threshold: float
    tall: bool
    shape: torch.Size

    def __post_init__(self) -> None:
        self.rank = int((self.sigma > self.threshold).sum())
        self._kept = len(self.sigma) - self.rank
        self._keeps = 1 - self.threshold / self.sigma[self._kept :]
        #: The mean over all singular directions of the left factor h(X X').
        self.gain = float(self._keeps.sum()) / len(self.sigma)
        self._left = self.left.to(self.wide.dtype)
        self._active = self._left[:, self._kept :]
        self._shares = self._keeps.to(self.wide.dtype).unsqueeze(1)
        self._rows = self._active.mT @ self.wide
        point = self._active @ (self._shares * self._rows)
        self.point = self._back(point)

    def derivative(self, direction: Tensor) -> Tensor:
        """The derivative of the prox, applied to a direction."""
        H = _as_matrix(direction)
        H = H.mT if self.tall else H
        return self._back(self._by_rows(H) if self._is_low else self._whole(H))

    def _back(self, wide: Tensor) -> Tensor:
        """In the shape and order of the tensor."""
        return (wide.mT if self.tall else wide).reshape(self.shape)

    @cached_property
    def _is_low(self) -> bool:
        """Whether products with the active rows alone, two more of them, are the fewer operations."""
        return len(self.sigma) > FEW_ROWS and 2 * self.rank <= len(self.sigma)

    @cached_property
    def _unit(self) -> float:
        return float(self.sigma[-1]) if self.rank else 1.0

    @cached_property
    def _scaled(self) -> Tensor:
        """X in units of its largest singular value: third powers of that may be out of range."""
        return self.wide / self._unit

    @cached_property
    def _quotients(self) -> Tensor:
        """Rows of T that belong to active singular values, (rank, m), X in units of its largest singular value."""
        sigma, tau = self.sigma / self._unit, self.threshold / self._unit
        active, lost = sigma[self._kept :].unsqueeze(1), sigma[: self._kept]
        among = tau / (active * sigma[self._kept :] * (active + sigma[self._kept :]))
        across = self._keeps.unsqueeze(1) / ((active - lost) * (active + lost))
        return torch.cat([across, among], 1).to(self.wide.dtype)

    @cached_property
    def _all_quotients(self) -> Tensor:
        found = self._quotients.new_zeros(len(self.sigma), len(self.sigma))
        found[self._kept :] = self._quotients
        found[:, self._kept :] = self._quotients.mT
        return found

    @cached_property
    def _left_factor(self) -> Tensor:
        return (self._active * self._shares.mT) @ self._active.mT

    def _whole(self, H: Tensor) -> Tensor:
        products = H @ self._scaled.mT
        inner = self._left.mT @ (products + products.mT) @ self._left
        lifted = self._left @ inner.mul_(self._all_quotients) @ self._left.mT
        return torch.mm(self._left_factor, H).addmm_(lifted, self._scaled)

    def _by_rows(self, H: Tensor) -> Tensor:
        rows = self._active.mT @ H
        products = torch.addmm(rows @ self._scaled.mT, self._rows / self._unit, H.mT)
        inner = (products @ self._left).mul_(self._quotients)
        lifted = (rows * self._shares).addmm_(inner @ self._left.mT, self._scaled)
        lost = self._left[:, : self._kept]
        return (self._active @ lifted).addmm_(lost @ inner[:, : self._kept].mT, self._rows / self._unit)


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
        vectors, values, _ = torch.linalg.svd(wide, full_matrices=False)
        left, sigma = vectors.flip(1), values.flip(0)
    else:
        left, sigma = left_singular_vectors(wide)
    return SpectralProx(wide, left, sigma, threshold, tall, w.shape)
