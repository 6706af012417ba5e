"""An early exit under vmap: one bool for the whole batch."""

import pytest
import torch

from solvers.batching import true_everywhere


@pytest.mark.parametrize(("entries", "expected"), [([True, True], True), ([True, False], False), ([], True)])
def test_plain(entries, expected):
    assert true_everywhere(torch.tensor(entries, dtype=torch.bool)) is expected


@pytest.mark.parametrize("dims", [1, 2])
def test_under_vmap_all_problems_count(dims):
    def halvings(x):
        """Halve until below 1: a loop that vmap cannot end by a bool of its own."""
        count = 0
        while not true_everywhere(x < 1) and count < 50:
            x, count = x / 2, count + 1
        return x, torch.tensor(count)

    batched = halvings
    for _ in range(dims):
        batched = torch.vmap(batched)
    x = torch.tensor([[0.5, 3.0], [100.0, 1.0]])
    found, counts = batched(x)
    assert set(counts.flatten().tolist()) == {7}
    torch.testing.assert_close(found, x / 2**7)
