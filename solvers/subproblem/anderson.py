"""Anderson acceleration of a fixed-point iteration: the next point from the last few, by least squares."""

import torch
from torch import Tensor

from solvers.subproblem.scale_free import is_finite, norm

#: Differences kept. Measured on nuclear-norm subproblems: 3 cost two or three iterations more, 10 save one.
MEMORY = 6
#: Ridge of the least squares problem, relative to the mean diagonal: bounds the coefficients when differences align.
RIDGE = 1e-8


class Anderson:
    """Extrapolates ``x <- T(x)`` (Anderson, 1965; type II of Fang and Saad, 2009).

    With ``move = T(x) - x`` and differences of successive points and moves in ``dX`` and ``dF``, the next point is
    ``x + move - (dX + dF)' gamma``, gamma the minimiser of ``||move - dF' gamma||``. Differences lie in two ring
    buffers of MEMORY rows; one row and one row of the Gram matrix ``dF dF'`` are new each time. Moves are kept in units
    of the first one, since the Gram matrix squares them; gamma has no unit.
    """

    def __init__(self, like: Tensor) -> None:
        self._moves = like.new_zeros(MEMORY, like.numel())
        self._images = like.new_zeros(MEMORY, like.numel())
        self._gram = torch.zeros(MEMORY, MEMORY, dtype=torch.float64, device=like.device)
        self.forget()

    def forget(self) -> None:
        """Start anew, as after a step that the method did not propose."""
        self._count = 0
        self._last: tuple[Tensor, Tensor] | None = None
        self._unit = 0.0

    def propose(self, x: Tensor, move: Tensor) -> Tensor | None:
        """The extrapolated next point, or None where nothing is known yet and the plain step is to be taken."""
        last, self._last = self._last, (x, move)
        if last is None:
            self._unit = norm(move)
            return None
        slot = self._count % MEMORY
        self._count += 1
        difference = (move - last[1]).flatten()
        torch.div(difference, self._unit, out=self._moves[slot])
        torch.add((x - last[0]).flatten(), difference, out=self._images[slot])
        used = min(self._count, MEMORY)
        moves = self._moves[:used]
        row = (moves @ self._moves[slot]).double()
        self._gram[slot, :used] = row
        self._gram[:used, slot] = row
        gram = self._gram[:used, :used]
        ridge = RIDGE * gram.diagonal().mean() * torch.eye(used, dtype=gram.dtype, device=gram.device)
        gamma, info = torch.linalg.solve_ex(gram + ridge, (moves @ (move / self._unit).flatten()).double())
        # Differences of zero or beyond the range of the dtype teach nothing.
        if bool(info != 0) or not bool(torch.isfinite(gamma).all()):
            return None
        proposed = x + move - (gamma.to(x.dtype) @ self._images[:used]).reshape(x.shape)
        return proposed if is_finite(proposed) else None
