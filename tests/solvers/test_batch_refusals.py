"""Bad batches are refused before anything is computed, by an error that names the argument, its value and what fits."""

import re

import pytest
import torch

from solvers import L1, GroupLasso, NuclearNorm, solve_batch

B, D = torch.randn(5, 4, 3), torch.rand(5, 4, 3) + 0.1
NAN = torch.where(torch.arange(60).reshape(5, 4, 3) == 17, torch.nan, 1.0)
LAM = torch.full((5,), 0.5)

REFUSED = [
    ({"B": [[1.0]]}, TypeError, "B must be a torch.Tensor, got list"),
    ({"B": B.long(), "D": D.long()}, TypeError, "B must be a dense real floating-point tensor, got torch.int64"),
    (
        {"B": torch.tensor(1.0), "D": torch.tensor(1.0)},
        ValueError,
        "B must have a first dimension that counts the prob",
    ),
    ({"B": B[:, :0], "D": D[:, :0]}, ValueError, "B must have at least one entry, got shape (5, 0, 3)"),
    ({"B": B[:0, :0], "D": D[:0, :0]}, ValueError, "B must have at least one entry, got shape (1, 0, 3)"),
    ({"B": NAN}, ValueError, "B must be finite, got 1 NaN or infinite entries"),
    ({"D": "ones"}, TypeError, "D must be a torch.Tensor, got str"),
    ({"D": D[:4]}, ValueError, "D must have the shape of B, torch.Size([5, 4, 3]), got torch.Size([4, 4, 3])"),
    ({"D": D.double()}, ValueError, "D must have the dtype of B, torch.float32, got torch.float64"),
    ({"D": NAN}, ValueError, "D must be finite, got 1 NaN"),
    ({"D": torch.where(NAN.isnan(), 0.0, D)}, ValueError, "D must be > 0 everywhere, got a smallest entry of 0"),
    ({"lam": -1.0}, ValueError, "lam must be finite and >= 0, got -1.0"),
    ({"lam": float("inf")}, ValueError, "lam must be finite and >= 0, got inf"),
    ({"lam": "1"}, TypeError, "lam must be a number >= 0, got '1'"),
    ({"lam": True}, TypeError, "lam must be a number >= 0, got True"),
    ({"lam": LAM[:4]}, ValueError, "lam must be a number or a floating-point tensor of shape (5,) on cpu, got torch.f"),
    ({"lam": torch.tensor(1.0)}, ValueError, "lam must be a number or a floating-point tensor of shape (5,)"),
    ({"lam": torch.ones(5, dtype=torch.int64)}, ValueError, "on cpu, got torch.int64, shape (5,) on cpu"),
    ({"lam": LAM - torch.tensor([0, 0, 0, 2.5, 0])}, ValueError, "lam must be finite and >= 0, got -2 for problem 3"),
    ({"tolerance": -1e-3}, ValueError, "tolerance must be finite and >= 0, got -0.001"),
    ({"tolerance": LAM[:1]}, ValueError, "tolerance must be a number or a floating-point tensor of shape (5,)"),
    ({"tolerance": LAM * torch.nan}, ValueError, "tolerance must be finite and >= 0, got nan for problem 0"),
    ({"tolerance": None}, TypeError, "tolerance must be a number >= 0, got None"),
    ({"regularizer": L1}, TypeError, "regularizer must be a regularizer object, got the class L1; call it first"),
    ({"regularizer": object()}, TypeError, "regularizer must have the methods value(w) and prox(w, step)"),
    ({"B": B[:, 0, 0], "D": D[:, 0, 0]}, ValueError, "grouping 'input' needs a nonempty tensor of 2 to 5 dimensions"),
    ({"reference": B[0]}, ValueError, "reference must have the shape of B"),
    ({"reference": B.double()}, ValueError, "reference must have the dtype of B"),
    ({"reference": 0}, TypeError, "reference must be a torch.Tensor, got int"),
    ({"max_iterations": 0}, ValueError, "max_iterations must be an integer >= 1, got 0"),
    ({"max_iterations": 2.0}, TypeError, "max_iterations must be an integer >= 1, got 2.0"),
    (
        {"method": "newton"},
        ValueError,
        "method must be one of 'auto', 'metric_prox', 'accelerated', 'proximal_gradient'",
    ),
    ({"method": "separable"}, ValueError, "method must be one of 'auto', 'metric_prox', 'accelerated', 'proximal_grad"),
    ({"regularizer": NuclearNorm(1.0), "method": "metric_prox"}, ValueError, "method must be one of 'auto', 'accelera"),
    ({"step_rule": "row"}, ValueError, "step_rule must be one of 'block', 'global', got 'row'"),
    ({"scale": 0.0}, ValueError, "scale must be finite and > 0, got 0.0"),
]


@pytest.mark.parametrize(("changes", "error", "message"), REFUSED)
def test_refused(changes, error, message):
    arguments = {"B": B, "D": D, "lam": 0.5, "regularizer": GroupLasso(0.3), "tolerance": 1e-3, **changes}
    with pytest.raises(error, match=re.escape(message)):
        solve_batch(**arguments)


def test_values_may_go_unread():
    solve_batch(B, D, 0.5, GroupLasso(0.3), tolerance=1e-3, check_values=False)
    with pytest.raises(ValueError, match="B must be finite"):
        solve_batch(NAN, D, 0.5, GroupLasso(0.3), tolerance=1e-3)
