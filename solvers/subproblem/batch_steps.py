"""What the batch solver does to one problem between two looks at it, without reading a number: fit for vmap.

The formulas are those of ``accelerated``, ``proximal_gradient``, ``criterion`` and ``iterate``; where these decide by
an ``if``, here a ``where`` decides for each problem.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from solvers.regularizers.base import offers
from solvers.subproblem.batch_problem import OfOneProblem, SubproblemBatch
from solvers.subproblem.criterion import exact_member, prox_member
from solvers.subproblem.iterate import Iterate
from solvers.subproblem.model import Subproblem
from solvers.subproblem.scale_free import product, row_norms, rows_times
from solvers.subproblem.screening import screen


def accelerated(problem: Subproblem, theta: Tensor, Z: Tensor, Y: Tensor, t: Tensor) -> tuple[Tensor, ...]:
    """One step of FISTA with gradient restart: Z_next, its certificate, and the next Y and t."""
    w = Y - theta * problem.gradient(Y)
    Z_next = problem.prox(w, theta).to(Z.dtype)
    member = prox_member(problem.gradient(Z_next), w, Z_next, theta)
    move = Z_next - Z
    t_next = (1 + torch.sqrt(1 + 4 * t * t)) / 2
    Y_next = Z_next + ((t - 1) / t_next).to(Z.dtype) * move
    dropped = (product((Y - Z_next) / theta, move) > 0) | ~torch.isfinite(Y_next).all()
    return Z_next, member, torch.where(dropped, Z_next, Y_next), torch.where(dropped, torch.ones_like(t), t_next)


def proximal_gradient(problem: Subproblem, theta: Tensor, Z: Tensor, Y: Tensor, t: Tensor) -> tuple[Tensor, ...]:
    """One step of the paper's Algorithm 2; Y is Z and t stays."""
    w = Z - theta * problem.gradient(Z)
    Z_next = problem.prox(w, theta).to(Z.dtype)
    return Z_next, prox_member(problem.gradient(Z_next), w, Z_next, theta), Z_next, t


STEPS = {"accelerated": accelerated, "proximal_gradient": proximal_gradient}


def sweep(method: str) -> OfOneProblem:
    """One step of a method and all that is asked of a problem after it: fit for ``SubproblemBatch.each``.

    Returns the new point, a member of dQ there, the minimum-norm member (the same one where the regularizer does not
    offer another), the next Y and t, and whether the step was finite; where it was not, the point stays.
    """
    step = STEPS[method]

    def one_sweep(problem: Subproblem, theta: Tensor, Z: Tensor, Y: Tensor, t: Tensor) -> tuple[Tensor, ...]:
        Z_next, member, Y, t = step(problem, theta, Z, Y, t)
        usable = torch.isfinite(Z_next).all()
        Z = torch.where(usable, Z_next, Z)
        exact = exact_member(problem, Z)
        return Z, member, member if exact is None else exact, Y, t, usable

    one_sweep.__name__ = method
    return one_sweep


def step_sizes(batch: SubproblemBatch, method: str, step_rule: str) -> Tensor:
    """theta of every problem, as the method of this name takes it from L."""

    def theta(problem: Subproblem) -> tuple[Tensor, ...]:
        L = problem.step_lipschitz(step_rule)
        return (1 / L if problem.convex or method == "accelerated" else 1 / (2 * L),)

    return batch.each(theta)[0]


def iterates(
    batch: SubproblemBatch, start: Tensor, method: str = "proximal_gradient", step_rule: str = "block"
) -> Iterator[Iterate]:
    """The iterates of every problem in lock-step, with certificates; nobody is stopped."""
    theta, step = step_sizes(batch, method, step_rule), STEPS[method]
    Z, Y, t = start, start, torch.ones(len(batch), dtype=torch.float64, device=start.device)
    while True:
        Z, member, Y, t = batch.each(step, theta, Z, Y, t)
        yield Iterate(Z, member)


def norms(batch: SubproblemBatch, tensor: Tensor) -> Tensor:
    """``criterion.residual_norm`` of the part of ``tensor`` that belongs to each problem."""
    return rows_times(row_norms(tensor), batch.scale)


def rounding_floors(batch: SubproblemBatch, Z: Tensor, magnification: Tensor) -> Tensor:
    """``criterion.rounding_floor`` of every problem, with a magnification in the shape of B."""
    info, entries = torch.finfo(batch.B.dtype), batch.B[0].numel()
    largest = magnification.reshape(len(batch), -1).amax(dim=1).double()
    denormal = info.tiny * math.sqrt(entries) * (1 + largest)
    share, size = 16 * info.eps, row_norms(batch.B) + denormal
    levels = share * (size + row_norms(magnification * Z))
    if not bool(levels.isfinite().all()):
        inside = share * size + row_norms(magnification.double() * (share * Z.double()))
        levels = torch.where(levels.isfinite(), levels, inside)
    return rows_times(levels, batch.scale)


def magnifications(batch: SubproblemBatch) -> Tensor:
    """The L that weighs an iterate in its rounding floor, in the shape of B."""

    def largest(problem: Subproblem) -> tuple[Tensor, ...]:
        return (torch.broadcast_to(problem.step_lipschitz(), problem.B.shape),)

    return batch.each(largest)[0]


def exact_norms(batch: SubproblemBatch, Z: Tensor) -> Tensor:
    """Norm of the minimum-norm member of dQ(Z), infinite where the regularizer does not offer it."""
    if not offers(batch.regularizer, "subgradient_residual"):
        return torch.full((len(batch),), torch.inf, dtype=torch.float64, device=Z.device)

    def exact(problem: Subproblem, Z: Tensor) -> tuple[Tensor, ...]:
        member = exact_member(problem, Z)
        assert member is not None
        return (member,)

    return norms(batch, batch.each(exact, Z)[0])


def best_of(certificate: Tensor, exact: Tensor, level: Tensor) -> Tensor:
    """``iterate.best_residual``, from the two residuals of every problem and its rounding level."""
    return torch.where((certificate + level < exact) | exact.isnan(), certificate, exact)


def best_norms(batch: SubproblemBatch, Z: Tensor, member: Tensor, level: Tensor) -> Tensor:
    """The residual of a point that has a certificate."""
    certificate = norms(batch, member)
    if not offers(batch.regularizer, "subgradient_residual"):
        return certificate
    return best_of(certificate, exact_norms(batch, Z), level)


def screened(problem: Subproblem, Z: Tensor) -> tuple[Tensor, ...]:
    return (screen(problem, Z),)


def objective(problem: Subproblem, Z: Tensor) -> tuple[Tensor, ...]:
    return (problem.objective(Z),)


def descends(problem: Subproblem, Z: Tensor, reference: Tensor) -> tuple[Tensor, ...]:
    """(7b) up to the rounding of the comparison."""
    change, rounding, _ = problem.change_per_unit(Z, reference)
    return (change <= rounding,)


def finite(batch: SubproblemBatch, Z: Tensor) -> Tensor:
    """Whether the point of each problem is finite."""
    return torch.isfinite(Z).reshape(len(batch), -1).all(dim=1)
