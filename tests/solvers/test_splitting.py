"""The splitting: its choice, its statuses, its savings, and what is fast against what is plain."""

import math

import pytest
import torch

from ramda_verify.oracles import certificate
from solvers import L1, GroupLasso, NuclearNorm, Status, Subproblem, solve
from solvers.regularizers import singular_values
from solvers.subproblem.anderson import MEMORY, Anderson
from solvers.subproblem.criterion import certainly_descends, rounding_floor
from solvers.subproblem.methods import allowed_methods
from solvers.subproblem.splitting import contraction
from tests.mutants.claims import CountNonzero
from tests.registry import weighted


def problem(rows=24, columns=40, dtype=torch.float64, decades=3.0, seed=0):
    """A subproblem whose metric spreads over ``decades`` powers of ten."""
    generator = torch.Generator().manual_seed(seed)
    B = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    D = 10 ** (-decades * torch.rand(rows, columns, generator=generator, dtype=torch.float64))
    return Subproblem(B.to(dtype), D.to(dtype), 1.0, NuclearNorm(5.0))


def test_what_auto_means():
    assert allowed_methods(problem()) == ("splitting", "accelerated", "proximal_gradient")
    assert allowed_methods(problem(4, 3)) == ("splitting", "accelerated", "proximal_gradient")
    assert allowed_methods(problem(4, 3, decades=0.5)) == ("accelerated", "proximal_gradient", "splitting")
    assert allowed_methods(problem(decades=0.5)) == ("splitting", "accelerated", "proximal_gradient")
    ones = torch.ones(20, 20)
    assert allowed_methods(Subproblem(ones, ones, 1.0, GroupLasso(1.0)))[0] == "metric_prox"
    assert allowed_methods(Subproblem(ones, ones, 1.0, CountNonzero(1.0))) == ("proximal_gradient",)
    assert solve(problem(), tolerance=1e-3).method == "splitting"


def test_nonconvex_is_refused():
    ones = torch.ones(20, 20)
    with pytest.raises(ValueError, match="method must be one of"):
        solve(Subproblem(ones, ones, 1.0, CountNonzero(1.0)), tolerance=1e-3, method="splitting")


@pytest.mark.parametrize("regularizer", [*weighted(0.5, "convex"), NuclearNorm(2.0)], ids=repr)
def test_agrees_with_the_plain_path(regularizer):
    """Proximal gradient takes as many steps as the metric is ill-conditioned."""
    given = problem(decades=2.0)
    given = Subproblem(given.B, given.D, 1.0, regularizer)
    fast = solve(given, tolerance=1e-9, method="splitting")
    plain = solve(given, tolerance=1e-9, method="proximal_gradient", max_iterations=100_000)
    assert fast.status is plain.status is Status.CONVERGED
    assert fast.objective == pytest.approx(plain.objective, rel=1e-10)
    reach = (fast.residual + plain.residual) / float(given.D.min())
    assert float((fast.point - plain.point).norm()) <= reach


@pytest.mark.parametrize("shape", [(24, 40), (40, 24), (16, 2, 3, 4)])
def test_takes_fewer_proxes(shape):
    given = problem(math.prod(shape[:1]), math.prod(shape[1:]))
    given = Subproblem(given.B.reshape(shape), given.D.reshape(shape), 1.0, given.regularizer)
    counts = {
        method: solve(given, tolerance=1e-5, method=method, max_iterations=100_000).iterations
        for method in ("splitting", "accelerated", "proximal_gradient")
    }
    assert 2 * counts["splitting"] <= counts["accelerated"]
    assert 8 * counts["splitting"] <= counts["proximal_gradient"]


def test_float32_certificate_holds_in_float64():
    given = problem(dtype=torch.float32)
    solution = solve(given, tolerance=1e-3)
    assert solution.status is Status.CONVERGED
    Z, B, D = (t.double().numpy() for t in (solution.point, given.B, given.D))
    recomputed = certificate.stationarity(Z, B, D, 1.0, given.regularizer, rank_tolerance=40 * 1.2e-7)
    assert recomputed <= solution.residual * 1.01


def test_iteration_limit_and_rounding_level():
    stopped = solve(problem(), tolerance=1e-9, max_iterations=3)
    assert stopped.status is Status.ITERATION_LIMIT
    assert stopped.iterations == 3
    assert stopped.residual > 1e-9
    for dtype in (torch.float32, torch.float64):
        given = problem(dtype=dtype)
        end = solve(given, tolerance=0.0)
        assert end.status is Status.PRECISION_LIMIT
        assert end.residual <= rounding_floor(given, end.point)


