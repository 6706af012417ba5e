"""Stationarity residuals in float64 from plain formulas, and the judge of a step. Shares nothing with the solvers.

At a point Z with slope ``S = D*Z - B`` and a price t for the norm of a group, the smallest subgradient of the group is
``S + t*Z/||Z||`` where Z is not zero, and what sticks out of the ball of radius t, ``(1 - t/||S||)*S``, where it is.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from experiments.bench.workload import group_axis, grouped
from solvers import RAMDA

#: Entries of a slice that is lifted to float64 at once.
SLICE_ENTRIES = 4_000_000


def squared_residual(Z: Tensor, B: Tensor, D: Tensor, price: float, axis: int | None) -> tuple[float, float]:
    """(squared residual, squared norm of B) of the subproblem at ``Z``, in float64.

    ``price`` is what psi charges, lam included, per unit of the norm of a group; groups are the indices of ``axis``,
    None for psi = 0.
    """
    Z, B, D = Z.double(), B.double(), D.double()
    slope = D * Z - B
    if axis is None:
        return float(slope.square().sum()), float(B.square().sum())
    z, s = Z.movedim(axis, 0).flatten(1), slope.movedim(axis, 0).flatten(1)
    length, pull = z.norm(dim=1, keepdim=True), s.norm(dim=1, keepdim=True)
    inside = s + price * z / torch.where(length > 0, length, 1.0)
    outside = (pull - price).clamp_min(0.0)
    squares = torch.where(length > 0, inside.square().sum(dim=1, keepdim=True), outside.square())
    return float(squares.sum()), float(B.square().sum())


def relative_residual(Z: Tensor, B: Tensor, D: Tensor, price: float, axis: int | None) -> float:
    """Residual over norm(B); where B is zero the residual itself; nan where anything is not finite."""
    residual, size = squared_residual(Z, B, D, price, axis)
    return math.sqrt(residual / size) if size > 0 else math.sqrt(residual)


def step_residuals(optimizer: RAMDA, structured: dict[Tensor, Tensor]) -> list[float]:
    """Relative residual of every parameter's Ŵ in the subproblem that its state stands for.

    The state is lifted to float64 before B and D are formed, so that rounding in forming them counts as well.
    """
    found = []
    for group in optimizer.param_groups:
        psi = group["regularizer"]
        axis = group_axis(psi) if grouped(psi) else None
        for param in group["params"]:
            residual = size = 0.0
            price = 0.0
            if grouped(psi):
                price = psi.reg_weight * math.sqrt(param.numel() / param.shape[group_axis(psi)])
            for part, state, Z in _slices(param, optimizer.state[param], structured[param], axis or 0):
                form = optimizer.normal_form(part, state, group)
                more = squared_residual(Z, form.B, form.D, float(form.lam) * price, axis)
                residual, size = residual + more[0], size + more[1]
            found.append(math.sqrt(residual / size) if size > 0 else math.sqrt(residual))
    return found


def structured_by_step(optimizer: RAMDA) -> dict[Tensor, Tensor]:
    """Ŵ as a step finds it: one more step with momentum 1, after which every parameter *is* its Ŵ."""
    momenta = [group["momentum"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["momentum"] = 1.0
    optimizer.step()
    for group, momentum in zip(optimizer.param_groups, momenta, strict=True):
        group["momentum"] = momentum
    return {param: param.detach().clone() for group in optimizer.param_groups for param in group["params"]}


def _slices(
    param: Tensor, state: dict[str, Any], structured: Tensor, axis: int
) -> Iterator[tuple[Tensor, dict[str, Any], Tensor]]:
    """The parameter, its state and its Ŵ in float64, slice by slice along the axis of the groups."""
    point = param.detach()
    length = max(1, SLICE_ENTRIES * point.shape[axis] // point.numel())
    for start in range(0, point.shape[axis], length):
        count = min(length, point.shape[axis] - start)

        def part(value: Any, start: int = start, count: int = count) -> Any:
            if not isinstance(value, Tensor):
                return value
            if value.shape == point.shape:
                value = value.narrow(axis, start, count)
            return value.double() if value.is_floating_point() else value

        yield part(point), {key: part(value) for key, value in state.items()}, part(structured)


def nuclear_residual(Z: Tensor, B: Tensor, D: Tensor, threshold: float) -> float:
    """The smaller of two certified residuals of the nuclear norm subproblem with this price, in float64; nan where
    either or the point is not finite.

    The exact one at Z, and that of a proximal gradient step from Z: the exact one is smaller but for singular values
    barely above zero, whose singular vectors, and with them the subdifferential, rounding leaves undetermined.
    """
    eps = float(torch.finfo(Z.dtype).eps)
    Z, B, D = Z.detach().double(), B.double(), D.double()
    if not bool((D * Z - B).isfinite().all()):
        return math.nan
    exact, step = _exact_nuclear(Z, D * Z - B, threshold, max(Z.shape) * eps), _step_certificate(Z, B, D, threshold)
    # min(x, nan) is x.
    return min(exact, step) if math.isfinite(exact) and math.isfinite(step) else math.nan


def _exact_nuclear(Z: Tensor, slope: Tensor, threshold: float, relative: float) -> float:
    """Distance of ``-slope`` from the subdifferential ``threshold * {U V' + N}``: what lies in the spaces of U or V has
    to be ``-threshold * U V'``, the rest may have a spectral norm up to the threshold.
    """
    left, sigma, right = torch.linalg.svd(Z, full_matrices=False)
    rank = int((sigma > relative * sigma.max()).sum())
    left, right = left[:, :rank], right[:rank]
    rest = slope - left @ (left.mT @ slope)
    rest = rest - (rest @ right.mT) @ right
    fixed = slope - rest + threshold * (left @ right)
    excess = (torch.linalg.svdvals(rest) - threshold).clamp_min(0.0)
    return math.hypot(float(fixed.norm()), float(excess.norm()))


def _step_certificate(Z: Tensor, B: Tensor, D: Tensor, threshold: float) -> float:
    """``||(D - L)*(Z+ - Z)||``, L = max D, for the proximal gradient step from Z to Z+: a member of dQ(Z+)."""
    L = float(D.max())
    left, sigma, right = torch.linalg.svd(Z - (D * Z - B) / L, full_matrices=False)
    moved = (left * (sigma - threshold / L).clamp_min(0.0)) @ right
    return float(((D - L) * (moved - Z)).norm())
