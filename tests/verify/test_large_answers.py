"""A prox that is far larger than its argument is judged at its own size."""

import numpy as np
import pytest
import torch

from ramda_verify.checks import BY_ID, measure


class OnSimplex:
    """The projection on the unit simplex alone: at w = 0 its prox, 1/n everywhere, is far larger than w."""

    convex = True

    def value(self, w: torch.Tensor) -> torch.Tensor:
        return w.new_zeros(())

    def prox(self, w: torch.Tensor, step: float) -> torch.Tensor:
        sizes = w.double().flatten().sort(descending=True).values
        levels = (sizes.cumsum(0) - 1) / torch.arange(1, len(sizes) + 1)
        return (w.double() - levels[int((sizes > levels).nonzero().max())]).clamp_min(0).to(w.dtype)


@pytest.mark.parametrize("size", [0.0, 1e-300, 1e-3])
@pytest.mark.parametrize("check", ["dtype-agreement", "layout-invariance"])
def test_a_prox_larger_than_its_argument_is_judged_at_its_own_size(check: str, size: float) -> None:
    w = size * np.array([[1.0, -0.5, 0.3], [0.2, 0.9, -1.0]])
    assert measure(check, regularizer=OnSimplex(), w=w, step=0.5).violation <= BY_ID[check].tolerance.value