def test_nan_is_a_status():
    class Breaks(L1):
        def prox(self, w, step):
            return torch.full_like(w, math.nan)

    given = problem()
    solution = solve(Subproblem(given.B, given.D, 1.0, Breaks(1.0)), given.B, tolerance=1e-3, method="splitting")
    assert solution.status is Status.NON_FINITE
    assert torch.equal(solution.point, given.B)


def test_observer_sees_every_certificate():
    seen = []
    solution = solve(problem(), tolerance=1e-6, observe=lambda *what: seen.append(what))
    assert [count for count, _, _ in seen] == list(range(1, solution.iterations + 1))
    assert torch.equal(seen[-1][1], solution.point)
    assert seen[-1][2] == solution.residual <= 1e-6


def test_descent_is_proved_without_psi(monkeypatch):
    given, calls = problem(), []
    right = NuclearNorm.value

    def value(self, w):
        calls.append(w)
        return right(self, w)

    monkeypatch.setattr(NuclearNorm, "value", value)
    solution = solve(given, given.B, tolerance=1e-4)
    assert solution.descent
    assert len(calls) == 1  # the objective that is reported


def test_starts_at_the_first_warm_start(monkeypatch):
    given = problem()
    best = solve(given, tolerance=1e-10).point
    monkeypatch.setattr(NuclearNorm, "value", lambda self, w: pytest.fail("psi is not needed"))
    far = torch.full_like(best, 100.0)
    solution = solve(given, far, tolerance=1e-7, warm_starts=[best, far], report=False)
    assert solution.iterations == 1
    assert solution.descent
    assert math.isnan(solution.objective)


def test_a_reference_that_is_better_leaves_the_question_open():
    given = problem()
    best = solve(given, tolerance=1e-11).point
    worse = solve(given, tolerance=1e-2)
    member = given.regularizer.subgradient_residual(worse.point, given.gradient(worse.point), given.lam)
    assert not certainly_descends(given, worse.point, member, best)
    assert certainly_descends(given, worse.point, member, worse.point)  # from itself nothing rises


def test_contraction_is_below_one():
    assert contraction(problem(decades=0.0)) == pytest.approx(0.2)
    assert 0.99 < contraction(problem(decades=6.0)) < 1


def test_extrapolation_solves_a_linear_map():
    """Anderson's method on x <- M x + b, M of MEMORY eigenvalues, ends in a few steps."""
    M = torch.diag(torch.linspace(0.1, 0.95, MEMORY, dtype=torch.float64))
    b = torch.ones(MEMORY, dtype=torch.float64)
    x, anderson = torch.zeros_like(b), Anderson(Subproblem(b, b, 1.0, L1(1.0)), b)
    for _ in range(4 * MEMORY):
        move = M @ x + b - x
        x, _ = anderson.propose(x, move)
    torch.testing.assert_close(x, torch.linalg.solve(torch.eye(MEMORY, dtype=torch.float64) - M, b), rtol=1e-6, atol=0)


def test_extrapolation_needs_differences():
    x = torch.ones(5)
    anderson = Anderson(Subproblem(x, x, 1.0, L1(1.0)), x)
    assert not anderson.propose(x, x)[1]
    assert not anderson.propose(x, x)[1]  # nothing has changed: there is nothing to learn from
    huge = torch.full_like(x, 1e30)
    assert not anderson.propose(huge, huge)[1]  # squares beyond float32


@pytest.mark.parametrize("shape", [(1, 3), (3, 1), (24, 40), (40, 24)])
@pytest.mark.parametrize("threshold", [1e-9, 1e-4, 0.3, 2.0])
def test_gram_loses_nothing_of_float32(shape, threshold):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    matrix /= torch.linalg.matrix_norm(matrix, 2)
    exact = singular_values.shrink_by_svd(matrix.double(), threshold)
    error = [
        float((by(matrix, threshold).double() - exact).norm())
        for by in (singular_values.shrink_by_gram, singular_values.shrink_by_svd)
    ]
    assert error[0] <= 2 * error[1] + 4 * torch.finfo(torch.float32).eps


def test_singular_spaces_of_a_poor_matrix():
    generator = torch.Generator().manual_seed(0)
    for dtype in (torch.float32, torch.float64):
        matrix = (torch.randn(9, 2, generator=generator) @ torch.randn(2, 5, generator=generator)).to(dtype)
        left, right = singular_values.singular_spaces(matrix, 1e-5)
        assert (left.shape, right.shape) == ((9, 5), (5, 5))
        assert float((left @ right).norm()) == pytest.approx(math.sqrt(2), rel=1e-5)
        zero = singular_values.singular_spaces(torch.zeros(3, 4, dtype=dtype), 1e-5)
        assert not any(space.any() for space in zero)
