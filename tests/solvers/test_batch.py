"""A batch of solves is what ``solve`` would have done, problem by problem, and does it in lock-step."""

import math

import pytest
import torch

from solvers import L1, GroupLasso, NuclearNorm, Status, Subproblem, Zero, solve, solve_batch
from solvers.regularizers.base import offers
from solvers.subproblem.solve import available_methods
from tests.mutants.claims import CountNonzero
from tests.plug_ins.right.convex_entries import ByFunctional, ByNumpy
from tests.registry import weighted

SHAPE = (4, 3)
REGULARIZERS = [
    L1(0.3),
    GroupLasso(0.3, "input"),
    GroupLasso(0.3, "output"),
    NuclearNorm(0.3),
    Zero(),
    CountNonzero(0.3),
]


class ReadsItsStep:
    """psi = 1/2||w||^2, with a prox that no vmap can run: it makes a number of its step."""

    convex = True

    def value(self, w):
        return 0.5 * w.square().sum()

    def prox(self, w, step):
        return w / (1 + float(step))


class LiesAbout(L1):
    """A metric prox that ignores the metric: right where D is 1, not stationary elsewhere."""

    def metric_prox(self, B, D, lam):
        return L1.metric_prox(self, B, torch.ones_like(D), lam)


class BreaksAbove(L1):
    """Its prox is NaN for points with an entry above 100."""

    def prox(self, w, step):
        return torch.where((w > 100).any(), torch.nan, super().prox(w, step))


