"""What a solve leaves to the next one, whose B, D and lam are a little different."""

from dataclasses import dataclass

from torch import Tensor

from solvers.regularizers.members import ProxWithDerivative

#: What the linear model of a first Newton step misses of the residual, before one was seen.
FIRST_GUESS = 0.1


@dataclass
class Memory:
    """The last prox of a solve, ``Z = prox_{step*psi}(x)``, where the regularizer can differentiate it.

    The multiplier ``lam/step * (x - Z)`` belongs to lam*dpsi(Z) for every lam. So at another lam the prox at ``x`` with
    rho = lam/step is the one that was computed already, and a solve begins with its certificate and a Newton step.

    Attributes:
        x, step: the point and the step of that prox; None and 0 before the first one.
        missed: share of the residual that the linear model of the first Newton step missed.
        prox: what ``prox_with_derivative(x, step)`` returned; where it is None, as after loading, it is computed anew.
    """

    x: Tensor | None = None
    step: float = 0.0
    missed: float = FIRST_GUESS
    prox: ProxWithDerivative | None = None
