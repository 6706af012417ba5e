"""Which groups of a tensor are kept: those at both ends of every scale, and those next to the threshold."""

import math

import numpy as np
import torch
from torch import Tensor

from ramda_verify.oracles.index_sets import Indices
from ramda_verify.oracles.psi import atoms_of, norm_terms
from solvers import Regularizer

#: Entries that a slice may have, and groups; at least two groups are kept.
LARGEST, MOST_GROUPS = 240, 6


def chosen(regularizer: Regularizer, whole: dict[str, Tensor], lam: float) -> Tensor | None:
    """Places of the groups (for L1 of the entries) to keep, in increasing order; None for a tensor that stays whole, as
    it does where psi is no sum of norms of equal groups along one axis.

    In turn: the group next to the threshold on either side, the largest and the smallest W, the largest and the
    smallest gradient, the smallest W that is not zero, and groups in the middle of the order of size.
    """
    shape = tuple(whole["W"].shape)
    terms = norm_terms(atoms_of(regularizer, shape))
    if not terms or (len(terms) < math.prod(shape) and _axis([indices for _, indices in terms], shape) is None):
        return None
    index = torch.as_tensor(np.stack([indices for _, indices in terms]))
    columns = {key: value.double().flatten()[index] for key, value in whole.items()}
    count, length = index.shape
    # ||B_g|| over lam * price of the group: a group is zero up to 1.
    ratio = columns["B"].norm(dim=1) / (lam * torch.tensor([price for price, _ in terms], dtype=torch.float64))
    w, g = columns["W"].norm(dim=1), columns["G"].norm(dim=1)
    nonzero = torch.where(w > 0, w, torch.inf)
    middle = w.argsort()
    orders = [
        torch.where(ratio > 1, ratio, torch.inf).argsort(),
        torch.where(ratio <= 1, -ratio, torch.inf).argsort(),
        w.argsort(descending=True),
        w.argsort(),
        g.argsort(descending=True),
        g.argsort(),
        nonzero.argsort(),
        middle[count // 2 :],
        middle[count // 4 :],
    ]
    wanted = LARGEST // 4 if length == 1 else max(2, min(MOST_GROUPS, LARGEST // length))
    kept: list[int] = []
    while len(kept) < min(wanted, count):
        for order in orders:
            fresh = next((place for place in order.tolist() if place not in kept), None)
            if fresh is not None and len(kept) < wanted:
                kept.append(fresh)
    return torch.tensor(sorted(kept))


def cut(regularizer: Regularizer, tensor: Tensor, places: Tensor | None) -> Tensor:
    """The kept part of a tensor: whole groups in the tensor's own order of axes, for L1 a vector of entries."""
    if places is None:
        return tensor
    shape = tuple(tensor.shape)
    axis = _axis([indices for _, indices in norm_terms(atoms_of(regularizer, shape)) or []], shape)
    return tensor.flatten()[places] if axis is None else tensor.index_select(axis, places)


def _axis(groups: list[Indices], shape: tuple[int, ...]) -> int | None:
    """The axis of which every index is a group, in order; None where there is none."""
    for axis in range(len(shape)):
        order = np.argsort(np.indices(shape)[axis].ravel(), kind="stable").reshape(shape[axis], -1)
        if len(groups) == len(order) and all(map(np.array_equal, groups, order)):
            return axis
    return None
