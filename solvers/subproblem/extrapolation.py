"""Where a splitting goes next: by a Newton step or by Anderson's method."""

from torch import Tensor

from solvers.regularizers.members import ProxWithDerivative
from solvers.subproblem.anderson import Anderson
from solvers.subproblem.newton import Newton
from solvers.subproblem.per_problem import Flag, PerProblem, any_of
from solvers.subproblem.problems import Problems


class Extrapolation(PerProblem):
    """Where to go from x: by a Newton step where the prox was differentiated, else by Anderson's method.

    A Newton step that was not kept is followed by Anderson steps, twice as many each time. Of a batch no prox is
    differentiated.
    """

    def __init__(self, problems: Problems, newton: Newton | None) -> None:
        self._problems, self._newton = problems, newton
        self._anderson: Anderson | None = None
        self._pause, self._left = 1, 0

    def propose(
        self, x: Tensor, prox: ProxWithDerivative | None, member: Tensor, move: Tensor, rho: Tensor
    ) -> tuple[Tensor, Flag]:
        """The next point, and whether it is an extrapolated one; else it is that of the plain step."""
        if self._newton is not None and prox is not None and self._left == 0:
            proposed = self._newton.propose(x, prox, member, rho)
            if proposed is not None:
                return proposed, True
            self._left = self._pause
        if self._newton is not None:
            self._newton.forget()
        self._left = max(self._left - 1, 0)
        self._anderson = self._anderson or Anderson(self._problems, x)
        return self._anderson.propose(x, move)

    def serves(self, member: Tensor) -> bool:
        """Whether a Newton step, where one led here, is worth keeping."""
        return self._newton is None or self._newton.serves(member)

    def forget(self, where_so: Flag) -> None:
        """Start anew, as after a new rho."""
        if any_of(where_so) and self._newton is not None:
            self._newton.forget()
        if any_of(where_so) and self._anderson is not None:
            self._anderson.forget(where_so)

    def fail(self, where_so: Flag) -> None:
        """Take in that the last proposal was not kept."""
        if any_of(where_so) and self._left == 0:
            self._left, self._pause = self._pause, 2 * self._pause
        self.forget(where_so)
