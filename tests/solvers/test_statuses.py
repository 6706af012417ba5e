"""Every way in which a solve can end is reached, and says what it says."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from ramda_verify.oracles import certificate
from ramda_verify.oracles.psi import psi_value
from solvers import L1, GroupLasso, NuclearNorm, Status, Subproblem, solve, solve_batch
from solvers.regularizers.base import shrink
from solvers.subproblem.batch_problem import SubproblemBatch
from solvers.subproblem.criterion import rounding_floor
from solvers.subproblem.methods import direct_point
from tests.registry import weighted


@pytest.fixture
def low_rank(random):
    """A subproblem that needs iteration: a nuclear norm in a metric with entries from 0.1 to 10."""
    B = torch.tensor(random.standard_normal((6, 5)))
    return Subproblem(B, torch.tensor(10.0 ** random.uniform(-1, 1, (6, 5))), 0.2, NuclearNorm(1.0))


class Lies(L1):
    """Its metric prox ignores the metric."""

    def metric_prox(self, B, D, lam):
        return shrink(B, lam * self.reg_weight)


class Breaks(NuclearNorm):
    """Its prox returns NaN."""

    def prox(self, w, step):
        return torch.full_like(w, math.nan)


class ZeroTimesInfinity(L1):
    """Its subgradient is NaN at zero entries where the threshold has overflowed."""

    metric_prox: Any = None

    def subgradient_residual(self, point, gradient, lam):
        threshold = lam * self.reg_weight
        return torch.where(point != 0, gradient, shrink(gradient, threshold)) + threshold * torch.sign(point)


#: Whether the residual is that of the least subgradient: a splitting, of which auto may take it, has a longer one.
METHODS = {"accelerated": True, "auto": False}


@pytest.mark.parametrize("method", METHODS)
def test_converged(low_rank, method):
    solution = solve(low_rank, tolerance=1e-6, method=method)
    assert solution.status is Status.CONVERGED
    assert solution.accepted
    Z, B, D = (t.numpy() for t in (solution.point, low_rank.B, low_rank.D))
    least = pytest.approx(certificate.stationarity(Z, B, D, 0.2, NuclearNorm(1.0)), rel=1e-6)
    assert solution.residual == least or (not METHODS[method] and least.expected < solution.residual <= 1e-6)
    expected = float((Z * (0.5 * D * Z - B)).sum()) + 0.2 * psi_value(Z, NuclearNorm(1.0))
    assert solution.objective == pytest.approx(expected, rel=1e-13)


class Unsure(L1):
    """Its direct solution is a little off; no exact subgradient tells by how much, and no step per entry mends it."""

    separable = False
    blockwise_max: Any = None
    subgradient_residual: Any = None
    off = 0.0

    def metric_prox(self, B, D, lam):
        return (1 + self.off) * super().metric_prox(B, D, lam)


@pytest.mark.parametrize("off", [1e-3, 0.5])
@pytest.mark.parametrize("falls_back", [False, True])
def test_residual_without_an_exact_subgradient_is_none_too_small(random, off, falls_back):
    """Of a direct solution, and of the step from the reference where that solution does not descend from it."""
    B, D = torch.tensor(random.standard_normal(12)), torch.tensor(10.0 ** random.uniform(-1, 1, 12))
    regularizer, right = Unsure(0.3), L1(0.3)
    object.__setattr__(regularizer, "off", off)
    reference = right.metric_prox(B, D, 1.0) * (1 + off / 10) if falls_back else None
    found = solve(Subproblem(B, D, 1.0, regularizer), reference, tolerance=1e-12, method="metric_prox")
    assert found.status is (Status.FELL_BACK if falls_back else Status.NOT_STATIONARY)
    recomputed = certificate.stationarity(found.point.numpy(), B.numpy(), D.numpy(), 1.0, right)
    assert recomputed > 1e-9
    assert recomputed <= found.residual * (1 + 1e-9)


@pytest.mark.parametrize("method", ["accelerated", "proximal_gradient"])
def test_iteration_limit(low_rank, method):
    solution = solve(low_rank, tolerance=1e-9, max_iterations=3, method=method)
    assert solution.status is Status.ITERATION_LIMIT
    assert solution.iterations == 3
    assert not solution.accepted
    assert solution.residual > 1e-9


def test_precision_limit(low_rank, random):
    iterative = solve(low_rank, tolerance=0.0)
    assert iterative.status is Status.PRECISION_LIMIT
    assert 0 < iterative.residual < 1e-12
    D = torch.tensor(10.0 ** random.uniform(-1, 1, (6, 5)))
    direct = solve(Subproblem(low_rank.B, D, 0.1, GroupLasso(1.0)), tolerance=0.0)
    assert direct.status is Status.PRECISION_LIMIT
    assert not direct.accepted


def test_not_stationary(random):
    B, D = torch.tensor(random.standard_normal(9)), torch.tensor(random.uniform(2, 9, 9))
    solution = solve(Subproblem(B, D, 0.01, Lies(1.0)), tolerance=1e-6)
    assert solution.status is Status.NOT_STATIONARY
    assert not solution.accepted


def test_lie_falls_back_where_there_is_a_reference(random):
    B, D = torch.tensor(random.standard_normal(9)), torch.tensor(random.uniform(2, 9, 9))
    reference = B / D
    subproblem = Subproblem(B, D, 0.01, Lies(1.0))
    solution = solve(subproblem, reference, tolerance=1e-6)
    assert solution.status is Status.FELL_BACK
    assert solution.descent is False
    assert float(subproblem.objective(solution.point)) <= float(subproblem.objective(reference))


def test_non_finite(low_rank):
    reference = torch.ones_like(low_rank.B)
    broken = Subproblem(low_rank.B, low_rank.D, low_rank.lam, Breaks(1.0))
    for start in (None, reference):
        solution = solve(broken, start, tolerance=1e-6)
        assert solution.status is Status.NON_FINITE
        assert bool(torch.isfinite(solution.point).all())
    assert torch.equal(solution.point, reference)


@pytest.mark.parametrize("method", ["auto", "accelerated", "proximal_gradient", "splitting"])
@pytest.mark.parametrize("regularizer", [*weighted(1e3, "convex"), ZeroTimesInfinity(1e3)], ids=repr)
def test_a_residual_out_of_range_is_infinite(regularizer, method):
    """lam*reg_weight overflows, and with it the certificate of the reference, which has zero entries."""
    top, D = 2.0**1016, torch.full((3, 4), 1e-4, dtype=torch.float64)
    reference = torch.zeros_like(D)
    reference[2, 3] = 1.0
    found = solve(Subproblem(reference * top, D, top, regularizer), reference, tolerance=1e-3 * top, method=method)
    many = solve_batch(
        (reference * top)[None], D[None], top, regularizer, reference[None], tolerance=1e-3 * top, method=method
    )
    for solution in (found, many[0]):
        assert not math.isnan(solution.residual)
        assert bool(torch.isfinite(solution.point).all())


def test_direct_non_finite_returns_a_finite_point(random):
    class DirectNaN(L1):
        def metric_prox(self, B, D, lam):
            return torch.full_like(B, math.nan)

    B = torch.tensor(random.standard_normal(5))
    solution = solve(Subproblem(B, torch.ones_like(B), 0.1, DirectNaN(1.0)), torch.zeros_like(B), tolerance=1e-6)
    assert solution.status is Status.NON_FINITE
    assert bool(torch.isfinite(solution.point).all())


def test_only_converged_converges():
    assert [status for status in Status if status.converged] == [Status.CONVERGED]
    assert len({status.value for status in Status}) == len(Status) == 6


def test_start_that_is_good_enough_costs_no_iteration(low_rank):
    best = solve(low_rank, tolerance=1e-10).point
    again = solve(low_rank, best, tolerance=1e-9)
    assert again.iterations == 0
    assert torch.equal(again.point, best)


@pytest.mark.parametrize("method", ["proximal_gradient", "accelerated"])
def test_residual_at_the_tolerance_is_accepted(method, low_rank):
    """A start whose residual is the tolerance itself converges without an iteration; a smaller tolerance takes one."""
    start = low_rank.B / low_rank.D
    residual = solve(low_rank, start, tolerance=1e6, method=method).residual
    for tolerance, iterations in ((residual, 0), (math.nextafter(residual, 0), 1)):
        found = solve(low_rank, start, tolerance=tolerance, method=method, max_iterations=1)
        many = solve_batch(
            low_rank.B[None], low_rank.D[None], low_rank.lam, low_rank.regularizer, start[None],
            tolerance=tolerance, method=method, max_iterations=1,
        )  # fmt: skip
        for solution in (found, many[0]):
            assert solution.iterations == iterations
            assert iterations or (solution.accepted and solution.residual == residual)


@pytest.mark.parametrize("regularizer", weighted(0.1, "convex"), ids=repr)
def test_no_gradient_flows_through_a_solve(regularizer, random):
    B = torch.tensor(random.standard_normal((4, 5)), requires_grad=True)
    D = torch.tensor(random.uniform(0.5, 2, (4, 5)), requires_grad=True) * 2
    solution = solve(Subproblem(B, D, 0.3, regularizer), B * 0.1, tolerance=1e-6)
    batch = solve_batch(B[None], D[None], 0.3, regularizer, tolerance=1e-6)
    assert solution.accepted
    assert not solution.point.requires_grad
    assert not batch.point.requires_grad


def test_observer_follows_every_iteration(low_rank):
    seen = []
    solution = solve(low_rank, tolerance=1e-6, observe=lambda *what: seen.append(what))
    assert [count for count, _, _ in seen] == list(range(1, solution.iterations + 1))
    assert torch.equal(seen[-1][1], solution.point)
    assert seen[-1][2] == solution.residual
    assert all(residual > 1e-6 for _, _, residual in seen[:-1])


def test_better_warm_start_is_taken(low_rank):
    best = solve(low_rank, tolerance=1e-10).point
    far = torch.full_like(best, 100.0)
    assert solve(low_rank, far, tolerance=1e-9, warm_starts=[far, best]).iterations == 0


@pytest.mark.parametrize(
    ("regularizer", "largest"),
    [
        (L1(0.5), lambda B: np.abs(B).max()),
        (GroupLasso(0.5), lambda B: np.linalg.norm(B, axis=0).max() / 2),
        (NuclearNorm(0.5), lambda B: np.linalg.norm(B, 2)),
    ],
    ids=["l1", "group_lasso", "nuclear_norm"],
)
@pytest.mark.parametrize("method", ["auto", "accelerated", "proximal_gradient"])
def test_smallest_weight_at_which_zero_is_the_solution(regularizer, largest, method, random):
    B = random.standard_normal((4, 3))
    D = torch.tensor(random.uniform(0.5, 5, (4, 3)))
    critical = largest(B) / 0.5
    above = solve(Subproblem(torch.tensor(B), D, critical * (1 + 1e-9), regularizer), tolerance=1e-12, method=method)
    below = solve(Subproblem(torch.tensor(B), D, critical * (1 - 1e-3), regularizer), tolerance=1e-9, method=method)
    assert above.point.eq(0).all()
    assert below.status.converged
    assert below.point.ne(0).any()


@pytest.mark.parametrize("regularizer", weighted(0.5, "convex"), ids=repr)
@pytest.mark.parametrize("constant", [1e-6, 1.0, 1e6])
def test_constant_metric_is_the_ordinary_prox(regularizer, constant, random):
    w = torch.tensor(random.standard_normal((4, 3)))
    expected = regularizer.prox(w, 0.3)
    subproblem = Subproblem(constant * w, torch.full_like(w, constant), 0.3 * constant, regularizer)
    for method in ("auto", "accelerated", "proximal_gradient"):
        found = solve(subproblem, tolerance=1e-13 * constant, method=method).point
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("regularizer", weighted(0.5, "convex"), ids=repr)
def test_weight_zero_is_division(regularizer, random):
    B, D = torch.tensor(random.standard_normal((4, 3))), torch.tensor(random.uniform(0.5, 5, (4, 3)))
    for method in ("auto", "accelerated", "proximal_gradient"):
        found = solve(Subproblem(B, D, 0.0, regularizer), tolerance=1e-12, method=method)
        torch.testing.assert_close(found.point, B / D, rtol=1e-11, atol=0)


@pytest.mark.parametrize("method", METHODS)
def test_division_changes_units_not_the_solution(low_rank, method):
    plain = solve(low_rank, tolerance=1e-8, method=method)
    for factor in (1e-3, 7.0, 1e4):
        divided = solve(low_rank.divided_by(factor), tolerance=1e-8, method=method)
        assert divided.status is Status.CONVERGED
        torch.testing.assert_close(divided.point, plain.point, rtol=1e-6, atol=1e-8)
        assert divided.objective == pytest.approx(plain.objective, rel=1e-9)
        Z, B, D = (t.numpy() for t in (divided.point, low_rank.B, low_rank.D))
        least = pytest.approx(certificate.stationarity(Z, B, D, 0.2, NuclearNorm(1.0)), rel=1e-5, abs=1e-13)
        assert divided.residual == least or (not METHODS[method] and least.expected < divided.residual <= 1e-8)


def test_objective_change_does_not_cancel(low_rank):
    Z = solve(low_rank, tolerance=1e-3).point
    for size in (1e-3, 1e-9, 1e-12):
        moved = Z * (1 + size)
        change, rounding = low_rank.objective_change(moved, Z)
        slope = float((Z * low_rank.gradient(Z)).sum()) + 0.2 * float(NuclearNorm(1.0).value(Z))
        bend = 0.5 * float((low_rank.D * Z * Z).sum())
        assert float(change) == pytest.approx(slope * size + bend * size * size, abs=float(rounding) + 1e-30)


class NonNegative:
    """The indicator of w >= 0, by value and prox alone."""

    convex = True

    def value(self, w):
        return torch.where((w >= 0).all(), 0.0, math.inf).to(w.dtype)

    def prox(self, w, step):
        return w.clamp_min(0)


@pytest.mark.parametrize("regularizer", [NuclearNorm(1.0), NonNegative()], ids=lambda r: type(r).__name__)
def test_precision_limit_is_that_of_the_point_returned(regularizer):
    """Where D spreads widely iterates far out have a rounding level above the residual of a start near zero."""
    random = np.random.default_rng(5)
    problems = [
        Subproblem(torch.tensor(B).float(), torch.tensor(D).float(), 0.3, regularizer)
        for B, D in [(random.standard_normal((6, 5)), 10 ** random.uniform(-4, 4, (6, 5))) for _ in range(12)]
    ]
    alone = [solve(given, tolerance=1e-3 * float(given.B.norm())) for given in problems]
    batch = solve_batch(
        torch.stack([given.B for given in problems]),
        torch.stack([given.D for given in problems]),
        0.3,
        regularizer,
        tolerance=torch.tensor([1e-3 * float(given.B.norm()) for given in problems]),
    )
    for name, found in (("solve", alone), ("solve_batch", [batch[i] for i in range(len(problems))])):
        assert any(end.status is Status.PRECISION_LIMIT for end in found), name
        for given, end in zip(problems, found, strict=True):
            if end.status is Status.PRECISION_LIMIT:
                assert end.residual <= rounding_floor(given, end.point), name


def test_level_of_rounding_is_finite_where_what_is_rounded_is_out_of_range():
    """D*Z leaves float64's range, sixteen roundings of it do not: the residual of the start is far above them."""
    D = torch.tensor([[1e12, 1.0], [1.0, 1e-3]], dtype=torch.float64)
    Z = torch.full_like(D, 1e299)
    for regularizer, magnification in ((NonNegative(), torch.full_like(D, 1e12)), (GroupLasso(1.0), None)):
        given = Subproblem(torch.ones_like(D), D, 1.0, regularizer)
        M = D.amax(0).expand(2, 2) if magnification is None else magnification
        expected = 16 * torch.finfo(torch.float64).eps * float((M * (Z * 1e-160)).norm())
        assert rounding_floor(given, Z) == pytest.approx(expected * 1e160, rel=1e-12)
        rows = SubproblemBatch(given.B[None], D[None], torch.ones(1, dtype=torch.float64), regularizer)
        level = rounding_floor(rows, Z[None])
        assert float(level[0]) == pytest.approx(expected * 1e160, rel=1e-12)


