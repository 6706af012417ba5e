"""Solve a subproblem: choose the method that its regularizer allows, certify the point, enforce (7b)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from solvers import validate
from solvers.kernels import subproblem_by_kernel
from solvers.regularizers.base import offers
from solvers.subproblem.accelerated import accelerated_proximal_gradient
from solvers.subproblem.criterion import certainly_descends, descends, exact_member, residual_norm, rounding_floor
from solvers.subproblem.iterate import Ending, Iterate, Observer, best_residual, run, run_by_certificates
from solvers.subproblem.model import Subproblem
from solvers.subproblem.proximal_gradient import proximal_gradient
from solvers.subproblem.result import Solution, Status
from solvers.subproblem.screening import screen
from solvers.subproblem.splitting import splitting

DIRECT = ("metric_prox", "separable")
ITERATIVE = {"accelerated": accelerated_proximal_gradient, "proximal_gradient": proximal_gradient}
SPLITTING = "splitting"
METHODS = ("auto", *DIRECT, SPLITTING, *ITERATIVE)
#: Below this many entries a prox costs less than the vector operations of an extrapolation, so that counting proxes is
#: beside the point; ``solve_batch``, made for many small problems, has no splitting.
MANY_ENTRIES = 256


def allowed_methods(subproblem: Subproblem) -> tuple[str, ...]:
    """The methods that ``solve`` takes for this problem, the one that "auto" means first."""
    methods = available_methods(subproblem)
    if not subproblem.convex:
        return methods
    if methods[0] in DIRECT or subproblem.B.numel() < MANY_ENTRIES:
        return (*methods, SPLITTING)
    return (SPLITTING, *methods)


def available_methods(subproblem: Subproblem) -> tuple[str, ...]:
    """The methods that the regularizer allows and ``solve_batch`` has as well, best first."""
    methods = [member for member in DIRECT if offers(subproblem.regularizer, member)]
    return (*methods, *(["accelerated"] if subproblem.convex else []), "proximal_gradient")


def direct_point(subproblem: Subproblem, method: str = "auto") -> tuple[Tensor, int] | None:
    """The solution in plain torch and the inner iterations it took; None where the regularizer has no such method."""
    if method in ("auto", "metric_prox") and offers(subproblem.regularizer, "metric_prox"):
        found = subproblem.regularizer.metric_prox(subproblem.B, subproblem.D, subproblem.lam)
        return tuple(found) if isinstance(found, tuple) else (found, 1)
    if method in ("auto", "separable") and offers(subproblem.regularizer, "separable"):
        return subproblem.prox(subproblem.B / subproblem.D, 1 / subproblem.D), 1
    return None


def directly(subproblem: Subproblem, method: str = "auto", backend: str = "auto") -> tuple[Tensor, int] | None:
    """As ``direct_point``, by a kernel where one knows the regularizer, which counts as one iteration."""
    if method in ("auto", *DIRECT) and backend != "plain":
        point = subproblem_by_kernel(subproblem.B, subproblem.D, subproblem.lam, subproblem.regularizer, backend)
        if point is not None:
            return point, 1
    return direct_point(subproblem, method)


def solve(
    subproblem: Subproblem,
    reference: Tensor | None = None,
    *,
    tolerance: float,
    max_iterations: int = 1000,
    method: str = "auto",
    step_rule: str = "block",
    warm_starts: Sequence[Tensor] = (),
    observe: Observer | None = None,
    check_values: bool = True,
    report_objective: bool = True,
    backend: str = "auto",
) -> Solution:
    """Minimise Q until criterion (7) holds with eps_t = ``tolerance``.

    ``reference`` is W^{t-1}: iterative methods start there (or from the member of ``warm_starts`` with a lower Q; from
    zero where there is neither) and the result never has a higher objective. ``method`` is "auto" or one of
    ``allowed_methods(subproblem)``; "splitting" does not compare, it starts at the first of ``warm_starts``, because
    two values of psi cost it more than they save. ``observe(iteration, point, residual)`` follows an iterative method.
    Without ``report_objective`` the objective of the Solution is NaN: for the nuclear norm its value in float64 takes
    as long as an iteration. ``backend`` is "auto" to solve a direct method's problem by a kernel where one knows the
    regularizer, "native" or "plain".

    Returns a Solution whose status says how it ended; non-convergence does not raise. Raises ValueError or TypeError
    on bad arguments, before anything is computed.
    """
    validate.nonnegative("tolerance", tolerance)
    validate.positive_integer("max_iterations", max_iterations)
    validate.one_of("method", method, ("auto", *allowed_methods(subproblem)))
    validate.one_of("backend", backend, ("auto", "plain", "native"))
    for name, tensor in [
        ("reference", reference),
        *((f"warm_starts[{i}]", w) for i, w in enumerate(warm_starts)),
    ]:
        if tensor is not None:
            validate.floating_tensor(name, tensor)
            validate.same_kind(name, tensor, "B", subproblem.B)
    if check_values:
        subproblem.check_values()

    chosen = method if method != "auto" else allowed_methods(subproblem)[0]
    found = directly(subproblem, chosen, backend)
    if found is not None:
        ending = certify(subproblem, *found, tolerance)
    else:
        if chosen == SPLITTING:
            start = warm_starts[0] if warm_starts else _best_start(subproblem, reference, ())
            # Unscreened: it gains nothing where psi does not separate, and the spectral norm costs as much as a step.
            steps = splitting(subproblem, start)
            ending = run_by_certificates(
                subproblem, steps, start, tolerance=tolerance, max_iterations=max_iterations, observe=observe
            )
        else:
            start = _best_start(subproblem, reference, warm_starts)
            if subproblem.convex:
                start = screen(subproblem, start)
            steps = ITERATIVE[chosen](subproblem, start, step_rule=step_rule)
            ending = run(subproblem, steps, start, tolerance=tolerance, max_iterations=max_iterations, observe=observe)
    descent = None
    if reference is not None:
        ending, descent = _enforce_descent(subproblem, ending, reference)
    return Solution(
        point=ending.point,
        status=ending.status,
        iterations=ending.iterations,
        residual=ending.residual,
        objective=float(subproblem.objective(ending.point)) if report_objective else math.nan,
        tolerance=tolerance,
        method=chosen,
        descent=descent,
    )


def _best_start(subproblem: Subproblem, reference: Tensor | None, warm_starts: Sequence[Tensor]) -> Tensor:
    starts = [*([] if reference is None else [reference]), *warm_starts]
    if not starts:
        return torch.zeros_like(subproblem.B)
    if len(starts) == 1:
        return starts[0]
    return min(starts, key=lambda start: float(subproblem.objective(start)))


def certify(subproblem: Subproblem, point: Tensor, iterations: int, tolerance: float) -> Ending:
    """Residual and status of a direct solution; without an exact subgradient one PG step from it brings a
    certificate.
    """
    if not bool(torch.isfinite(point).all()):
        return Ending(torch.zeros_like(point), Status.NON_FINITE, iterations, math.inf)
    exact = exact_member(subproblem, point)
    if exact is not None:
        residual = residual_norm(subproblem, exact)
    else:
        step: Iterate = next(proximal_gradient(subproblem, point))
        point, residual = step.point, best_residual(subproblem, step)
    if residual <= tolerance:
        status = Status.CONVERGED
    elif residual <= rounding_floor(subproblem):
        status = Status.PRECISION_LIMIT
    else:
        status = Status.NOT_STATIONARY
    return Ending(point, status, iterations, residual)


def _enforce_descent(subproblem: Subproblem, ending: Ending, reference: Tensor) -> tuple[Ending, bool]:
    """(7b): where the objective rose, one PG step from the reference, and the reference itself if rounding
    spoils that.
    """
    if ending.status is not Status.NON_FINITE:
        member = ending.member if subproblem.convex else None
        if member is not None and certainly_descends(subproblem, ending.point, member, reference):
            return ending, True
        if descends(subproblem, ending.point, reference):
            return ending, True
    step = next(proximal_gradient(subproblem, reference))
    if bool(torch.isfinite(step.point).all()) and descends(subproblem, step.point, reference):
        point, residual = step.point, best_residual(subproblem, step)
    else:
        exact = exact_member(subproblem, reference)
        point, residual = reference, math.inf if exact is None else residual_norm(subproblem, exact)
    status = ending.status if ending.status is Status.NON_FINITE else Status.FELL_BACK
    return Ending(point, status, ending.iterations, residual), False
