"""Which groups of a tensor are kept: those next to the threshold first, then those at both ends of every scale."""

import pytest
import torch

from ramda_verify.cases.recorded.slices import chosen, cut
from solvers import L1, GroupLasso, NuclearNorm, SparseGroupLasso

#: Long groups, of which two are kept: a column of 144 ones has the norm 12, which is its price.
LENGTH = 144


def columns(*factors):
    return torch.tensor(factors).expand(LENGTH, -1)


def kept_of(B, W=None, G=None, lam=1.0, psi=None):
    ones = torch.ones_like(B)
    whole = {"B": B, "W": ones if W is None else W, "G": ones if G is None else G}
    return chosen(GroupLasso(1.0, "input") if psi is None else psi, whole, lam).tolist()


@pytest.mark.parametrize(
    ("ratios", "lam", "kept"),
    [
        ((5.0, 3.0, 1.0, 0.5, 0.25), 1.0, [1, 2]),
        ((5.0, 3.0, 1.0, 0.5, 0.25), 2.0, [1, 2]),
        ((5.0, 3.0, 1.0, 0.5, 0.25), 4.0, [0, 1]),
        ((0.75, 8.0, 1.5, 0.9375, 0.5), 1.0, [2, 3]),
        ((0.75, 1.5), 1.0, [0, 1]),
    ],
    ids=["at the threshold", "twice the weight", "four times the weight", "between", "no more"],
)
def test_of_long_groups_the_two_beside_the_threshold_are_kept(ratios, lam, kept):
    """A group is zero up to a ratio of one."""
    assert kept_of(columns(*ratios), lam=lam) == kept


def test_of_short_groups_six_are_kept():
    """In turn one above and one below the threshold, the largest and smallest W, the largest and smallest gradient."""
    B = torch.full((2, 30), 8.0)
    W, G = (1.0 + torch.arange(30.0).expand(2, -1) for _ in range(2))
    B[:, 7], B[:, 9] = 1.25, 0.75
    W, G = W.clone(), G.clone()
    W[:, 11], W[:, 12], G[:, 21], G[:, 22] = 99.0, 0.0, 99.0, 0.0
    assert kept_of(B, W, G) == [7, 9, 11, 12, 21, 22]
    # Of longer ones, 60 entries each, four.
    assert kept_of(*(array[:1].expand(60, -1) for array in (B, W, G))) == [7, 9, 11, 12]


def test_of_entries_sixty_are_kept():
    """The smallest that is not zero among them, and those from a quarter and a half of the order of size on."""
    rising = torch.arange(200.0)
    W = torch.where(rising < 38, 0.0, -rising)
    kept = kept_of(2.0 + rising, W, 1.0 + rising, psi=L1(1.0))
    assert len(kept) == 60
    assert kept == sorted(set(kept))
    assert {0, 38, 50, 100, 199} <= set(kept)
    B, W, G = (array.reshape(10, 20) for array in (2.0 + rising, W, 1.0 + rising))
    assert kept_of(B, W, G, psi=L1(1.0)) == kept
    few = torch.arange(7.0)
    assert kept_of(2.0 + few, few, few, psi=L1(1.0)) == list(range(7))


@pytest.mark.parametrize("psi", [NuclearNorm(1.0), SparseGroupLasso(1.0, 1.0)])
def test_where_psi_couples_all_entries_the_tensor_stays_whole(psi):
    whole = {key: torch.ones(5, 4) for key in ("W", "G", "B")}
    assert chosen(psi, whole, 1.0) is None


def test_a_part_is_whole_groups_in_their_order_and_of_entries_a_vector():
    tensor = torch.arange(24.0).reshape(2, 3, 4)
    assert torch.equal(cut(GroupLasso(1.0, "channel"), tensor, torch.tensor([0, 2])), tensor[:, [0, 2]])
    assert torch.equal(cut(GroupLasso(1.0, "filter"), tensor, torch.tensor([1])), tensor[1:])
    square = torch.arange(36.0).reshape(3, 3, 4)
    assert torch.equal(cut(GroupLasso(1.0, "channel"), square, torch.tensor([0, 2])), square[:, [0, 2]])
    assert torch.equal(cut(GroupLasso(1.0, "filter"), square, torch.tensor([0, 2])), square[[0, 2]])
    assert cut(L1(1.0), tensor, torch.tensor([3, 23])).tolist() == [3.0, 23.0]
    assert cut(L1(1.0), tensor, None) is tensor
