"""Solve thousands of small subproblems at once: ``solve`` problem by problem, in lock-step."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from solvers import validate
from solvers.regularizers.base import offers
from solvers.subproblem import batch_steps as steps
from solvers.subproblem.batch_problem import SubproblemBatch
from solvers.subproblem.batch_result import BatchSolution
from solvers.subproblem.model import Subproblem
from solvers.subproblem.result import Status
from solvers.subproblem.solve import DIRECT, available_methods, direct_point

#: A status is its place in here while it is in a tensor; RUNNING is none of them.
STATUSES = tuple(Status)
CODE = {status: code for code, status in enumerate(STATUSES)}
RUNNING = -1


class Endings(NamedTuple):
    """``iterate.Ending`` for every problem; ``status`` holds codes."""

    point: Tensor
    status: Tensor
    iterations: Tensor
    residual: Tensor


def solve_batch(
    B: Tensor,
    D: Tensor,
    lam: Any,
    regularizer: Any,
    reference: Tensor | None = None,
    *,
    tolerance: Any,
    max_iterations: int = 1000,
    method: str = "auto",
    step_rule: str = "block",
    scale: float = 1.0,
    check_values: bool = True,
) -> BatchSolution:
    """Minimise ``1/2<Z_i, D_i*Z_i> - <B_i, Z_i> + lam_i*psi(Z_i)`` for every i, each to its own tolerance.

    ``B``, ``D`` and ``reference`` have shape (batch, *shape); ``lam`` and ``tolerance`` are numbers or tensors of shape
    (batch,). All else is as in ``solve``, of which this is the meaning: same methods, certificates, floors, restarts
    (each problem its own) and the same fall-back where (7b) fails. A problem that is done is taken out of the
    computation. The batch may be empty.

    ``method`` is "auto" or one of ``available_methods``: the first of these is what "auto" means here. (For one large
    matrix under a nuclear norm ``solve`` means "splitting" by it, which a batch does not have.)
    ``iterations`` of a direct method that iterates inside (the norm equation of the group LASSO) may be those of the
    slowest problem, since all are stepped together.

    Returns a BatchSolution; non-convergence is a status. Raises ValueError or TypeError on bad arguments, before
    anything is computed.
    """
    for name, tensor in (("B", B), ("D", D), ("reference", reference)):
        if tensor is not None:
            _check_batch(name, tensor)
            validate.same_kind(name, tensor, "B", B)
    weights = _per_problem("lam", lam, B)
    goals = _per_problem("tolerance", tolerance, B)
    batch = SubproblemBatch(B, D, weights, regularizer, scale)
    problem = batch.prototype()
    methods = available_methods(problem)
    validate.positive_integer("max_iterations", max_iterations)
    validate.one_of("method", method, ("auto", *methods))
    validate.one_of("step_rule", step_rule, ("block", "global"))
    if check_values:
        batch.check_values()

    chosen = method if method != "auto" else methods[0]
    if len(batch) == 0:
        found = _nothing(batch)
    elif chosen in DIRECT:
        found = _certify(batch, chosen, goals)
    else:
        start = torch.zeros_like(B) if reference is None else reference
        if problem.convex:
            start = batch.each(steps.screened, start)[0]
        found = _run(batch, start, chosen, step_rule, goals, max_iterations)
    descent = None
    if reference is not None:
        found, descent = _enforce_descent(batch, found, reference)
    return BatchSolution(
        point=found.point,
        status=tuple(STATUSES[code] for code in found.status.tolist()),
        iterations=found.iterations,
        residual=found.residual,
        objective=batch.each(steps.objective, found.point)[0] if len(batch) else found.residual.clone(),
        tolerance=goals,
        method=chosen,
        descent=descent,
        looped=tuple(f"{name}: {reason}" for name, reason in batch.looped.items()),
    )


def _check_batch(name: str, value: object) -> None:
    """Raise unless ``value`` is a floating-point tensor with a first dimension for the problems; that may be 0."""
    if isinstance(value, Tensor) and value.ndim == 0:
        raise ValueError(f"{name} must have a first dimension that counts the problems, got a 0-d tensor")
    if isinstance(value, Tensor) and value.shape[0] == 0:
        # Of an empty batch, judge what one problem would be.
        value = value.new_empty((1, *value.shape[1:]))
    validate.floating_tensor(name, value)


def _per_problem(name: str, value: Any, B: Tensor) -> Tensor:
    """One float64 number per problem from a number or a tensor of shape (batch,). Raises unless all are >= 0."""
    if not isinstance(value, Tensor):
        validate.nonnegative(name, value)
        return torch.full((B.shape[0],), float(value), dtype=torch.float64, device=B.device)
    if value.shape != B.shape[:1] or not value.dtype.is_floating_point or value.device != B.device:
        raise ValueError(
            f"{name} must be a number or a floating-point tensor of shape {tuple(B.shape[:1])} on {B.device}, got "
            f"{value.dtype}, shape {tuple(value.shape)} on {value.device}"
        )
    wrong = ~(torch.isfinite(value) & (value >= 0))
    if bool(wrong.any()):
        raise ValueError(f"{name} must be finite and >= 0, got {float(value[wrong][0]):g} for problem {_first(wrong)}")
    return value.double()


def _first(mask: Tensor) -> int:
    return int(mask.nonzero()[0, 0])


def _nothing(batch: SubproblemBatch) -> Endings:
    whole = torch.zeros(0, dtype=torch.int64, device=batch.B.device)
    return Endings(torch.empty_like(batch.B), whole, whole.clone(), whole.double())


def _certify(batch: SubproblemBatch, method: str, tolerance: Tensor) -> Endings:
    """``solve.certify``: direct solutions, with the residual of the exact subgradient or of one PG step."""

    def direct(problem: Subproblem) -> tuple[Tensor, ...]:
        found = direct_point(problem, method)
        assert found is not None
        return found[0].to(problem.B.dtype), torch.as_tensor(found[1], device=problem.B.device)

    point, iterations = batch.each(direct)
    usable = steps.finite(batch, point)
    point = torch.where(_along(usable, point), point, 0.0)
    if offers(batch.regularizer, "subgradient_residual"):
        residual = steps.exact_norms(batch, point)
    else:
        stepped, member = next(steps.iterates(batch, point))
        point = torch.where(_along(usable, point), stepped, point)
        residual = steps.best_norms(batch, point, member)
    floor = steps.rounding_floors(batch)
    status = torch.full_like(iterations, CODE[Status.NOT_STATIONARY])
    status[residual <= floor] = CODE[Status.PRECISION_LIMIT]
    status[residual <= tolerance] = CODE[Status.CONVERGED]
    status[~usable] = CODE[Status.NON_FINITE]
    return Endings(point, status, iterations, torch.where(usable, residual, torch.inf))


def _run(
    batch: SubproblemBatch, start: Tensor, method: str, step_rule: str, tolerance: Tensor, max_iterations: int
) -> Endings:
    """``iterate.run`` for every problem; one that has ended is written down and leaves the computation."""
    ends = Endings(
        point=start.clone(),
        status=torch.full((len(batch),), CODE[Status.ITERATION_LIMIT], device=start.device),
        iterations=torch.full((len(batch),), max_iterations, device=start.device),
        residual=steps.exact_norms(batch, start),
    )
    good = ends.residual <= tolerance
    ends.status[good] = CODE[Status.CONVERGED]
    ends.iterations[good] = 0

    left = (~good).nonzero().squeeze(1)
    if left.numel() == 0:
        return ends
    batch = batch.rows(left)
    theta, L = steps.step_sizes(batch, method, step_rule), steps.magnifications(batch)
    Z, residual, goal = start[left], ends.residual[left], tolerance[left]
    Y, t = Z, torch.ones(len(batch), dtype=torch.float64, device=Z.device)
    sweep = steps.sweep(method)
    for count in range(1, max_iterations + 1):
        Z, member, exact, Y, t, usable = batch.each(sweep, theta, Z, Y, t)
        best = steps.smaller(steps.norms(batch, member), steps.norms(batch, exact))
        residual = torch.where(usable, best, residual)
        floor = steps.rounding_floors(batch, Z, L)
        ended = torch.full_like(left, RUNNING)
        ended[residual <= floor] = CODE[Status.PRECISION_LIMIT]
        ended[residual <= goal] = CODE[Status.CONVERGED]
        ended[~usable] = CODE[Status.NON_FINITE]
        running = ended == RUNNING
        if bool(running.all()):
            continue
        over = ~running
        done = left[over]
        ends.point[done], ends.residual[done] = Z[over], residual[over]
        ends.status[done], ends.iterations[done] = ended[over], count
        keep = running.nonzero().squeeze(1)
        left = left[keep]
        if left.numel() == 0:
            return ends
        batch = batch.rows(keep)
        theta, L, goal = theta[keep], L[keep], goal[keep]
        Z, Y, t, residual = Z[keep], Y[keep], t[keep], residual[keep]
    ends.point[left], ends.residual[left] = Z, residual
    return ends


def _enforce_descent(batch: SubproblemBatch, ends: Endings, reference: Tensor) -> tuple[Endings, Tensor]:
    """``solve._enforce_descent``: (7b), and the fall-back for those that do not have it."""
    if len(batch) == 0:
        return ends, torch.zeros(0, dtype=torch.bool, device=reference.device)
    broken = ends.status == CODE[Status.NON_FINITE]
    descent = batch.each(steps.descends, ends.point, reference)[0] & ~broken
    if bool(descent.all()):
        return ends, descent
    back = (~descent).nonzero().squeeze(1)
    batch, W = batch.rows(back), reference[back]
    stepped, member = next(steps.iterates(batch, W))
    better = steps.finite(batch, stepped)
    stepped = torch.where(_along(better, W), stepped, W)
    better = better & batch.each(steps.descends, stepped, W)[0]
    point = torch.where(_along(better, W), stepped, W)
    residual = torch.where(better, steps.best_norms(batch, point, member), steps.exact_norms(batch, W))
    ends = Endings(ends.point.clone(), ends.status.clone(), ends.iterations, ends.residual.clone())
    ends.point[back], ends.residual[back] = point, residual
    ends.status[back] = torch.where(broken[back], CODE[Status.NON_FINITE], CODE[Status.FELL_BACK])
    return ends, descent


def _along(mask: Tensor, like: Tensor) -> Tensor:
    """A mask of problems, in the shape that broadcasts along their points."""
    return mask.reshape(-1, *(1,) * (like.ndim - 1))
