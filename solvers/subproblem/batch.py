"""Solve thousands of small subproblems at once: ``solve`` problem by problem, in lock-step."""

from dataclasses import replace

import torch
from torch import Tensor

from solvers import validate
from solvers.regularizers.base import Regularizer, Scalar, offers
from solvers.regularizers.zero import Zero
from solvers.subproblem import batch_steps as steps
from solvers.subproblem.batch_problem import SubproblemBatch
from solvers.subproblem.batch_relay import in_turn
from solvers.subproblem.batch_result import BatchSolution
from solvers.subproblem.batch_run import CODE, STATUSES, Endings
from solvers.subproblem.methods import DIRECT, MANY_ENTRIES, SMALL_SPREAD, SPLITTING, available_methods, direct_point
from solvers.subproblem.model import Subproblem
from solvers.subproblem.result import Leg, Status


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
    out of the computation. Two things may differ. A direct method that iterates inside (the norm equation of the group
    LASSO) reports the iterations of the slowest problem, since all are stepped together. And the splitting, whose
    extrapolation magnifies the rounding of sums taken in another order, may end a few iterations earlier or later.

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
    ends = _nothing(batch)
    legs: list[tuple[Leg, ...]] = [()] * len(batch)
    plain = weights == 0
    for name in sorted(set(first)):
        chosen = torch.tensor([own == name for own in first], device=B.device)
        # No regularizer is left at lam = 0, whatever the method.
        divided, rows = (chosen & plain).nonzero().squeeze(1), (chosen & ~plain).nonzero().squeeze(1)
        if divided.numel() > 0:
            quotients = replace(batch.rows(divided), regularizer=Zero())
            _put(ends, divided, _certify(quotients, None, goals[divided]))
        if rows.numel() == 0:
            continue
        if name in DIRECT:
            _put(ends, rows, _certify(batch.rows(rows), name, goals[rows]))
        else:
            order = (name,) if method != "auto" or not problem.convex else (name, _other(name))
            start = torch.zeros_like(B[rows]) if reference is None else reference[rows]
            found, taken = in_turn(batch.rows(rows), start, order, step_rule, goals[rows], max_iterations)
            _put(ends, rows, found)
            for row, own in zip(rows.tolist(), taken, strict=True):
                legs[row] = own
    descent = None
    if reference is not None:
        ends, descent = _enforce_descent(batch, ends, reference)
    return BatchSolution(
        point=ends.point,
        status=tuple(STATUSES[code] for code in ends.status.tolist()),
        iterations=ends.iterations,
        residual=ends.residual,
        objective=batch.each(steps.objective, ends.point)[0] if len(batch) else ends.residual.clone(),
        tolerance=goals,
        methods=tuple(own[-1].method if own else name for own, name in zip(legs, first, strict=True)),
        descent=descent,
        looped=tuple(f"{name}: {reason}" for name, reason in batch.looped.items()),
        legs=tuple(legs),
    )


def _first_methods(batch: SubproblemBatch, method: str, methods: tuple[str, ...]) -> list[str]:
    """The method that every problem begins with, as ``methods.allowed_methods`` has it first."""
    if method != "auto" or methods[0] in DIRECT or SPLITTING not in methods or len(batch) == 0:
        return [methods[0] if method == "auto" else method] * len(batch)
    low, high = batch.D.reshape(len(batch), -1).aminmax(dim=1)
    many = batch.B[0].numel() >= MANY_ENTRIES
    return [SPLITTING if many or uneven else methods[0] for uneven in (high > SMALL_SPREAD * low).tolist()]


def _other(method: str) -> str:
    return "accelerated" if method == SPLITTING else SPLITTING


def _put(ends: Endings, rows: Tensor, found: Endings) -> None:
    """Write the endings of some problems among those of all."""
    for whole, part in zip(ends, found, strict=True):
        whole[rows] = part


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


def _nothing(batch: SubproblemBatch) -> Endings:
    """Endings to be written over."""
    whole = torch.zeros(len(batch), dtype=torch.int64, device=batch.B.device)
    return Endings(torch.zeros_like(batch.B), whole, whole.clone(), whole.double())


def _certify(batch: SubproblemBatch, method: str | None, tolerance: Tensor) -> Endings:
    """``verdict.certify``: direct solutions (B/D without a method), with the residual of the exact subgradient or of
    one PG step.
    """

    def direct(problem: Subproblem) -> tuple[Tensor, ...]:
        found = direct_point(problem, method or "auto")
        assert found is not None
        return found[0].to(problem.B.dtype), torch.as_tensor(found[1], device=problem.B.device)

    if method is None:
        point, iterations = batch.B / batch.D, torch.zeros(len(batch), dtype=torch.int64, device=batch.B.device)
    else:
        point, iterations = batch.each(direct)
    usable = steps.finite(batch, point)
    point = torch.where(_along(usable, point), point, 0.0)
    if offers(batch.regularizer, "subgradient_residual"):
        residual, magnification = steps.exact_norms(batch, point), batch.D
    else:
        stepped, member = next(steps.iterates(batch, point))
        held = steps.finite(batch, stepped)
        stepped = torch.where(_along(held, point), stepped, point)
        residual, magnification = steps.norms(batch, member), steps.magnifications(batch)
        point = torch.where(_along(usable, point), stepped, point)
        usable = usable & held
    usable = usable & ~residual.isnan()
    floor = steps.rounding_floors(batch, point, magnification)
    status = torch.full_like(iterations, CODE[Status.NOT_STATIONARY])
    status[(residual <= floor) & residual.isfinite()] = CODE[Status.PRECISION_LIMIT]
    status[residual <= tolerance] = CODE[Status.CONVERGED]
    status[~usable] = CODE[Status.NON_FINITE]
    return Endings(point, status, iterations, torch.where(usable, residual, torch.inf))


def _enforce_descent(batch: SubproblemBatch, ends: Endings, reference: Tensor) -> tuple[Endings, Tensor]:
    """``verdict.enforce_descent``: (7b), and the fall-back for those that do not have it."""
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
    level = steps.rounding_floors(batch, point, steps.magnifications(batch))
    residual = torch.where(better, steps.best_norms(batch, point, member, level), steps.exact_norms(batch, W))
    ends = Endings(ends.point.clone(), ends.status.clone(), ends.iterations, ends.residual.clone())
    ends.point[back], ends.residual[back] = point, residual.nan_to_num(torch.inf, torch.inf)
    ends.status[back] = torch.where(broken[back], CODE[Status.NON_FINITE], CODE[Status.FELL_BACK])
    return ends, descent


def _along(mask: Tensor, like: Tensor) -> Tensor:
    """A mask of problems, in the shape that broadcasts along their points."""
    return mask.reshape(-1, *(1,) * (like.ndim - 1))