def problems(count, dtype=torch.float64, shape=SHAPE, spread=0.5, seed=0):
    """B, D, lam, references and tolerances of ``count`` problems, each with its own."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*size):
        return 2 * torch.rand(*size, generator=generator, dtype=torch.float64) - 1

    B, W = (torch.randn(count, *shape, generator=generator, dtype=torch.float64).to(dtype) for _ in range(2))
    D = (10 ** (spread * uniform(count, *shape))).to(dtype)
    return B, D, 10 ** (uniform(count) - 0.5), W, 10 ** (-3 * uniform(count).abs() - 1)


def one_by_one(B, D, lam, regularizer, reference=None, *, tolerance, **options):
    return [
        solve(
            Subproblem(B[i], D[i], float(lam[i]), regularizer),
            None if reference is None else reference[i],
            tolerance=float(tolerance[i]),
            **options,
        )
        for i in range(len(B))
    ]


def assert_same(batch, alone, rtol=1e-12):
    assert len(batch) == len(alone)
    for i, expected in enumerate(alone):
        found = batch[i]
        assert found.status is expected.status, i
        assert found.descent is expected.descent, i
        assert found.method == expected.method, i
        assert found.tolerance == expected.tolerance, i
        torch.testing.assert_close(found.point, expected.point, rtol=rtol, atol=rtol)
        assert found.residual == pytest.approx(expected.residual, rel=1e-6, abs=10 * rtol), i
        assert found.objective == pytest.approx(expected.objective, rel=rtol, abs=rtol), i
        if expected.method not in ("metric_prox", "separable"):
            assert found.iterations == expected.iterations, i


def methods_of(regularizer):
    return available_methods(Subproblem(torch.ones(SHAPE), torch.ones(SHAPE), 1.0, regularizer))


CASES = [pytest.param(r, m, id=f"{r!r}-{m}") for r in REGULARIZERS for m in methods_of(r)]


@pytest.mark.parametrize("with_reference", [False, True])
@pytest.mark.parametrize(("regularizer", "method"), CASES)
def test_equals_solve(regularizer, method, with_reference):
    B, D, lam, W, tolerance = problems(40)
    options = {"tolerance": tolerance, "method": method, "max_iterations": 30}
    reference = W if with_reference else None
    batch = solve_batch(B, D, lam, regularizer, reference, **options)
    assert_same(batch, one_by_one(B, D, lam, regularizer, reference, **options))
    if method in ("accelerated", "proximal_gradient") and not offers(regularizer, "separable"):
        assert len(batch.iterations.unique()) > 2


@pytest.mark.parametrize("method", ["accelerated", "proximal_gradient", "auto"])
def test_weight_zero_is_division(method):
    B, D, lam, _, tolerance = problems(6)
    lam[::2] = 0.0
    options = {"tolerance": tolerance, "method": method}
    batch = solve_batch(B, D, lam, NuclearNorm(0.3), **options)
    assert torch.equal(batch.point[::2], (B / D)[::2])
    assert batch.iterations[::2].tolist() == [0] * 3
    assert (batch.iterations[1::2] > 0).all()
    assert_same(batch, one_by_one(B, D, lam, NuclearNorm(0.3), **options))


def test_some_end_and_some_are_stopped():
    B, D, lam, W, tolerance = problems(40)
    batch = solve_batch(B, D, lam, NuclearNorm(0.3), W, tolerance=tolerance, max_iterations=8)
    assert set(batch.status) == {Status.CONVERGED, Status.ITERATION_LIMIT}
    assert batch.accepted.tolist() == [status.converged for status in batch.status]


@pytest.mark.parametrize("step_rule", ["block", "global"])
def test_step_rules(step_rule):
    B, D, lam, W, tolerance = problems(20)
    options = {"tolerance": tolerance, "method": "proximal_gradient", "step_rule": step_rule, "max_iterations": 50}
    assert_same(solve_batch(B, D, lam, L1(0.1), W, **options), one_by_one(B, D, lam, L1(0.1), W, **options))


@pytest.mark.parametrize("regularizer", weighted(0.3, "zero_mask"), ids=repr)
@pytest.mark.parametrize("method", ["auto", "accelerated"])
def test_float32(regularizer, method):
    B, D, lam, W, tolerance = problems(20, torch.float32)
    options = {"tolerance": tolerance, "method": method, "max_iterations": 200}
    batch = solve_batch(B, D, lam, regularizer, W, **options)
    assert batch.point.dtype == torch.float32
    assert_same(batch, one_by_one(B, D, lam, regularizer, W, **options), rtol=1e-5)


def test_rounding_level_of_float32():
    B, D, lam, _, _ = problems(30, torch.float32)
    batch = solve_batch(B, D, lam, GroupLasso(0.3), tolerance=0.0, method="accelerated")
    assert set(batch.status) <= {Status.PRECISION_LIMIT, Status.CONVERGED}
    assert Status.PRECISION_LIMIT in batch.status


def test_every_shape():
    for shape in [(), (1,), (7,), (1, 1), (2, 3, 2), (2, 1, 2, 1, 2)]:
        B, D, lam, W, tolerance = problems(6, shape=shape)
        for dtype in (torch.float64, torch.float32):
            B, D, W = B.to(dtype), D.to(dtype), W.to(dtype)
            for method in ("auto", "accelerated"):
                batch = solve_batch(B, D, lam, L1(0.3), W, tolerance=tolerance, method=method)
                assert batch.point.dtype == dtype
                assert batch.point.shape == (6, *shape)
                alone = one_by_one(B, D, lam, L1(0.3), W, tolerance=tolerance, method=method)
                assert_same(batch, alone, rtol=1e-6 if dtype is torch.float32 else 1e-12)


def test_batch_of_one():
    B, D, lam, W, tolerance = problems(1)
    for regularizer in REGULARIZERS:
        batch = solve_batch(B, D, lam, regularizer, W, tolerance=tolerance)
        # Bit for bit: both in plain torch.
        assert_same(batch, one_by_one(B, D, lam, regularizer, W, tolerance=tolerance, backend="plain"), rtol=0)
        assert batch.looped == ()


@pytest.mark.parametrize("method", ["auto", "accelerated", "proximal_gradient"])
def test_empty_batch(method):
    B = torch.empty(0, *SHAPE)
    batch = solve_batch(B, B.clone(), torch.empty(0), GroupLasso(0.3), B.clone(), tolerance=0.1, method=method)
    assert len(batch) == 0
    assert batch.point.shape == (0, *SHAPE)
    for field in (batch.iterations, batch.residual, batch.objective, batch.tolerance, batch.descent, batch.accepted):
        assert field.shape == (0,)
    assert batch.status == ()


def test_thousands():
    B, D, lam, W, _ = problems(3000)
    batch = solve_batch(B, D, lam, GroupLasso(0.3), W, tolerance=1e-6, method="accelerated", max_iterations=2000)
    assert all(status is Status.CONVERGED for status in batch.status)
    assert bool(batch.accepted.all())
    assert batch.looped == ()
    some = torch.arange(0, 3000, 100)
    alone = one_by_one(
        B[some],
        D[some],
        lam[some],
        GroupLasso(0.3),
        W[some],
        tolerance=[1e-6] * 30,
        method="accelerated",
        max_iterations=2000,
    )
    for i, expected in zip(some.tolist(), alone, strict=True):
        assert batch[i].iterations == expected.iterations
        torch.testing.assert_close(batch[i].point, expected.point, rtol=1e-12, atol=1e-12)


def test_memory_layout_does_not_matter():
    B, D, lam, W, tolerance = problems(12)
    plain = solve_batch(B, D, lam, NuclearNorm(0.3), W, tolerance=tolerance)
    wide = torch.stack([B, D], dim=-1)
    turned = W.transpose(0, 2).contiguous().transpose(0, 2)
    strided = solve_batch(wide[..., 0], wide[..., 1], lam.repeat(2)[:12], NuclearNorm(0.3), turned, tolerance=tolerance)
    torch.testing.assert_close(strided.point, plain.point, rtol=1e-12, atol=1e-12)
    assert strided.status == plain.status
    one_metric = D[:1].expand_as(D)
    shared = solve_batch(B, one_metric, lam, GroupLasso(0.3), tolerance=tolerance, method="accelerated")
    assert_same(shared, one_by_one(B, one_metric, lam, GroupLasso(0.3), tolerance=tolerance, method="accelerated"))


def test_arguments_are_left_alone():
    arguments = problems(8)
    copies = [tensor.clone() for tensor in arguments]
    B, D, lam, W, tolerance = arguments
    for method in ("auto", "accelerated", "proximal_gradient"):
        batch = solve_batch(B, D, lam, GroupLasso(0.3), W, tolerance=tolerance, method=method, max_iterations=3)
        batch.point.add_(1)
        batch.residual.add_(1)
    assert all(torch.equal(*pair) for pair in zip(arguments, copies, strict=True))


def test_what_vmap_refuses_is_done_one_by_one_and_said():
    B, D, lam, W, tolerance = problems(10)
    for method in ("accelerated", "proximal_gradient"):
        batch = solve_batch(B, D, lam, ReadsItsStep(), W, tolerance=tolerance, method=method)
        assert_same(batch, one_by_one(B, D, lam, ReadsItsStep(), W, tolerance=tolerance, method=method))
        (reason,) = batch.looped
        assert reason.startswith("prox: RuntimeError: vmap")
        assert len(reason) < 200


def test_a_prox_outside_torch_is_given_steps_that_are_numbers():
    B, D, lam, W, tolerance = problems(4)
    for method in methods_of(ByNumpy()):
        batch = solve_batch(B, D, lam, ByNumpy(), W, tolerance=tolerance, method=method)
        for regularizer in (ByNumpy(), ByFunctional()):
            assert_same(batch, one_by_one(B, D, lam, regularizer, W, tolerance=tolerance, method=method))


@pytest.mark.parametrize("regularizer", [L1(0.3), Zero(), CountNonzero(0.3)], ids=repr)
def test_ours_are_not_looped(regularizer):
    B, D, lam, W, tolerance = problems(5)
    for method in methods_of(regularizer):
        assert solve_batch(B, D, lam, regularizer, W, tolerance=tolerance, method=method).looped == ()


def test_error_of_a_regularizer_comes_through():
    class Raises(L1):
        def value(self, w):
            raise ZeroDivisionError("mine")

    B, D, lam, _, _ = problems(3)
    with pytest.raises(ZeroDivisionError, match="mine"):
        solve_batch(B, D, lam, Raises(1.0), tolerance=0.1)


def test_one_that_breaks_does_not_touch_the_others():
    B, D, lam, _, tolerance = problems(6)
    B[2] = 1e4
    for method in ("accelerated", "proximal_gradient"):
        for reference in (None, torch.zeros_like(B)):
            batch = solve_batch(B, D, lam, BreaksAbove(0.3), reference, tolerance=tolerance, method=method)
            assert_same(batch, one_by_one(B, D, lam, BreaksAbove(0.3), reference, tolerance=tolerance, method=method))
            assert [status is Status.NON_FINITE for status in batch.status] == [i == 2 for i in range(6)]
            assert bool(torch.isfinite(batch.point).all())


def test_direct_solution_that_is_not_finite():
    class Half(L1):
        def metric_prox(self, B, D, lam):
            return torch.where((B > 0).all(), torch.nan, super().metric_prox(B, D, lam))

    B, D, lam, W, tolerance = problems(5)
    B[3] = B[3].abs()
    batch = solve_batch(B, D, lam, Half(0.3), tolerance=tolerance)
    assert_same(batch, one_by_one(B, D, lam, Half(0.3), tolerance=tolerance))
    assert batch.status[3] is Status.NON_FINITE
    assert batch.residual[3] == math.inf
    assert torch.equal(batch.point[3], torch.zeros(SHAPE, dtype=B.dtype))
    assert_same(
        solve_batch(B, D, lam, Half(0.3), W, tolerance=tolerance),
        one_by_one(B, D, lam, Half(0.3), W, tolerance=tolerance),
    )


def test_descent_is_enforced_where_it_fails():
    B, D, lam, _, tolerance = problems(20)
    D[::2] = 1.0
    reference = solve_batch(B, D, lam, L1(0.3), tolerance=1e-12).point
    batch = solve_batch(B, D, lam, LiesAbout(0.3), reference, tolerance=tolerance)
    assert_same(batch, one_by_one(B, D, lam, LiesAbout(0.3), reference, tolerance=tolerance))
    assert [status is Status.FELL_BACK for status in batch.status] == [i % 2 == 1 for i in range(20)]
    assert batch.descent.tolist() == [i % 2 == 0 for i in range(20)]


def test_not_stationary():
    B, D, lam, _, _ = problems(6)
    batch = solve_batch(B, D, lam, LiesAbout(0.3), tolerance=1e-6)
    assert set(batch.status) == {Status.NOT_STATIONARY}
    assert not batch.accepted.any()


def test_numbers_hold_for_all():
    B, D, _, W, _ = problems(5)
    plain = solve_batch(B, D, 0.5, GroupLasso(0.3), W, tolerance=0.01, method="accelerated")
    full = solve_batch(
        B,
        D,
        torch.full((5,), 0.5),
        GroupLasso(0.3),
        W,
        tolerance=torch.full((5,), 0.01, dtype=torch.float64),
        method="accelerated",
    )
    assert torch.equal(plain.point, full.point)
    assert plain.tolerance.tolist() == full.tolerance.tolist() == [0.01] * 5


@pytest.mark.parametrize("factor", [1e-3, 7.0, 1e4])
def test_scale_is_that_of_a_divided_problem(factor):
    B, D, lam, W, tolerance = problems(10)
    regularizer = NuclearNorm(0.3)
    batch = solve_batch(B / factor, D / factor, lam / factor, regularizer, W, tolerance=tolerance, scale=factor)
    for i in range(10):
        divided = Subproblem(B[i], D[i], float(lam[i]), regularizer).divided_by(factor)
        expected = solve(divided, W[i], tolerance=float(tolerance[i]))
        assert batch.status[i] is expected.status
        assert batch[i].residual == pytest.approx(expected.residual, rel=1e-9)
        assert batch[i].objective == pytest.approx(expected.objective, rel=1e-9)
        torch.testing.assert_close(batch.point[i], expected.point, rtol=1e-9, atol=1e-9)
