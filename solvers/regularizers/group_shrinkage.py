"""What a price on the norms of groups does to a tensor: the prox, and the shortest subgradient.

``price`` is what psi charges for a unit of a group's norm, ``step`` or ``lam`` and all weights included: a number or a
tensor that broadcasts against the reductions of ``groups``.
"""

import torch
from torch import Tensor

from solvers.regularizers.base import accumulation_dtype, priced
from solvers.regularizers.groups import Grouping
from solvers.regularizers.members import Scalar


def shrink_norms(w: Tensor, price: Scalar, groups: Grouping) -> Tensor:
    """Every group keeps its direction and loses ``price`` of its length; the prox of ``price * sum_g ||w_g||``."""
    kept = _share_left(w, price, groups).to(accumulation_dtype(w))
    return torch.where(kept > 0, w * kept, torch.zeros_like(w)).to(w.dtype)


def shortest_with_norms(point: Tensor, gradient: Tensor, price: Scalar, groups: Grouping) -> Tensor:
    """The member of ``gradient + price * sum_g d||point_g||`` of least norm, of the shape of ``point``."""
    norm, unit = groups.norm_in_unit(point)
    # At a nonzero group the norm has one gradient; at zero dpsi is a ball and the distance is that of -gradient to it.
    direction = (point * unit / torch.where(norm > 0, norm, torch.ones_like(norm))).to(accumulation_dtype(point))
    outside = _share_left(gradient, price, groups).to(direction.dtype)
    return torch.where(norm > 0, gradient + priced(price, direction), gradient * outside)


def _share_left(w: Tensor, price: Scalar, groups: Grouping) -> Tensor:
    """``max(1 - price/||w_g||, 0)`` of each group, 0 at a norm of zero."""
    norm, unit = groups.norm_in_unit(w)
    # As a tensor: torch divides a Python number by way of 1/norm, which is infinite where the norm is denormal.
    price_in_unit = torch.as_tensor(price, dtype=norm.dtype) * unit
    return torch.where(norm > price_in_unit, 1 - price_in_unit / norm, torch.zeros_like(norm))
