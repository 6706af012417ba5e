"""Solve a subproblem: choose the method that its regularizer allows, certify the point, enforce (7b)."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from solvers import validate
from solvers.kernels import subproblem_by_kernel
from solvers.regularizers.base import offers
from solvers.regularizers.zero import Zero
from solvers.subproblem.accelerated import accelerated_proximal_gradient
from solvers.subproblem.criterion import certainly_descends, descends, exact_member, residual_norm, rounding_floor
from solvers.subproblem.iterate import Ending, Iterate, Observer, best_residual, run
from solvers.subproblem.model import Subproblem
from solvers.subproblem.pace import Pace
from solvers.subproblem.proximal_gradient import proximal_gradient
from solvers.subproblem.relay import in_turn
from solvers.subproblem.result import Leg, Solution, Status
from solvers.subproblem.scale_free import is_finite
from solvers.subproblem.screening import screen
from solvers.subproblem.splitting import splitting

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


def _splitting_first(subproblem: Subproblem) -> bool:
    low, high = (float(bound) for bound in subproblem.D.aminmax())
    return subproblem.B.numel() >= MANY_ENTRIES or high > SMALL_SPREAD * low


def available_methods(subproblem: Subproblem) -> tuple[str, ...]:
    """The methods that the regularizer allows and ``solve_batch`` has as well, best first."""
    methods = [member for member in DIRECT if offers(subproblem.regularizer, member)]
    return (*methods, *(["accelerated"] if subproblem.convex else []), "proximal_gradient")


def direct_point(subproblem: Subproblem, method: str = "auto") -> tuple[Tensor, int] | None:
    """The solution in plain torch and the inner iterations it took; None where the regularizer has no such method.

    At lam = 0 it is B/D, whatever the regularizer.
    """
    B, D, lam = subproblem.B, subproblem.D, subproblem.lam
    if method in ("auto", "metric_prox") and offers(subproblem.regularizer, "metric_prox"):
        if _is_zero(lam):
            return B / D, 1
        found = subproblem.regularizer.metric_prox(B, D, lam)
        point, iterations = tuple(found) if isinstance(found, tuple) else (found, 1)
    elif method in ("auto", "separable") and offers(subproblem.regularizer, "separable"):
        point, iterations = subproblem.prox(B / D, 1 / D), 1
    else:
        return None
    # A tensor is not read, so that no device has to be waited for.
    return (torch.where(lam > 0, point, B / D) if isinstance(lam, Tensor) else point), iterations


def _is_zero(lam: Any) -> bool:
    return not isinstance(lam, Tensor) and lam == 0


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
    """Minimise ``Q(Z) = 1/2<Z, D*Z> - <B, Z> + lam*psi(Z)`` until criterion (7) of the paper holds with eps_t =
    ``tolerance``: ||s|| <= tolerance for some s in dQ(Z), and Q(Z) <= Q(reference).

    The certificates are those of the problem at any scale: B, lam and the tolerance multiplied by s give s times the
    point and the residual, by the same iterations and with the same status, as far as the numbers themselves are in the
    range of the dtype. Below its smallest normal number they are rounded coarsely and the rounding level, from which on
    a status is PRECISION_LIMIT, takes that in. At lam = 0 the solution is B/D, bit for bit, and nothing iterates.

    Arguments:
        subproblem: B, D, lam and the regularizer; B and D of one shape, dtype (any floating-point one) and device.
        reference: W^{t-1}, of the shape, dtype and device of B. Iterative methods start there and the result never has
            a higher objective. Default: none, start at zero.
        tolerance: eps_t >= 0, in the units of B, of the undivided problem where ``subproblem.scale`` is not 1.
        max_iterations: budget >= 1 of iterations, one prox each, of all methods together; a direct method has none.
        method: "auto", or one of ``allowed_methods(subproblem)``. "auto" is the direct method where the regularizer has
            one. For another convex psi it is "splitting", or "accelerated" where the metric is even (max D <= 10 min D)
            and there are fewer than 256 entries; where the pace of the first shows that it will miss the tolerance
            within the budget, the other takes over from the best point so far, and where both do, the faster one
            goes on. For a psi that is not known to be convex it is "proximal_gradient".
        step_rule: "block", one step size for each block of a regularizer that separates, or "global", one for all as in
            the paper. The splitting and the direct methods have no step size.
        warm_starts: more points to start from, of the kind of B. The one with the lowest Q is taken, the reference
            among them; "splitting" with 256 entries or more starts at the first, because two values of psi cost it more
            than they save.
        observe: called as ``observe(iteration, point, residual)`` after every iteration, from 1.
        check_values: whether to raise where B, D or a start has a NaN or an infinity, D an entry <= 0, lam is
            negative. Reads numbers from the device; the optimizers, whose gradients are checked already, leave it out.
        report_objective: whether to compute Solution.objective, which is NaN without: for the nuclear norm its value
            in float64 takes as long as an iteration.
        backend: "auto" to solve a direct method's problem by a kernel where one knows the regularizer, "native", or
            "plain" for torch operations.

    Returns:
        A Solution: the point, of the kind of B, its residual and a status that says how it ended. Non-convergence is a
        status, and so is a number out of range (NON_FINITE): no regularizer is ever given a NaN or an infinity.

    Raises:
        ValueError or TypeError on bad arguments, before anything is computed; and whatever the regularizer raises.
    """
    validate.nonnegative("tolerance", tolerance)
    validate.positive_integer("max_iterations", max_iterations)
    methods = allowed_methods(subproblem)
    validate.one_of("method", method, ("auto", *methods))
    validate.one_of("step_rule", step_rule, ("block", "global"))
    validate.one_of("backend", backend, ("auto", "plain", "native"))
    starts = [*([] if reference is None else [reference]), *warm_starts]
    names = [*([] if reference is None else ["reference"]), *(f"warm_starts[{i}]" for i in range(len(warm_starts)))]
    for name, tensor in zip(names, starts, strict=True):
        validate.floating_tensor(name, tensor)
        validate.same_kind(name, tensor, "B", subproblem.B)
    if check_values:
        subproblem.check_values()
        for name, tensor in zip(names, starts, strict=True):
            validate.finite(name, tensor)

    chosen, legs = method if method != "auto" else methods[0], ()
    found = None if float(subproblem.lam) == 0 else directly(subproblem, chosen, backend)
    if float(subproblem.lam) == 0:
        # No regularizer is left, whatever the method: that of psi = 0.
        subproblem = replace(subproblem, regularizer=Zero())
        ending = certify(subproblem, subproblem.B / subproblem.D, 0, tolerance)
    elif found is not None:
        ending = certify(subproblem, *found, tolerance)
    else:
        ending, legs = _iterate(
            subproblem,
            (chosen,) if method != "auto" else _relay(subproblem, chosen),
            starts,
            warm_starts,
            tolerance=tolerance,
            max_iterations=max_iterations,
            step_rule=step_rule,
            observe=observe,
        )
        chosen = legs[-1].method
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
        legs=legs,
    )


def _relay(subproblem: Subproblem, first: str) -> tuple[str, ...]:
    """The methods that "auto" tries in turn."""
    if not subproblem.convex:
        return (first,)
    return (first, "accelerated" if first == SPLITTING else SPLITTING)


def _iterate(
    subproblem: Subproblem,
    methods: Sequence[str],
    starts: Sequence[Tensor],
    warm_starts: Sequence[Tensor],
    *,
    tolerance: float,
    max_iterations: int,
    step_rule: str,
    observe: Observer | None,
) -> tuple[Ending, tuple[Leg, ...]]:
    """Iterative methods in turn."""

    def run_method(method: str, start: Tensor | None, budget: int, before: int, pace: Pace | None) -> Ending:
        watch = None if observe is None else lambda count, *what: observe(before + count, *what)
        options: dict[str, Any] = {"tolerance": tolerance, "max_iterations": budget, "observe": watch, "pace": pace}
        thrifty = method == SPLITTING and subproblem.B.numel() >= MANY_ENTRIES
        if start is None:
            start = warm_starts[0] if thrifty and warm_starts else _best_start(subproblem, starts)
        if method == SPLITTING:
            # Unscreened: it gains nothing where psi does not separate, and the spectral norm costs as much as a step.
            steps = splitting(subproblem, start)
            return run(subproblem, steps, start, exact_always=False, judge_start=not thrifty, **options)
        if subproblem.convex:
            start = screen(subproblem, start)
        return run(subproblem, ITERATIVE[method](subproblem, start, step_rule=step_rule), start, **options)

    return in_turn(methods, run_method, max_iterations)


def _best_start(subproblem: Subproblem, starts: Sequence[Tensor]) -> Tensor:
    """The start with the lowest Q; zero where there is none."""
    best, *others = starts or [torch.zeros_like(subproblem.B)]
    for start in others:
        if bool(subproblem.change_per_unit(start, best)[0] < 0):
            best = start
    return best


def certify(subproblem: Subproblem, point: Tensor, iterations: int, tolerance: float) -> Ending:
    """Residual and status of a direct solution; without an exact subgradient one PG step from it brings a
    certificate.
    """
    if not is_finite(point):
        return Ending(torch.zeros_like(point), Status.NON_FINITE, iterations, math.inf)
    exact = exact_member(subproblem, point)
    if exact is not None:
        residual, floor = residual_norm(subproblem, exact), rounding_floor(subproblem, point, subproblem.D)
    else:
        step: Iterate = next(proximal_gradient(subproblem, point))
        if not is_finite(step.point):
            return Ending(point, Status.NON_FINITE, iterations, math.inf)
        point, residual, floor = step.point, best_residual(subproblem, step), rounding_floor(subproblem, step.point)
    if math.isnan(residual):
        return Ending(point, Status.NON_FINITE, iterations, math.inf)
    if residual <= tolerance:
        status = Status.CONVERGED
    elif residual <= floor and residual < math.inf:
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
    if is_finite(step.point) and descends(subproblem, step.point, reference):
        point, residual = step.point, best_residual(subproblem, step)
    else:
        exact = exact_member(subproblem, reference)
        point, residual = reference, math.inf if exact is None else residual_norm(subproblem, exact)
    status = ending.status if ending.status is Status.NON_FINITE else Status.FELL_BACK
    return Ending(point, status, ending.iterations, residual), False
