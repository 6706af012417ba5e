"""Anderson acceleration of a fixed-point iteration: the next point from the last few, by least squares."""

from typing import Any

import torch
from torch import Tensor

from solvers.subproblem.per_problem import Flag, Number, PerProblem, all_of, any_of, complement, where
from solvers.subproblem.problems import Problems

#: Differences kept. Measured on nuclear-norm subproblems: 3 cost two or three iterations more, 10 save one.
MEMORY = 6
#: Ridge of the least squares problem, relative to the mean diagonal: bounds the coefficients when differences align.
RIDGE = 1e-8


class Anderson(PerProblem):
    """Extrapolates ``x <- T(x)`` (Anderson, 1965; type II of Fang and Saad, 2009).

    With ``move = T(x) - x`` and differences of successive points and moves in ``dX`` and ``dF``, the next point is
    ``x + move - (dX + dF)' gamma``, gamma the minimiser of ``||move - dF' gamma||``. Differences lie in two ring
    buffers of MEMORY rows; one row and one row of the Gram matrix ``dF dF'`` are new each time. Moves are kept in units
    of the first one, since the Gram matrix squares them; gamma has no unit.

    Arguments:
        problems: one or many; only their number and shape count.
        like: a point, of the shape, dtype and device of all points.
    """

    def __init__(self, problems: Problems, like: Tensor) -> None:
        self._problems = problems
        batch = like.shape[: problems.lead]
        self._moves = like.new_zeros(*batch, MEMORY, problems.entries)
        self._images = torch.zeros_like(self._moves)
        self._gram = torch.zeros(*batch, MEMORY, MEMORY, dtype=torch.float64, device=like.device)
        self._last: tuple[Tensor, Tensor] | None = None
        self._unit: Number = problems.full(0.0)
        self._count: Number = problems.full(0)
        self._new: Flag = problems.full(True)

    def forget(self, where_so: Flag) -> None:
        """Start anew, as after a step that the method did not propose."""
        self._count, self._new = where(where_so, 0, self._count), where_so | self._new
        if isinstance(where_so, Tensor):
            # A single problem uses the rows it has filled; in a batch all have as many, and those not filled are zero.
            for rows in (self._moves, self._images, self._gram):
                rows[where_so] = 0

    def propose(self, x: Tensor, move: Tensor) -> tuple[Tensor, Flag]:
        """The extrapolated next point, and whether there is one; where nothing is known yet, the plain step."""
        problems, flat = self._problems, self._problems.flat
        plain, new, last = x + move, self._new, self._last
        self._last, self._new = (x, move), problems.full(False)
        if any_of(new):
            self._unit = where(new, problems.norm(move), self._unit)
        if last is None or all_of(new):
            return plain, problems.full(False)
        at = self._slot()
        difference, unit = flat(move - last[1]), problems.along(self._unit, flat(move))
        self._moves[at] = difference / unit
        self._images[at] = flat(x - last[0]) + difference
        # The row of a problem that began anew is overwritten by the first difference that it has.
        self._count = self._count + complement(new)
        used = min(int(self._count.max()) if isinstance(self._count, Tensor) else self._count, MEMORY)
        moves = self._moves[..., :used, :]
        row = _products(moves, self._moves[at]).double()
        self._gram[(*at, slice(used))] = row
        self._gram[(*at[:-1], slice(used), at[-1])] = row
        gram = self._gram[..., :used, :used]
        system = gram.clone()
        system.diagonal(dim1=-2, dim2=-1).add_(self._ridge(gram, used))
        gamma, info = torch.linalg.solve_ex(system, _products(moves, flat(move) / unit).double())
        proposed = plain - _products(self._images[..., :used, :].mT, gamma.to(x.dtype)).reshape(x.shape)
        # Differences of zero or beyond the range of the dtype teach nothing.
        known = problems.read((info == 0) & torch.isfinite(gamma).all(-1))
        known = known & complement(new) & problems.finite(proposed)
        return where(known, proposed, plain), known

    def _slot(self) -> tuple[Any, ...]:
        """The index of the row to write to, of each problem."""
        slot = self._count % MEMORY
        return (torch.arange(len(slot), device=slot.device), slot) if isinstance(slot, Tensor) else (slot,)

    def _ridge(self, gram: Tensor, used: int) -> Tensor:
        """What is added to the diagonal; 1 where a row is not filled."""
        total = gram.diagonal(dim1=-2, dim2=-1).sum(-1, keepdim=True)
        if isinstance(self._count, int):
            return RIDGE * (total / used)
        filled = self._count.unsqueeze(1)
        ridge = RIDGE * (total / filled.clamp(1, MEMORY))
        return torch.where(torch.arange(used, device=gram.device) < filled, ridge, 1.0)


def _products(matrix: Tensor, vector: Tensor) -> Tensor:
    """The matrix of each problem times its vector."""
    return matrix @ vector if vector.ndim == 1 else (matrix @ vector.unsqueeze(-1)).squeeze(-1)
