"""Which groups of a tensor are kept: those at both ends of every scale, and those next to the threshold."""

import torch
from torch import Tensor

from ramda_verify.oracles.psi_model import READS_AN_INPUT
from solvers import L1, GroupLasso, Regularizer

#: Entries that a slice may have, and groups; at least two groups are kept.
LARGEST, MOST_GROUPS = 240, 6


def chosen(regularizer: Regularizer, whole: dict[str, Tensor], lam: float) -> Tensor | None:
    """Places of the groups (for L1 of the entries) to keep, in increasing order; None for a tensor that stays whole.

    In turn: the group next to the threshold on either side, the largest and the smallest W, the largest and the
    smallest gradient, the smallest W that is not zero, and groups in the middle of the order of size.
    """
    if not isinstance(regularizer, GroupLasso | L1):
        return None
    columns = {key: _groups(regularizer, value.double()) for key, value in whole.items()}
    length, count = columns["W"].shape[1], len(columns["W"])
    # ||B_g|| over lam * weight * sqrt(|g|): a group is zero up to 1.
    ratio = columns["B"].norm(dim=1) / (lam * regularizer.reg_weight * length**0.5)
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
    if isinstance(regularizer, L1):
        return tensor.flatten()[places]
    return tensor.index_select(_axis(regularizer), places)


def _groups(regularizer: Regularizer, tensor: Tensor) -> Tensor:
    """One group a row; for L1 one entry a row."""
    if isinstance(regularizer, L1):
        return tensor.reshape(-1, 1)
    return tensor.movedim(_axis(regularizer), 0).flatten(1)


def _axis(regularizer: Regularizer) -> int:
    """The axis of which every index is a group; the networks recorded here have no convolutions in blocks."""
    assert isinstance(regularizer, GroupLasso)
    assert regularizer.conv_groups == 1
    return int(READS_AN_INPUT[regularizer.grouping] == (regularizer.layout == "out_in"))
