"""The subproblem is homogeneous: what a solve says at one scale it says at every scale that the dtype can hold."""

import math

import mpmath
import pytest
import torch

from ramda_verify.oracles import certificate
from solvers import L1, GroupLasso, NuclearNorm, SparseGroupLasso, Status, Subproblem, Zero, solve, solve_batch
from solvers.subproblem import scale_free
from solvers.subproblem.batch_problem import SubproblemBatch
from solvers.subproblem.criterion import certainly_descends, residual_norm, rounding_floor
from solvers.subproblem.methods import allowed_methods
from tests.registry import weighted
from tests.solvers.plug_ins import ConvexL1, PlainL1, SimplexInAMetric

SCALES = {
    torch.float64: (1e-300, 1e-170, 1e160, 1e300),
    torch.float32: (1e-37, 1e-20, 1e36),
}
TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-4}
#: What is multiplied by s (B, D, lam), and the solution by which power of s.
KINDS = {"B and lam": (1, 0, 1, 1), "all": (1, 1, 1, 0), "D": (0, 1, 0, -1)}
REGULARIZERS = [*weighted(0.5, "convex"), Zero(), PlainL1(), ConvexL1()]
CASES = [
    pytest.param(regularizer, dtype, kind, id=f"{type(regularizer).__name__}{number}-{str(dtype)[6:]}-{kind}")
    for number, regularizer in enumerate(REGULARIZERS)
    for dtype in SCALES
    for kind in KINDS
]


