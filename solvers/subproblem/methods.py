"""Which methods a regularizer allows, and the direct ones."""

import torch
from torch import Tensor

from solvers.kernels import subproblem_by_kernel
from solvers.regularizers.base import offers
from solvers.regularizers.members import MetricProx, Regularizer, Scalar
from solvers.subproblem.accelerated import accelerated_proximal_gradient
from solvers.subproblem.model import Subproblem
from solvers.subproblem.per_problem import Number
from solvers.subproblem.problems import Problems
from solvers.subproblem.proximal_gradient import proximal_gradient

DIRECT = ("metric_prox", "separable")
ITERATIVE = {"accelerated": accelerated_proximal_gradient, "proximal_gradient": proximal_gradient}
SPLITTING = "splitting"
METHODS = ("auto", *DIRECT, SPLITTING, *ITERATIVE)
#: The splitting takes half of the proxes of the accelerated method where max D/min D is 10 and a small part of them
#: where it is larger, but each with twice the vector operations: below this many entries these cost more than a prox.
MANY_ENTRIES = 256
SMALL_SPREAD = 10.0


def allowed_methods(subproblem: Subproblem) -> tuple[str, ...]:
    """The methods that ``solve`` takes for this problem, the one that "auto" begins with first."""
    methods = available_methods(subproblem)
    if not subproblem.convex:
        return methods
    if methods[0] in DIRECT or not _splitting_first(subproblem):
        return (*methods, SPLITTING)
    return (SPLITTING, *methods)


def in_order(first: str, convex: bool) -> tuple[str, ...]:
    """The methods that "auto" tries in turn."""
    if first in DIRECT or not convex:
        return (first,)
    return (first, "accelerated" if first == SPLITTING else SPLITTING)


def _splitting_first(subproblem: Subproblem) -> bool:
    low, high = (float(bound) for bound in subproblem.D.aminmax())
    return subproblem.B.numel() >= MANY_ENTRIES or high > SMALL_SPREAD * low


def available_methods(subproblem: Subproblem) -> tuple[str, ...]:
    """The methods that the regularizer allows, best first, without the splitting, which every convex psi allows.

    Arguments:
        subproblem: one problem.

    Returns:
        Names that ``solve`` and ``solve_batch`` take as ``method``.
    """
    methods = [member for member in DIRECT if offers(subproblem.regularizer, member)]
    return (*methods, *(["accelerated"] if subproblem.convex else []), "proximal_gradient")


def direct_method(regularizer: Regularizer, method: str = "auto") -> str | None:
    """The direct method that ``method`` means for a regularizer; None where it means one that iterates."""
    return next((member for member in DIRECT if method in ("auto", member) and offers(regularizer, member)), None)


def direct_point(subproblem: Subproblem, method: str = "auto") -> tuple[Tensor, int] | None:
    """The solution in plain torch and the inner iterations it took; None where the regularizer has no such method.

    At lam = 0 it is B/D, whatever the regularizer.
    """
    B, D, lam = subproblem.B, subproblem.D, subproblem.lam
    direct = direct_method(subproblem.regularizer, method)
    if direct == "metric_prox" and offers(subproblem.regularizer, "metric_prox"):
        if _is_zero(lam):
            return B / D, 1
        point, iterations = MetricProx.of(subproblem.regularizer.metric_prox(B, D, lam))
    elif direct == "separable":
        point, iterations = subproblem.prox(B / D, 1 / D), 1
    else:
        return None
    # A tensor is not read, so that no device has to be waited for.
    return (torch.where(lam > 0, point, B / D) if isinstance(lam, Tensor) else point), iterations


def _is_zero(lam: Scalar) -> bool:
    return not isinstance(lam, Tensor) and lam == 0


def directly(problems: Problems, method: str = "auto", backend: str = "auto") -> tuple[Tensor, Number] | None:
    """As ``direct_point`` of every problem; of a single one by a kernel where one knows the regularizer, which counts
    as one iteration.
    """
    if not isinstance(problems, Subproblem):
        return _directly_of_many(problems, method) if direct_method(problems.regularizer, method) else None
    if method in ("auto", *DIRECT) and backend != "plain":
        point = subproblem_by_kernel(problems.B, problems.D, problems.lam, problems.regularizer, backend)
        if point is not None:
            return point, 1
    return direct_point(problems, method)


def _directly_of_many(problems: Problems, method: str) -> tuple[Tensor, Number]:
    def direct(problem: Subproblem) -> tuple[Tensor, Tensor]:
        found = direct_point(problem, method)
        assert found is not None
        return found[0].to(problem.B.dtype), torch.as_tensor(found[1], device=problem.B.device)

    point, iterations = problems.each(direct)
    return point, iterations