class Strict(NonNegative):
    """A prox that is defined for a positive step, as the contract has it, and refuses any other."""

    separable = True

    def prox(self, w, step):
        assert bool((torch.as_tensor(step, dtype=torch.float64) > 0).all())
        return super().prox(w, step)


@pytest.mark.parametrize("lam", [1.0, 1e-320])
@pytest.mark.parametrize("theta", [1.0, 1e-10, torch.tensor([1.0, 1e-10]), torch.tensor([0.0, 1.0])], ids=str)
def test_no_prox_has_a_step_of_zero(lam, theta):
    w = torch.tensor([-1.0, 2.0], dtype=torch.float64)
    theta = theta.double() if isinstance(theta, torch.Tensor) else theta
    found = Subproblem(w, torch.ones_like(w), lam, Strict()).prox(w, theta)
    assert found.tolist() == [0.0, 2.0]


def test_of_many_steps_only_those_that_underflow_are_the_smallest_number():
    asked = []

    class Recorded(L1):
        def prox(self, w, step):
            asked.append(step.tolist())
            return super().prox(w, step)

    problem = Subproblem(torch.ones(3).double(), torch.ones(3).double(), 1e-200, Recorded(1.0))
    theta = torch.tensor([1e-200, 1e200, 2e200], dtype=torch.float64)
    point = problem.prox(torch.tensor([3.0, 4.0, 5.0]).double(), theta)
    assert asked == [[torch.finfo(torch.float64).tiny, 1.0, 2.0]]
    assert point.tolist() == [3.0, 3.0, 3.0]


