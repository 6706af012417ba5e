"""The splitting for a batch of problems in lock-step.

The formulas are those of ``splitting``, ``anderson`` and ``penalty``; where these decide by an ``if``, here a ``where``
decides for each problem. When rho is looked at depends on the iteration alone, so that is the same for all problems.
"""

import math
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from solvers.subproblem.anderson import MEMORY, RIDGE
from solvers.subproblem.batch_problem import SubproblemBatch
from solvers.subproblem.criterion import prox_member
from solvers.subproblem.model import Subproblem
from solvers.subproblem.penalty import ALIKE, CRAWL, FIRST, GROWTH, mean_of_metric
from solvers.subproblem.scale_free import row_norms
from solvers.subproblem.splitting import RELAXATION, SAFEGUARD


@dataclass(frozen=True)
class SplittingState:
    """What the splitting remembers of each problem, along the first dimension of every tensor."""

    x: Tensor
    rho: Tensor
    plain: Tensor
    has_plain: Tensor
    shortest: Tensor
    # Anderson: the last point and move, the differences kept, how many there are, and their unit.
    last_x: Tensor
    last_move: Tensor
    has_last: Tensor
    moves: Tensor
    images: Tensor
    count: Tensor
    unit: Tensor
    # Penalty: the first iterate since rho was looked at, and lengths of moves then and since.
    seen_point: Tensor
    seen_member: Tensor
    seen_move: Tensor
    mark: Tensor
    best: Tensor
    # The same for all problems.
    iteration: int = 0
    due: int = FIRST
    gap: int = FIRST

    def rows(self, chosen: Tensor) -> "SplittingState":
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        kept: dict[str, Any] = {n: v[chosen] if isinstance(v, Tensor) else v for n, v in values.items()}
        return SplittingState(**kept)


def begin(batch: SubproblemBatch, start: Tensor) -> SplittingState:
    """The state before the first iteration."""

    def x_of_start(problem: Subproblem, Z: Tensor) -> tuple[Tensor, ...]:
        rho = mean_of_metric(problem.D)
        return Z - problem.gradient(Z) / rho, rho

    x, rho = batch.each(x_of_start, start)
    memory = start.new_zeros(len(batch), MEMORY, start[0].numel())
    no, far = torch.zeros_like(rho, dtype=torch.bool), torch.full_like(rho, torch.inf, dtype=torch.float64)
    return SplittingState(
        x=x,
        rho=rho,
        plain=x,
        has_plain=no,
        shortest=far,
        last_x=x,
        last_move=x,
        has_last=no,
        moves=memory,
        images=memory,
        count=no.long(),
        unit=far,
        seen_point=x,
        seen_member=x,
        seen_move=x,
        mark=torch.full_like(far, torch.nan),
        best=far,
    )


def splitting(problem: Subproblem, x: Tensor, rho: Tensor) -> tuple[Tensor, ...]:
    """``splitting_step``: Z, its certificate, the plain move, and whether Z is finite."""
    Z = problem.prox(x, 1 / rho).to(x.dtype)
    member = prox_member(problem.gradient(Z), x, Z, 1 / rho)
    X = (problem.B + rho * (2 * Z - x)) / (problem.D + rho)
    return Z, member, RELAXATION * (X - Z), torch.isfinite(Z).all()


def sweep(batch: SubproblemBatch, state: SplittingState) -> tuple[SplittingState, Tensor, Tensor, Tensor]:
    """One iteration: the next state, the point and its certificate, and whether the point is finite."""
    x, old_rho = state.x, state.rho
    Z, member, move, usable = batch.each(splitting, x, old_rho)
    length = row_norms(move)
    state, revised = _look_at_rho(batch, state, Z, move, length)
    rejected = ~revised & state.has_plain & ~(length <= _enough(batch, old_rho) * state.shortest)
    state, proposed, learned = _propose(state, move)
    plain = x + move
    following = torch.where(_along(learned, x), proposed, plain)
    following = torch.where(_along(rejected, x), state.plain, following)
    # A new rho keeps Z and its subgradient.
    following = torch.where(_along(revised, x), Z + _along(old_rho / state.rho, x) * (x - Z), following)
    forget = revised | rejected
    state = replace(
        state,
        x=following,
        plain=plain,
        has_plain=learned & ~forget,
        shortest=torch.where(revised, torch.inf, torch.where(rejected, state.shortest, length)),
        has_last=~forget,
        count=torch.where(forget, 0, state.count),
    )
    return state, Z, member, usable


def _along(per_problem: Tensor, like: Tensor) -> Tensor:
    """One number per problem, in the shape that broadcasts along its tensor."""
    return per_problem.reshape(-1, *(1,) * (like.ndim - 1))


