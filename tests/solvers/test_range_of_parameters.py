"""A solution in float32 that the dtype of the parameter cannot hold is none: what psi couples keeps its values."""

from functools import partial

import numpy as np
import pytest
import torch

from solvers import L1, RAMDA, GroupLasso, NuclearNorm, ProxSGD
from solvers.kernels import BACKENDS

#: A dtype of parameters, a number of float32 that it does not hold, and one that it does with a margin of 0.1 %.
RANGES = [
    (torch.bfloat16, 3.398e38, 3.38e38),
    (torch.float16, 65536.0, 65376.0),
    (torch.float32, 3.5e38, 3.39e38),
]
KINDS = [(L1, "entry"), (None, "entry"), (partial(GroupLasso, grouping="output"), "row"), (NuclearNorm, "tensor")]


def stepped(dtype: torch.dtype, size: float, kind, backend: str) -> tuple[torch.Tensor, torch.Tensor, int]:
    """W before and after a step of ProxSGD that leads entry (1, 2) to ``size``, and whether it was not accepted."""
    param = torch.nn.Parameter(torch.randn(3, 4).to(dtype) / 4)
    param.detach()[1, 2] = 0
    before = param.detach().clone()
    lr = size / 2
    regularizer = None if kind is None else kind(1e-6 / lr)
    optimizer = ProxSGD([param], lr=lr, momentum=1.0, regularizer=regularizer, backend=backend)
    param.grad = torch.full((3, 4), 1e-3, dtype=dtype)
    param.grad[1, 2] = -2.0
    # Triton's interpreter computes by numpy, which warns.
    with np.errstate(all="ignore"):
        optimizer.step()
    return before, param.detach(), optimizer.unaccepted_steps


def runs(backend: str, dtype: torch.dtype, kind) -> bool:
    if backend == "plain":
        # An iteration in float32 has no solution near the end of its range.
        return kind is not NuclearNorm or dtype == torch.float16
    if kind is NuclearNorm or (backend == "native" and dtype == torch.float16):
        return False
    return BACKENDS[backend].unavailable_reason() is None


@pytest.mark.parametrize(
    ("backend", "dtype", "over", "under", "kind", "coupled"),
    [
        pytest.param(backend, *span, *psi, id=f"{backend}-{span[0]}-{psi[1]}-{psi[0] is not None}")
        for backend in ("plain", "native", "triton")
        for span in RANGES
        for psi in KINDS
        if runs(backend, span[0], psi[0])
    ],
)
def test_what_the_parameter_cannot_hold_is_no_solution(backend, dtype, over, under, kind, coupled):
    before, after, unaccepted = stepped(dtype, under, kind, backend)
    torch.testing.assert_close(after[1, 2].double(), torch.tensor(under).double(), rtol=1e-2, atol=0)
    assert unaccepted == 0
    with pytest.warns(RuntimeWarning, match="was not accepted"):
        before, after, unaccepted = stepped(dtype, over, kind, backend)
    assert unaccepted == 1
    kept = torch.zeros(3, 4, dtype=torch.bool)
    kept[{"entry": (1, 2), "row": 1, "tensor": slice(None)}[coupled]] = True
    assert torch.equal(after == before, kept)


def test_neither_is_one_that_the_structured_iterate_is_asked_for():
    """Recomputed, since another regularizer has come: a nuclear norm has no closed form."""
    param = torch.nn.Parameter(torch.ones(3, 4, dtype=torch.float16))
    optimizer = RAMDA([param], lr=1e-2, regularizer=NuclearNorm(1e-3))
    param.grad = torch.ones_like(param)
    optimizer.step()
    optimizer.state[param]["grad_sum"].fill_(-1e6)
    optimizer.param_groups[0]["regularizer"] = NuclearNorm(2e-3)
    assert torch.equal(optimizer.structured_iterate()[param], param)
