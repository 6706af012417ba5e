"""Solve a subproblem: choose the method that its regularizer allows, certify the point, enforce (7b)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from solvers import validate
from solvers.subproblem.conclude import Request, conclude
from solvers.subproblem.iterate import Observer
from solvers.subproblem.memory import Memory
from solvers.subproblem.methods import METHODS as METHODS
from solvers.subproblem.methods import allowed_methods, in_order
from solvers.subproblem.methods import available_methods as available_methods
from solvers.subproblem.methods import direct_point as direct_point
from solvers.subproblem.model import Subproblem
from solvers.subproblem.result import Solution


@torch.no_grad()
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
    report: bool = True,
    backend: str = "auto",
    memory: Memory | None = None,
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
        report: whether to compute what takes as long as an iteration and is only told: Solution.objective, which is
            NaN without, and the exact residual where the certificate of "splitting" stayed above the tolerance.
        backend: "auto" to solve a direct method's problem by a kernel where one knows the regularizer, "native", or
            "plain" for torch operations.
        memory: what the last solve of a sequence of similar problems of this regularizer left, and filled anew; used by
            "splitting" where the regularizer differentiates its prox.

    Returns:
        A Solution: the point, of the kind of B, its residual and a status that says how it ended. Non-convergence is a
        status, and so is a number out of range (NON_FINITE): no regularizer is ever given a NaN or an infinity. No
        gradient flows through a solve, whatever B, D and the starts require.

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

    chosen = method if method != "auto" else methods[0]
    request = Request(
        tolerance=tolerance,
        max_iterations=max_iterations,
        step_rule=step_rule,
        warm_starts=warm_starts,
        observe=observe,
        report=report,
        backend=backend,
        memory=memory,
    )
    order = (chosen,) if method != "auto" else in_order(chosen, subproblem.convex)
    ending, legs, descent = conclude(subproblem, order, float(subproblem.lam) == 0, reference, request)
    return Solution(
        point=ending.point,
        status=ending.status,
        iterations=ending.iterations,
        residual=ending.residual,
        objective=float(subproblem.objective(ending.point)) if report else math.nan,
        tolerance=tolerance,
        method=legs[0][-1].method if legs else chosen,
        descent=descent,
        legs=legs[0] if legs else (),
    )