def _enough(batch: SubproblemBatch, rho: Tensor) -> Tensor:
    """``max(SAFEGUARD, contraction)`` of every problem."""
    rows, wide = batch.D.reshape(len(batch), -1), rho.double()
    low, high = (bound.double() for bound in rows.aminmax(dim=1))
    q = torch.maximum((wide - low) / (wide + low), (high - wide) / (high + wide))
    return (abs(1 - RELAXATION / 2) + RELAXATION / 2 * q).clamp_min(SAFEGUARD)


def _propose(state: SplittingState, move: Tensor) -> tuple[SplittingState, Tensor, Tensor]:
    """``Anderson.propose``: the state with the new differences, the points, and which of them are to be used."""
    count, flat = len(move), move.reshape(len(move), -1)
    unit = torch.where(state.has_last, state.unit, row_norms(move))
    divisor = unit.to(move.dtype).unsqueeze(1)
    difference = (move - state.last_move).reshape(count, -1)
    # Where there is no last move this writes what the first difference will overwrite.
    slot, every = state.count % MEMORY, torch.arange(count, device=move.device)
    moves, images = state.moves.clone(), state.images.clone()
    moves[every, slot] = difference / divisor
    images[every, slot] = (state.x - state.last_x).reshape(count, -1) + difference
    kept = state.count + state.has_last
    used = torch.arange(MEMORY, device=move.device) < kept.clamp_max(MEMORY).unsqueeze(1)
    moves, images = (torch.where(used.unsqueeze(2), rows, 0.0) for rows in (moves, images))
    gram = (moves @ moves.mT).double()
    diagonal = gram.diagonal(dim1=1, dim2=2)
    ridge = RIDGE * diagonal.sum(dim=1, keepdim=True) / used.sum(dim=1, keepdim=True).clamp_min(1)
    gram = gram + torch.diag_embed(torch.where(used, ridge, 1.0))
    gamma, info = torch.linalg.solve_ex(gram, (moves @ (flat / divisor).unsqueeze(2)).double())
    step = (gamma.mT.to(move.dtype) @ images).reshape(move.shape)
    proposed = state.x + move - step
    known = torch.isfinite(gamma).all(dim=2).all(dim=1) & torch.isfinite(proposed).reshape(count, -1).all(dim=1)
    learned = state.has_last & (info == 0) & known
    state = replace(state, moves=moves, images=images, count=kept, unit=unit, last_x=state.x, last_move=move)
    return state, proposed, learned


def _look_at_rho(
    batch: SubproblemBatch, state: SplittingState, Z: Tensor, move: Tensor, length: Tensor
) -> tuple[SplittingState, Tensor]:
    """``Penalty.revised``: the state with rho as it is to be, and where it has changed."""
    iteration, no = state.iteration + 1, torch.zeros_like(state.has_plain)
    member, best = _along(state.rho, Z) * (state.x - Z), torch.minimum(state.best, length)
    state = replace(state, iteration=iteration, best=best, mark=torch.where(state.mark.isnan(), length, state.mark))
    if iteration == 1 or iteration == state.due - state.gap + 1:
        state = replace(state, seen_point=Z, seen_member=member, seen_move=move)
    if iteration < state.due:
        return state, no
    crawls = best > state.mark * CRAWL**state.gap
    Z, member, move = Z - state.seen_point, member - state.seen_member, move - state.seen_move
    X = Z + move / RELAXATION
    quadratic, other = _hybrid(X, batch.D * X), _hybrid(Z, member)
    wanted = quadratic.sqrt() * torch.where(other.isnan(), quadratic, other).sqrt()
    low, high = (bound.double() for bound in batch.D.reshape(len(batch), -1).aminmax(dim=1))
    wanted = torch.minimum(torch.maximum(wanted, low), high)
    ratio = wanted / state.rho.double()
    revised = crawls & wanted.isfinite() & ~((ratio >= 1 / ALIKE) & (ratio <= ALIKE))
    gap = int(state.gap * GROWTH)
    state = replace(
        state,
        rho=torch.where(revised, wanted.to(state.rho.dtype), state.rho),
        mark=torch.where(revised, torch.nan, best),
        best=torch.where(revised, torch.inf, best),
        gap=gap,
        due=iteration + gap,
    )
    return state, revised


def _hybrid(move: Tensor, force: Tensor) -> Tensor:
    """``penalty.hybrid`` of every problem; NaN where that is None."""
    length, size = row_norms(move), row_norms(force)
    known = (length > 0) & (length < math.inf) & (size > 0) & (size < math.inf)
    length, size = torch.where(known, length, 1.0), torch.where(known, size, 1.0)
    product = (move / _along(length.to(move.dtype), move)) * (force / _along(size.to(move.dtype), move))
    cosine = product.reshape(len(move), -1).sum(dim=1).double()
    smaller, larger = size / length * cosine, size / length / cosine
    found = torch.where(2 * smaller > larger, smaller, larger - smaller / 2)
    return torch.where(known & (cosine > 0), found, torch.nan)
