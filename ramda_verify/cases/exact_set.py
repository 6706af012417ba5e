"""A constraint as its set is, whatever tolerance its value has.

The value of a set is infinite outside. Written without a tolerance it is infinite at projections, which rounding has
moved; written with one it lets points win that are not of the set. The set itself is where a prox with a vanishing
step moves a point by no more than rounding; that is asked only near the set, so that a wrong projection is still
compared with what value says further out.
"""

import math
from typing import Any

import torch
from torch import Tensor

from solvers.regularizers.base import offers

#: What rounding may move, relative to the size of a point.
ROUNDING = 256 * float(torch.finfo(torch.float64).eps)
#: A value may take points for members of its set that are outside by this share of their size.
LOOSENESS = 1e-5
#: A step at which a prox moves by nothing but a violated constraint, however steep psi is beside its edge.
VANISHING = 1e-60
#: Sizes of points at which psi is tried to find out whether it is infinite somewhere.
TRIED = (0.0, 1e-3, 1.0, 1e3)


def edge(size: Any, count: int) -> Any:
    """How far from a set a point of ``count`` entries up to ``size`` may lie and be a member."""
    return ROUNDING * size * count**0.5


def is_constrained(regularizer: Any, shape: tuple[int, ...]) -> bool:
    """Whether psi is infinite at one of a few points of this shape, or measures the distance to a set."""
    if isinstance(regularizer, ExactSet) or offers(regularizer, "violation"):
        return True
    rising = torch.linspace(-1.0, 2.0, steps=math.prod(shape), dtype=torch.float64)
    signs = torch.where(torch.arange(len(rising)) % 2 == 0, 1.0, -1.0)
    # As matrices these have rank two at most: a set of matrices of low rank shows itself beside others.
    drawn = torch.randn(len(rising), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    points = [*(size * rising for size in TRIED), rising.flip(0), rising * signs, -rising * signs, drawn]
    try:
        return any(float(regularizer.value(point.reshape(shape))) == math.inf for point in points)
    except Exception:
        return False  # the checks report it


def with_exact_set(regularizer: Any, shape: tuple[int, ...]) -> Any:
    """The regularizer itself, or where psi is infinite somewhere the same with a value that is infinite outside the set
    and nowhere else.
    """
    return ExactSet(regularizer) if is_constrained(regularizer, shape) else regularizer


class ExactSet:
    """A regularizer with another value, see above; every other member is its own."""

    def __init__(self, inner: Any) -> None:
        self.inner: Any = inner.inner if isinstance(inner, ExactSet) else inner

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.inner, name)

    def prox(self, w: Tensor, step: Any) -> Tensor:
        """The prox, projected once more: rounding relative to a large w may have left the set by more than that of the
        answer.
        """
        found: Tensor = self.inner.prox(self.inner.prox(w, step), VANISHING)
        return found

    def value(self, w: Tensor) -> Tensor:
        """psi at the point or at its projection, where they are the same up to rounding; infinity where the point is
        outside by less than a tolerance; else what the regularizer says.
        """
        found: Tensor = self.inner.value(w)
        if bool(torch.isnan(found)) or bool(found == -torch.inf):
            return found
        projected = self.inner.prox(w, VANISHING)
        size = float(torch.maximum(w.abs().max(), projected.abs().max()))
        length = size * w.numel() ** 0.5
        distance = self._distance(w, projected)
        if distance <= edge(size, w.numel()):
            return found if bool(found < torch.inf) else self._inside(projected)
        if distance <= LOOSENESS * length or self._is_loose_at(w, projected, size):
            return torch.full_like(found, torch.inf)
        return found

    def _is_loose_at(self, w: Tensor, projected: Tensor, size: float) -> bool:
        """Whether the value is finite at ``w``, outside the set, only because w is small: a tolerance that is a number,
        such as 1e-12, takes in all of a small ball. Where the projection of a multiple of w is that multiple of its
        projection, as of a cone or a subspace, the multiple of size one decides.
        """
        if size >= 1:
            return False
        found = self._value_at_size_one(w, projected, size)
        return found is not None and bool(found == torch.inf)

    def _value_at_size_one(self, w: Tensor, projected: Tensor, size: float) -> Tensor | None:
        """The value at the multiple of ``w`` of size one; None where its projection is not that multiple of ours."""
        # Twice, since the reciprocal of a denormal number is infinite.
        half = 2.0 ** (-math.frexp(size)[1] // 2)
        multiple, expected = w * half * half, projected * half * half
        close = edge(float(multiple.abs().max() + expected.abs().max()), w.numel())
        if float((self.inner.prox(multiple, VANISHING) - expected).abs().max()) > close:
            return None
        found: Tensor = self.inner.value(multiple)
        return found

    def _distance(self, w: Tensor, projected: Tensor) -> float:
        if offers(self.inner, "violation"):
            return float(self.inner.violation(w))
        # hypot, since the squares of 1e-306 are zero.
        return math.hypot(*(w - projected).double().flatten().tolist())

    def _inside(self, projected: Tensor) -> Tensor:
        """psi at a projection, whose value rounding may have made infinite: at the nearest point of a few where it is
        finite, or where a step too short to move it by more than rounding leads, which leaves the wall of a barrier. A
        tolerance that is a number is too small for a large member of a cone: there the multiple of size one decides.
        """
        eps = torch.finfo(projected.dtype).eps
        for factor in (0.0, -1.0, 1.0, -8.0, 8.0, -63.0, 63.0):
            found: Tensor = self.inner.value(projected * (1 + factor * eps))
            if bool(found < torch.inf):
                return found
        size = float(projected.abs().max())
        # -log w moves 0 to the root of the step.
        found = self.inner.value(self.inner.prox(projected, max((ROUNDING * size) ** 2, VANISHING)))
        if bool(found < torch.inf):
            return found
        smaller = self._value_at_size_one(projected, projected, size) if size > 1 else None
        return found if smaller is None or bool(smaller != 0) else smaller
