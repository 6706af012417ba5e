"""The optional members in float32, the dtype in which training asks them."""

import numpy as np
import torch
from torch import Tensor

from ramda_verify import tolerances
from ramda_verify.cases.strategies import subproblem_cases
from ramda_verify.checks.helpers import Array, finite, needs, psi_value, size, tensor
from ramda_verify.engine.property import check
from ramda_verify.engine.record import Measurement, NothingClaimed
from ramda_verify.engine.worst import Worst, relative
from solvers.regularizers.base import offers
from solvers.regularizers.members import MetricProx, Regularizer

#: Numbers whose products and quotients float32 holds.
SMALLEST, LARGEST = 1e-12, 1e12


@check(
    "members-in-float32",
    claim="Direct solutions in float32 agree with float64 to a few units of its epsilon; subgradients are finite.",
    source="the contract of a regularizer",
    kind="regularizer",
    tolerance=tolerances.FLOAT32,
    cases=lambda target: subproblem_cases(target.instances, max_condition=1e2, extreme=False),
    applies=needs("metric_prox", "separable", "subgradient_residual", "blockwise_max"),
    share=0.5,
)
def measure_narrow(regularizer: Regularizer, B: Array, D: Array, lam: float) -> Measurement:
    """Direct solutions in float32 are those in float64 of the same numbers, in units of what float32 makes of B/D, or
    their Q is as low; subgradient_residual and blockwise_max are finite numbers of the dtype.
    """
    b, d = tensor(B, torch.float32), tensor(D, torch.float32)
    sizes = [D.min(), D.max(), lam, *([size(B)] if B.any() else [])]
    if not (min(sizes) > SMALLEST and max(sizes) < LARGEST):
        raise NothingClaimed("float32 does not hold the case")
    worst = Worst()
    zero = torch.zeros_like(b)
    # Where psi is infinite it has no subgradient.
    points = {"zero": zero} if psi_value(regularizer, zero.numpy()) < np.inf else {}
    exact = _direct(regularizer, b.double(), d.double(), lam)
    for name, Z in _direct(regularizer, b, d, lam).items():
        points[name] = _of_the_kind(name, Z, b)
        unit = torch.finfo(b.dtype).eps * (size(b) / float(d.min()) + size(exact[name]))
        apart = relative(float((Z.double() - exact[name]).abs().max()), unit)
        deviation = apart if apart <= 1 else min(apart, _rise(regularizer, b, d, lam, Z, exact[name]))
        worst.see(deviation, f"{name} in float32 is {deviation:.3g} epsilons away from float64")
    for name, Z in points.items():
        if offers(regularizer, "subgradient_residual"):
            found = regularizer.subgradient_residual(Z, d * Z - b, lam)
            _of_the_kind(f"subgradient_residual at {name}", found, b)
            worst.see(0.0)
    if offers(regularizer, "blockwise_max"):
        _of_the_kind("blockwise_max", torch.broadcast_to(regularizer.blockwise_max(d), d.shape), d)
        worst.see(0.0)
    return worst.measurement()


def _direct(regularizer: Regularizer, B: Tensor, D: Tensor, lam: float) -> dict[str, Tensor]:
    """The solutions of the subproblem that the regularizer has in closed form."""
    found = {}
    if offers(regularizer, "metric_prox"):
        found["metric_prox"] = MetricProx.of(regularizer.metric_prox(B, D, lam)).point
    if offers(regularizer, "separable"):
        found["prox with a step per entry"] = regularizer.prox(B / D, lam / D)
    return found


def _of_the_kind(name: str, found: Tensor, like: Tensor) -> Tensor:
    """The tensor, if it is a finite one of the dtype and shape of another. Raises ArithmeticError, a finding."""
    if found.dtype != like.dtype or found.shape != like.shape:
        raise ArithmeticError(f"{name} is {found.dtype} of shape {tuple(found.shape)} for {like.dtype} of {like.shape}")
    return finite(name, found)


def _rise(regularizer: Regularizer, B: Tensor, D: Tensor, lam: float, found: Tensor, exact: Tensor) -> float:
    """How much higher Q is at ``found`` than at ``exact``, in epsilons of float32 of its terms."""
    centre, metric = (B.double() / D.double()).numpy(), D.double().numpy()

    def objective(point: Tensor) -> float:
        z = point.double().numpy()
        return 0.5 * float((metric * (z - centre) ** 2).sum()) + lam * psi_value(regularizer, z)

    theirs = objective(exact)
    scale = abs(theirs) + 0.5 * float((metric * centre**2).sum())
    return relative(objective(found) - theirs, float(np.finfo(np.float32).eps) * scale)