def test_without_a_weight_there_is_no_prox():
    w = torch.tensor([-1.0, 2.0], dtype=torch.float64)
    assert Subproblem(w, torch.ones_like(w), 0.0, Strict()).prox(w, 1.0).tolist() == [-1.0, 2.0]


@pytest.mark.parametrize("method", ["auto", "accelerated", "proximal_gradient", "splitting"])
@pytest.mark.parametrize(("dtype", "lam"), [(torch.float32, 1e-60), (torch.float32, 1e-44), (torch.float64, 1e-320)])
def test_constraint_holds_however_small_its_weight(method, dtype, lam):
    """The step of the prox, lam/D, underflows, and its result must not: a constraint knows no weight but zero."""
    B = torch.tensor([[3.0, -2.0], [-1.0, 0.5]], dtype=dtype)
    D = torch.tensor([[1e3, 2e3], [1e4, 5e3]], dtype=dtype)
    found = solve(Subproblem(B, D, lam, NonNegative()), tolerance=1e-5, method=method)
    assert found.status is Status.CONVERGED
    torch.testing.assert_close(found.point, (B / D).clamp_min(0), rtol=1e-5, atol=1e-8)
    many_B, many_D = (x.expand(4, 2, 2).contiguous() for x in (B, D))
    many = solve_batch(many_B, many_D, lam, NonNegative(), tolerance=1e-5)
    assert bool((many.point >= 0).all())


@pytest.mark.parametrize("lam", [0.0, torch.tensor(0.0, dtype=torch.float64)], ids=["number", "tensor"])
@pytest.mark.parametrize("regularizer", [L1(0.7), GroupLasso(0.7), NuclearNorm(0.7)], ids=repr)
def test_without_a_weight_the_solution_is_b_over_d(regularizer, lam, random):
    B, D = torch.tensor(random.standard_normal((4, 3))), torch.tensor(random.uniform(0.5, 2, (4, 3)))
    point = solve(Subproblem(B, D, lam, regularizer), tolerance=1e-9).point
    torch.testing.assert_close(point, B / D, rtol=1e-9, atol=0)


@pytest.mark.parametrize("regularizer", [L1(0.7), GroupLasso(0.7)], ids=repr)
def test_a_direct_method_without_a_weight_divides(regularizer, random):
    B, D = torch.tensor(random.standard_normal((4, 3))), torch.tensor(random.uniform(0.5, 2, (4, 3)))
    found = direct_point(Subproblem(B, D, 0.0, regularizer))
    assert found is not None
    assert torch.equal(found[0], B / D)
    assert found[1] == 1