def numbers(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    B, W = (torch.randn(4, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    D = 10 ** -torch.rand(4, 3, generator=generator, dtype=torch.float64)
    return (3 * B).to(dtype), D.to(dtype), W.to(dtype)


def scaled(regularizer, dtype, kind, s):
    """The problem at a scale, the factor of its residuals and that of its points."""
    B, D, _ = numbers(dtype)
    b, d, weight, power = KINDS[kind]
    return Subproblem(B * s**b, D * s**d, 0.7 * s**weight, regularizer), s**b, s**power


def assert_alike(found, unit, slope, point):
    dtype = unit.point.dtype
    assert found.status is unit.status
    assert found.accepted == unit.accepted
    assert found.descent == unit.descent
    assert abs(found.iterations - unit.iterations) <= 2 + unit.iterations / 10
    close = 1e-8 if dtype is torch.float64 else 3e-4
    torch.testing.assert_close(
        found.point.double() / point, unit.point.double(), rtol=0, atol=close * float(unit.point.abs().max())
    )
    assert found.residual / slope == pytest.approx(unit.residual, rel=1e-2, abs=1e-13 if close == 1e-8 else 1e-5)


@pytest.mark.parametrize("referred", [False, True])
@pytest.mark.parametrize(("regularizer", "dtype", "kind"), CASES)
def test_every_method_at_every_scale(regularizer, dtype, kind, referred):
    W = numbers(dtype)[2]
    one, _, _ = scaled(regularizer, dtype, kind, 1.0)
    goal = TOLERANCES[dtype] * float(one.B.norm())
    for method in ("auto", *allowed_methods(one)):
        options = {"method": method, "max_iterations": 3000}
        unit = solve(one, W if referred else None, tolerance=goal, **options)
        assert unit.status is Status.CONVERGED
        for s in SCALES[dtype]:
            if kind == "D" and dtype is torch.float32 and s < 1e-35:
                continue  # the solution, s times as small, is out of range
            problem, slope, point = scaled(regularizer, dtype, kind, s)
            found = solve(problem, W * point if referred else None, tolerance=goal * slope, **options)
            assert_alike(found, unit, slope, point)


@pytest.mark.parametrize(("regularizer", "dtype", "kind"), CASES)
def test_one_batch_of_all_scales(regularizer, dtype, kind):
    scales = [1.0, *(s for s in SCALES[dtype] if not (kind == "D" and dtype is torch.float32 and s < 1e-35))]
    rows = [scaled(regularizer, dtype, kind, s) for s in scales]
    goal = TOLERANCES[dtype] * float(rows[0][0].B.norm())
    for method in ("auto", *allowed_methods(rows[0][0])):
        batch = solve_batch(
            torch.stack([problem.B for problem, _, _ in rows]),
            torch.stack([problem.D for problem, _, _ in rows]),
            torch.tensor([problem.lam for problem, _, _ in rows], dtype=torch.float64),
            regularizer,
            tolerance=torch.tensor([goal * slope for _, slope, _ in rows], dtype=torch.float64),
            method=method,
            max_iterations=3000,
        )
        for row, (_, slope, point) in enumerate(rows):
            assert_alike(batch[row], batch[0], slope, point)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("regularizer", REGULARIZERS, ids=lambda r: type(r).__name__)
def test_tolerance_zero_ends_at_rounding_at_every_scale(regularizer, kind):
    for method in ("auto", *allowed_methods(scaled(regularizer, torch.float64, kind, 1.0)[0])):
        for s in (1e-170, 1.0, 1e300):
            problem, slope, _ = scaled(regularizer, torch.float64, kind, s)
            found = solve(problem, tolerance=0.0, method=method, max_iterations=5000)
            assert found.status in (Status.PRECISION_LIMIT, Status.CONVERGED), (method, s)
            assert found.residual / slope <= 1e-12
            assert found.accepted == (found.residual == 0)


@pytest.mark.parametrize("regularizer", weighted(100.0, "convex"), ids=repr)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_price_out_of_range_makes_everything_zero(regularizer, dtype):
    """lam is a number of the dtype, lam times the weight of psi is not."""
    top = torch.finfo(dtype).max / 64
    B = torch.tensor([[1.0, -0.5], [0.25, 0.5]], dtype=dtype) * top
    for method in ("auto", *allowed_methods(Subproblem(B, torch.ones_like(B), top, regularizer))):
        found = solve(Subproblem(B, torch.ones_like(B), top, regularizer), tolerance=1e-3 * top, method=method)
        assert found.status is Status.CONVERGED, method
        assert bool((found.point == 0).all())
        assert found.residual == 0


@pytest.mark.parametrize("s", [1e-300, 1e-170, 1e160, 1e300])
@pytest.mark.parametrize("regularizer", weighted(0.5, "convex"), ids=repr)
def test_residual_is_that_of_exact_arithmetic(regularizer, s):
    """Recomputed from numbers that mpmath, whose exponents have no end, has brought to ordinary size."""
    problem, _, _ = scaled(regularizer, torch.float64, "B and lam", s)
    for method in ("accelerated", "splitting"):
        found = solve(problem, tolerance=1e-6 * s, method=method)
        assert found.accepted
        unit = mpmath.mpf(s)
        Z, B = (
            torch.tensor([[float(mpmath.mpf(v) / unit) for v in row] for row in t.tolist()], dtype=torch.float64)
            for t in (found.point, problem.B)
        )
        exact = certificate.stationarity(Z.numpy(), B.numpy(), problem.D.numpy(), 0.7, regularizer)
        assert float(mpmath.mpf(found.residual) / unit) == pytest.approx(exact, rel=1e-3, abs=1e-12)
        assert exact <= 1e-6 * (1 + 1e-6)


def test_objective_where_it_is_in_range_and_where_not():
    one, _, _ = scaled(NuclearNorm(0.5), torch.float64, "all", 1.0)
    unit = solve(one, tolerance=1e-9)
    for s in SCALES[torch.float64]:
        problem, _, _ = scaled(NuclearNorm(0.5), torch.float64, "all", s)
        assert solve(problem, tolerance=1e-9 * s).objective / s == pytest.approx(unit.objective, rel=1e-9)
        outside, _, _ = scaled(NuclearNorm(0.5), torch.float64, "B and lam", s)
        expected = math.copysign(math.inf, unit.objective) if s > 1e154 else unit.objective * s * s
        assert solve(outside, tolerance=1e-9 * s).objective == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("s", [1e-300, 1e-170, 1.0, 1e160, 1e300])
def test_comparison_of_objectives_at_every_scale(s):
    """(7b) is decided in numbers of the size of B: Q itself is 0 or infinite here."""
    B, D, W = numbers()
    psi = NuclearNorm(0.5)
    problem = Subproblem(B * s, D, 0.7 * s, psi)
    best = solve(problem, tolerance=1e-9 * s).point
    member = psi.subgradient_residual(best, problem.gradient(best), problem.lam)
    assert certainly_descends(problem, best, member, W * s)
    assert not certainly_descends(problem, W * s, problem.gradient(W * s), best)
    change, rounding, _ = problem.change_per_unit(best, W * s)
    assert change < -rounding < 0
    worse = solve(problem, best, tolerance=0.0, method="proximal_gradient", max_iterations=1)
    assert worse.descent
    change, rounding = problem.objective_change(W * s, best)
    assert not math.isnan(float(change))
    assert not math.isnan(float(rounding))


def test_a_start_that_is_far_away_in_size():
    B, D, W = numbers()
    for factor in (1e-200, 1e200):
        for method in ("accelerated", "proximal_gradient", "splitting"):
            found = solve(Subproblem(B, D, 0.7, NuclearNorm(0.5)), W * factor, tolerance=1e-6, method=method)
            if factor < 1:
                assert found.status is Status.CONVERGED
            assert bool(torch.isfinite(found.point).all())
            assert found.accepted == (found.residual <= 1e-6)


@pytest.mark.parametrize("numbers_of", [(3.0, 4.0), (3e-200, 4e-200), (3e200, 4e200), (3e-310, 4e-310)])
def test_norm(numbers_of):
    tensor = torch.tensor(numbers_of, dtype=torch.float64)
    expected = math.hypot(*numbers_of)
    assert scale_free.norm(tensor) == pytest.approx(expected, rel=1e-14)
    rows = torch.stack([tensor, torch.zeros(2), torch.ones(2)]).double()
    assert scale_free.row_norms(rows).tolist() == pytest.approx([expected, 0.0, math.sqrt(2)], rel=1e-14)


def test_norm_of_what_has_none():
    assert scale_free.norm(torch.zeros(3)) == 0
    assert scale_free.norm(torch.tensor([1.0, math.inf])) == math.inf
    assert math.isnan(scale_free.norm(torch.tensor([1.0, math.nan])))
    rows = torch.tensor([[1.0, math.inf], [1.0, math.nan], [0.0, 0.0], [3.0, 4.0]], dtype=torch.float64)
    assert scale_free.row_norms(rows).tolist()[::2] == [math.inf, 0.0]
    assert math.isnan(float(scale_free.row_norms(rows)[1]))
    assert float(scale_free.row_norms(rows)[3]) == 5.0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
def test_product_keeps_its_sign(dtype):
    info = torch.finfo(dtype)
    a = torch.tensor([1.0, -2.0], dtype=dtype)
    for size in (1.0, info.tiny, info.max / 4):
        for b, sign in (([3.0, 1.0], 1), ([1.0, 3.0], -1), ([2.0, 1.0], 0), ([0.0, 0.0], 0)):
            move = torch.tensor(b, dtype=dtype) / 4 * size
            found = Subproblem(a, a.abs(), 1.0, L1(1.0)).product(a * size / 4, move)
            assert (found > 0) - (found < 0) == sign
            ones = torch.ones(3, 2, dtype=dtype)
            many = SubproblemBatch(ones, ones, ones[:, 0], L1(1.0))
            assert torch.sign(many.product(a.expand(3, 2) * size / 4, move.expand(3, 2))).tolist() == [sign] * 3


def test_residual_that_leaves_the_range_is_never_accepted_by_accident():
    B, D, _ = numbers()
    tiny = Subproblem(B * 1e-300, D, 0.7e-300, L1(0.5), scale=1e-200)
    assert residual_norm(tiny, tiny.B) == math.ulp(0.0)
    huge = Subproblem(B * 1e300, D, 0.7e300, L1(0.5), scale=1e200)
    assert residual_norm(huge, huge.B) == math.inf
    for problem in (tiny, huge):
        stopped = solve(problem, tolerance=0.0, method="splitting", max_iterations=2)
        assert not stopped.accepted
        assert stopped.status is not Status.CONVERGED


def test_denormal_problems_end_at_their_rounding_level():
    B, D, _ = numbers()
    for size in (1e-310, 1e-320):
        for regularizer in (L1(0.5), GroupLasso(0.3), NuclearNorm(0.5), PlainL1()):
            for method in ("auto", *allowed_methods(Subproblem(B, D, 1.0, regularizer))):
                problem = Subproblem(B * size, D, 0.7 * size, regularizer)
                found = solve(problem, tolerance=0.0, method=method)
                assert found.status in (Status.PRECISION_LIMIT, Status.CONVERGED)
                # The certificate is below the floor, the exact residual, which is reported, within it of that.
                assert found.residual <= 2 * rounding_floor(problem, found.point)


@pytest.mark.parametrize("exponent", [0, 3, 9, 12])
def test_exact_point_far_from_B_is_stationary(exponent):
    """A projection on the simplex in a large metric: D*Z is 1e9 times as large as B."""
    B, D, _ = numbers()
    problem = Subproblem(B.flatten(), D.flatten() * 10.0**exponent, 1.0, SimplexInAMetric())
    found = solve(problem, tolerance=1e-14)
    assert found.method == "metric_prox"
    assert found.status in (Status.CONVERGED, Status.PRECISION_LIMIT)
    batch = solve_batch(problem.B.expand(3, -1), problem.D.expand(3, -1), 1.0, SimplexInAMetric(), tolerance=1e-14)
    assert batch.status[0] is found.status
    assert float(found.point.sum()) == pytest.approx(1.0, rel=1e-12)


def test_wrong_point_far_from_B_is_not():
    class Off(SimplexInAMetric):
        def metric_prox(self, B, D, lam):
            found = super().metric_prox(B, D, lam)
            return (found + 1e-6 * torch.linspace(0, 1, len(found), dtype=found.dtype)).clamp_min(0)

    B, D, _ = numbers()
    problem = Subproblem(B.flatten(), D.flatten() * 1e9, 1.0, Off())
    assert solve(problem, tolerance=1e-9).status is Status.NOT_STATIONARY
    batch = solve_batch(problem.B.expand(3, -1), problem.D.expand(3, -1), 1.0, Off(), tolerance=1e-9)
    assert set(batch.status) == {Status.NOT_STATIONARY}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_step_too_small_to_move_the_point_proves_nothing(dtype):
    """In a narrow dtype proximal gradient comes to rest short of the solution: that is not a residual of zero."""
    B, D, _ = numbers(dtype)
    D = D**4  # max D / min D about 1e4: the last steps are smaller than half a rounding of the point
    found = solve(Subproblem(B, D, 0.7, ConvexL1()), tolerance=0.0, method="proximal_gradient", max_iterations=20000)
    Z, b, d = (t.double() for t in (found.point, B, D))
    recomputed = certificate.stationarity(Z.numpy(), b.numpy(), d.numpy(), 0.7, L1(1.0))
    assert found.status is Status.PRECISION_LIMIT
    assert recomputed <= rounding_floor(Subproblem(B, D, 0.7, ConvexL1()), found.point)
    assert not found.accepted


@pytest.mark.parametrize("regularizer", [GroupLasso(1.0), SparseGroupLasso(1.0, 1e-3)])
def test_a_group_whose_price_is_above_float32_though_its_step_is_not(regularizer):
    """sqrt(9) times a step of 1.5e38; the group's norm is 9e38, so half of it is left."""
    w, step = torch.full((9, 9), 3e38), torch.tensor(1.5e38)
    exact = regularizer.prox(w.double(), step.double())
    assert float(exact.min()) > 1e38
    torch.testing.assert_close(regularizer.prox(w, step).double(), exact, rtol=1e-6, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_matrix_whose_price_is_above_float32_is_not_taken_for_zero(dtype):
    """sigma is 9 * 3e38 and the price 9 * 1.3e38. The products leave float32, which a status says; zero would lie."""
    found = NuclearNorm(9.0).prox(torch.full((9, 9), 3e38, dtype=dtype), torch.tensor(1.3e38))
    assert not bool((found == 0).any())
