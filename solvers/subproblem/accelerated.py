"""Accelerated proximal gradient with restart, for convex regularizers."""

from collections.abc import Iterator

from torch import Tensor

from solvers.subproblem.criterion import prox_member
from solvers.subproblem.ending import Iterate
from solvers.subproblem.per_problem import Number, PerProblem, complement, root, where
from solvers.subproblem.problems import Problems


def accelerated_proximal_gradient(problems: Problems, start: Tensor, *, step_rule: str = "block") -> Iterator[Iterate]:
    """FISTA (Beck and Teboulle, 2009) with the gradient restart of O'Donoghue and Candes (2015, section 3.2).

    The certificate belongs to the point that is returned, though the step is taken from the extrapolated point. Q need
    not fall at every step; ``solve`` enforces (7b) at the end.
    """
    return _Accelerated(problems, start, step_rule)


class _Accelerated(PerProblem):
    def __init__(self, problems: Problems, start: Tensor, step_rule: str) -> None:
        self._problems, self._theta = problems, 1 / problems.step_lipschitz(step_rule)
        self._Z = self._Y = start
        self._last: Tensor | None = None
        self._t: Number = problems.full(1.0)

    def __iter__(self) -> Iterator[Iterate]:
        return self

    def __next__(self) -> Iterate:
        problems, theta = self._problems, self._problems.along(self._theta, self._Z)
        # Momentum is added when a point is asked for: the last one needs none.
        self._extrapolate(theta)
        w = self._Y - theta * problems.gradient(self._Y)
        self._last, self._Z = self._Z, problems.prox(w, self._theta)
        return Iterate(self._Z, prox_member(problems.gradient(self._Z), w, self._Z, theta))

    def _extrapolate(self, theta: Tensor) -> None:
        """Y, the point to step from, out of the last two."""
        if self._last is None:
            return
        problems, Z, t = self._problems, self._Z, self._t
        move, t_next = Z - self._last, (1 + root(1 + 4 * t * t)) / 2
        # Momentum that points uphill is dropped (1/theta weighs the blocks as the step does), and one that would leave
        # the range of the dtype.
        uphill = problems.product((self._Y - Z) / theta, move) > 0
        Y = Z + problems.along((t - 1) / t_next, Z) * move
        dropped = uphill | complement(problems.finite(Y))
        self._Y, self._t = where(dropped, Z, Y), where(dropped, 1.0, t_next)
