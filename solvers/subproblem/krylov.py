"""GMRES with a short memory, for the linear systems of a Newton step: they are solved to a digit or two."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from solvers.kernels import numbers_in

#: A new direction is made orthogonal to so many of the last ones. The operators here are symmetric up to a diagonal
#: scaling, so the others are nearly orthogonal to it already (Saad and Wu, 1996: quasi-GMRES).
WINDOW = 2


class Krylov:
    """Solves ``A d = b`` approximately for tensors like ``like``; the basis is allocated once.

    Arguments:
        like: a tensor of the shape, dtype and device of b.
        products: the most applications of A, >= 1.
    """

    def __init__(self, like: Tensor, products: int) -> None:
        self._basis = like.new_empty(products, like.numel())
        self._shape = like.shape

    def solve(self, operator: Callable[[Tensor], Tensor], right: Tensor, tolerance: float) -> tuple[Tensor, float]:
        """d with ``||A d - right|| <= tolerance``, as far as the basis goes, and the estimate of that norm.

        ``right`` has norm 1. NaN or infinities of the operator show in d.
        """
        basis, last = self._basis, len(self._basis) - 1
        basis[0] = right.reshape(-1)
        columns: list[list[float]] = []
        turns: list[tuple[float, float]] = []
        rest = [1.0]
        for k in range(last + 1):
            image = operator(basis[k].view(self._shape)).reshape(-1)
            first = max(0, k + 1 - WINDOW)
            window = basis[first : k + 1]
            overlaps = window @ image
            image.addmv_(window.mT, overlaps, alpha=-1)
            length = math.sqrt(float(torch.dot(image, image)))
            column = [0.0] * first + numbers_in(overlaps)
            for i in range(max(0, first - 1), k):
                (cosine, sine), above, below = turns[i], column[i], column[i + 1]
                column[i], column[i + 1] = cosine * above + sine * below, cosine * below - sine * above
            pivot = math.hypot(column[k], length)
            if not 0 < pivot < math.inf:
                columns.append([*column[:k], math.nan])
                break
            cosine, sine = column[k] / pivot, length / pivot
            turns.append((cosine, sine))
            columns.append([*column[:k], pivot])
            rest.append(-sine * rest[k])
            rest[k] *= cosine
            if abs(rest[k + 1]) <= tolerance or k == last:
                break
            torch.div(image, length, out=basis[k + 1])
        weights = [0.0] * len(columns)
        for i in reversed(range(len(columns))):
            known = sum(columns[j][i] * weights[j] for j in range(i + 1, min(i + 1 + WINDOW, len(columns))))
            weights[i] = (rest[i] - known) / columns[i][i]
        found = torch.tensor(weights, dtype=basis.dtype, device=basis.device) @ basis[: len(weights)]
        return found.view(self._shape), abs(rest[-1])
