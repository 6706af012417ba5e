"""Bad arguments of Subproblem and solve: refused by name, value and rule before anything is computed."""

import math

import pytest
import torch

from solvers import L1, GroupLasso, NuclearNorm, Subproblem, solve
from solvers.subproblem import available_methods

ONES = torch.ones(3, 2, dtype=torch.float64)


class OnlyValue:
    def value(self, w):
        return w.sum()


class PlainL1:
    """What a user writes: value and prox, nothing else."""

    def value(self, w):
        return w.abs().sum()

    def prox(self, w, step):
        return torch.sign(w) * (w.abs() - step).clamp_min(0)


def case(error, message, *, id, B=ONES, D=ONES, lam=1.0, regularizer=None, scale=1.0):
    regularizer = L1(1.0) if regularizer is None else regularizer
    return pytest.param((B, D, lam, regularizer, scale), error, message, id=id)


BAD_SUBPROBLEMS = [
    case(TypeError, "B must be a torch.Tensor, got list", id="B-list", B=[1.0]),
    case(TypeError, "B must be a dense real floating-point tensor, got torch.int64", id="B-integer", B=ONES.long()),
    case(TypeError, "B must be a dense real", id="B-complex", B=ONES.to(torch.complex64)),
    case(TypeError, "B must be a dense real", id="B-sparse", B=ONES.to_sparse()),
    case(ValueError, "B must have at least one entry", id="B-empty", B=ONES[:0], D=ONES[:0]),
    case(TypeError, "D must be a torch.Tensor, got float", id="D-number", D=2.0),
    case(ValueError, r"D must have the shape of B, .*\[3, 2\].*, got", id="D-shape", D=ONES[:2]),
    case(ValueError, "D must have the shape of B", id="D-broadcastable", D=ONES[:1]),
    case(ValueError, "D must have the dtype of B, torch.float64, got torch.float32", id="D-dtype", D=ONES.float()),
    case(ValueError, "D must have the device of B, cpu, got meta", id="D-device", D=ONES.to("meta")),
    case(ValueError, "lam must be finite and >= 0, got -1.0", id="lam-negative", lam=-1.0),
    case(ValueError, "lam must be finite and >= 0, got nan", id="lam-nan", lam=math.nan),
    case(ValueError, "lam must be finite and >= 0, got inf", id="lam-infinite", lam=math.inf),
    case(TypeError, "lam must be a number >= 0, got '1'", id="lam-text", lam="1"),
    case(TypeError, "lam must be a number >= 0, got None", id="lam-none", lam=None),
    case(ValueError, "scale must be finite and > 0, got 0", id="scale-zero", scale=0),
    case(TypeError, "got the class L1; call it first", id="regularizer-class", regularizer=L1),
    case(TypeError, "regularizer must have the methods .* lacks prox", id="without-prox", regularizer=OnlyValue()),
    case(TypeError, "lacks value, prox", id="regularizer-number", regularizer=1.0),
    case(ValueError, "2 to 5 dimensions", id="groups-of-a-vector", B=ONES[0], D=ONES[0], regularizer=GroupLasso(1.0)),
]

BAD_VALUES = [
    case(ValueError, "B must be finite, got 1 NaN or infinite entries", id="B-nan", B=ONES.clone().fill_diagonal_(1)),
    case(ValueError, "D must be > 0 everywhere, got a smallest entry of 0", id="D-zero", D=0 * ONES),
    case(ValueError, "D must be > 0 everywhere, got a smallest entry of -1", id="D-negative", D=-ONES),
    case(ValueError, "D must be finite, got 6 NaN", id="D-nan", D=ONES * math.nan),
    case(ValueError, "D must be finite", id="D-infinite", D=ONES * math.inf),
]
BAD_VALUES[0].values[0][0][1, 1] = math.nan

BAD_OPTIONS = [
    pytest.param({"tolerance": -1.0}, ValueError, "tolerance must be finite and >= 0, got -1.0", id="tolerance"),
    pytest.param({"tolerance": math.nan}, ValueError, "tolerance must be finite and >= 0", id="tolerance-nan"),
    pytest.param({"tolerance": "small"}, TypeError, "tolerance must be a number", id="tolerance-text"),
    pytest.param({"max_iterations": 0}, ValueError, "max_iterations must be an integer >= 1", id="no-iterations"),
    pytest.param({"max_iterations": 1.5}, TypeError, "max_iterations must be an integer >= 1, got 1.5", id="half"),
    pytest.param({"method": "newton"}, ValueError, "method must be one of 'auto', .* got 'newton'", id="unknown"),
    pytest.param({"method": "metric_prox"}, ValueError, "method must be one of", id="not-offered"),
    pytest.param({"step_rule": "line"}, ValueError, "step_rule must be one of 'block', 'global'", id="step-rule"),
    pytest.param({"reference": ONES[:1]}, ValueError, "reference must have the shape of B", id="reference-shape"),
    pytest.param({"reference": ONES.float()}, ValueError, "reference must have the dtype of B", id="reference-dtype"),
    pytest.param({"reference": [0.0]}, TypeError, "reference must be a torch.Tensor", id="reference-list"),
    pytest.param({"reference": ONES * math.nan}, ValueError, "reference must be finite, got 6 NaN", id="reference-nan"),
    pytest.param({"warm_starts": [ONES, ONES / 0]}, ValueError, r"warm_starts\[1\] must be finite", id="warm-infinite"),
    pytest.param({"warm_starts": [ONES, ONES[:1]]}, ValueError, r"warm_starts\[1\] must have the shape", id="warm"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD_SUBPROBLEMS)
def test_bad_subproblem(arguments, error, message):
    with pytest.raises(error, match=message):
        Subproblem(*arguments)


@pytest.mark.parametrize(("arguments", "error", "message"), BAD_VALUES)
def test_bad_values_are_found_by_solve(arguments, error, message):
    with pytest.raises(error, match=message):
        solve(Subproblem(*arguments), tolerance=1.0)


@pytest.mark.parametrize(("options", "error", "message"), BAD_OPTIONS)
def test_bad_option(options, error, message):
    subproblem = Subproblem(ONES, ONES, 1.0, NuclearNorm(1.0))
    with pytest.raises(error, match=message):
        solve(subproblem, **{"tolerance": 1e-3, **options})


@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf, "2"])
def test_bad_divisor(bad):
    with pytest.raises((ValueError, TypeError), match="factor must be"):
        Subproblem(ONES, ONES, 1.0, L1(1.0)).divided_by(bad)


@pytest.mark.parametrize(
    ("regularizer", "methods"),
    [
        (L1(1.0), ("metric_prox", "separable", "accelerated", "proximal_gradient")),
        (GroupLasso(1.0), ("metric_prox", "accelerated", "proximal_gradient")),
        (NuclearNorm(1.0), ("accelerated", "proximal_gradient")),
        (PlainL1(), ("proximal_gradient",)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_methods_allowed(regularizer, methods):
    subproblem = Subproblem(3 * ONES, ONES, 1.0, regularizer)
    assert available_methods(subproblem) == methods
    for method in ("auto", *methods):
        solution = solve(subproblem, tolerance=1e-9, method=method)
        assert solution.method == (methods[0] if method == "auto" else method)
        assert solution.status.converged
