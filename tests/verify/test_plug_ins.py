"""No false alarm on right regularizers of kinds that the library does not have itself."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ramda_verify.checks import BY_ID, measure
from ramda_verify.property import run_check
from ramda_verify.record import Verdict
from ramda_verify.suite import check_jobs
from ramda_verify.targets import regularizer_target

FILE = Path(__file__).with_name("plug_ins.py")


@pytest.mark.parametrize("name", ["L0", "Box", "LargestEntry"])
def test_right_plug_in_passes(name: str) -> None:
    specification = f"{FILE}:{name}"
    target = regularizer_target(specification)
    results = [run_check(BY_ID[job.check], target, seed=3, max_examples=25) for job in check_jobs(specification)]
    assert [(r.check, r.detail) for r in results if not r.status.holds] == []
    assert sum(r.status is Verdict.PASS for r in results) >= 7


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
