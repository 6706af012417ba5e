"""Solve thousands of small subproblems at once: ``solve`` problem by problem, in lock-step."""

import torch
from torch import Tensor

from solvers import validate
from solvers.regularizers.members import Regularizer, Scalar
from solvers.subproblem.batch_problem import SubproblemBatch
from solvers.subproblem.batch_result import BatchSolution
from solvers.subproblem.conclude import Request, conclude
from solvers.subproblem.ending import statuses, unended
from solvers.subproblem.methods import DIRECT, MANY_ENTRIES, SMALL_SPREAD, SPLITTING, available_methods, in_order
from solvers.subproblem.model import Subproblem
from solvers.subproblem.per_problem import put, rows_of
from solvers.subproblem.result import Leg


@torch.no_grad()
def solve_batch(
    B: Tensor,
    D: Tensor,
    lam: Scalar,
    regularizer: Regularizer,
    reference: Tensor | None = None,
    *,
    tolerance: Scalar,
    max_iterations: int = 1000,
    method: str = "auto",
    step_rule: str = "block",
    scale: float = 1.0,
    check_values: bool = True,
) -> BatchSolution:
    """Minimise ``1/2<Z_i, D_i*Z_i> - <B_i, Z_i> + lam_i*psi(Z_i)`` for every i, each to its own tolerance.

    This is ``solve`` problem by problem: the same methods, certificates, floors, restarts, take-overs and budgets (each
    problem its own), the same fall-back where (7b) fails, and lam_i = 0 gives B_i/D_i. A problem that is done is taken
    out of the computation. Three things may differ. A direct method that iterates inside (the norm equation of the
    group LASSO) reports the iterations of the slowest problem, since all are stepped together. The splitting, whose
    extrapolation magnifies the rounding of sums taken in another order, may end a few iterations earlier or later. And
    it takes no Newton steps here, which a regularizer with ``prox_with_derivative`` allows in ``solve``.

    Arguments:
        B, D: of shape (batch, *shape); the batch may be empty.
        lam: weight >= 0 of psi, a number or a floating-point tensor of shape (batch,).
        regularizer: psi, for all problems.
        reference: W^{t-1} of every problem, of the kind of B; default: none.
        tolerance: eps_t >= 0, a number or a floating-point tensor of shape (batch,).
        max_iterations, method, step_rule, check_values: as in ``solve``; there are no other starts, and no kernels.
        scale: by how much every problem was divided, as in ``Subproblem``.

    Returns:
        A BatchSolution; non-convergence is a status. No gradient flows through it.

    Raises:
        ValueError or TypeError on bad arguments, before anything is computed; and whatever the regularizer raises.
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
    methods = (*methods, SPLITTING) if problem.convex else methods
    validate.positive_integer("max_iterations", max_iterations)
    validate.one_of("method", method, ("auto", *methods))
    validate.one_of("step_rule", step_rule, ("block", "global"))
    if check_values:
        batch.check_values()
        if reference is not None:
            validate.finite("reference", reference)

    first = _first_methods(batch, method, methods)
    ends = unended(batch, torch.zeros_like(B), batch.full(0.0))
    descent = None if reference is None else batch.full(False)
    legs: list[tuple[Leg, ...]] = [()] * len(batch)
    for name in sorted(set(first)):
        chosen = torch.tensor([own == name for own in first], device=B.device)
        for divides, mine in ((True, chosen & (weights == 0)), (False, chosen & (weights > 0))):
            if not bool(mine.any()):
                continue
            some, goal, W = rows_of(batch, mine), rows_of(goals, mine), rows_of(reference, mine)
            order = (name,) if method != "auto" else in_order(name, problem.convex)
            request = Request(goal, max_iterations, step_rule)
            found, taken, held = conclude(some, order, divides, W, request)
            ends, descent = put(ends, mine, found), put(descent, mine, held)
            for row, own in zip(mine.nonzero().squeeze(1).tolist(), taken, strict=False):
                legs[row] = own
    return BatchSolution(
        point=ends.point,
        status=statuses(ends.status),
        iterations=ends.iterations,
        residual=ends.residual,
        objective=batch.each(_objective, ends.point) if len(batch) else ends.residual.clone(),
        tolerance=goals,
        methods=tuple(own[-1].method if own else name for own, name in zip(legs, first, strict=True)),
        descent=descent,
        looped=tuple(f"{name}: {reason}" for name, reason in batch.looped.items()),
        legs=tuple(legs),
    )


def _objective(subproblem: Subproblem, Z: Tensor) -> Tensor:
    return subproblem.objective(Z)


def _first_methods(batch: SubproblemBatch, method: str, methods: tuple[str, ...]) -> list[str]:
    """The method that every problem begins with, as ``methods.allowed_methods`` has it first."""
    if method != "auto" or methods[0] in DIRECT or SPLITTING not in methods or len(batch) == 0:
        return [methods[0] if method == "auto" else method] * len(batch)
    low, high = batch.D.reshape(len(batch), -1).aminmax(dim=1)
    many = batch.B[0].numel() >= MANY_ENTRIES
    return [SPLITTING if many or uneven else methods[0] for uneven in (high > SMALL_SPREAD * low).tolist()]


def _check_batch(name: str, value: object) -> None:
    """Raise unless ``value`` is a floating-point tensor with a first dimension for the problems; that may be 0."""
    if isinstance(value, Tensor) and value.ndim == 0:
        raise ValueError(f"{name} must have a first dimension that counts the problems, got a 0-d tensor")
    if isinstance(value, Tensor) and value.shape[0] == 0:
        # Of an empty batch, judge what one problem would be.
        value = value.new_empty((1, *value.shape[1:]))
    validate.floating_tensor(name, value)


def _per_problem(name: str, value: Scalar, B: Tensor) -> Tensor:
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
