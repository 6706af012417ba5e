"""Judges of narrow singular values and of functions of singular values under vmap."""

import math

import numpy as np
import pytest
import torch

from ramda_verify.checks.subproblem import singular_values
from ramda_verify.checks.subproblem.singular_values import (
    _price,
    matrix_of,
    measure_batch,
    measure_narrow_certificate,
    measure_narrow_shrinkage,
)
from ramda_verify.oracles import certificate
from solvers import NuclearNorm
from solvers.regularizers.singular_values import shrink_by_svd
from solvers.subproblem import Status
from tests.judges.solutions import half_as_good
from tests.judges.test_splitting_judges import EPS, EPS32, RNG


@pytest.mark.parametrize(("rows", "columns"), [(3, 5), (5, 3), (4, 4), (1, 3), (3, 1)])
@pytest.mark.parametrize("decades", [0.0, 2.0, 9.0])
def test_singular_values_run_over_the_decades(rows, columns, decades):
    matrix, shorter = matrix_of(rows, columns, decades, 1), min(rows, columns)
    assert matrix.shape == (rows, columns)
    expected = [10.0 ** (-decades * n / max(shorter - 1, 1)) for n in range(shorter)]
    np.testing.assert_allclose(np.linalg.svd(matrix, compute_uv=False), expected, rtol=1e-6)
    assert not np.allclose(matrix, matrix_of(rows, columns, decades, 2))
    assert np.array_equal(matrix, matrix_of(rows, columns, decades, 1))


@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_narrow_singular_values_are_shrunk_at_three_thresholds(wrong, monkeypatch):
    """Of which one is wrong by a thousand epsilons."""
    thresholds = [0.25, 0.25e-3, 0.25e-6]

    def shrunk(matrix, threshold):
        assert matrix.dtype == torch.float32
        np.testing.assert_allclose(matrix.numpy(), matrix_of(3, 5, 2.0, 1), rtol=1e-6, atol=1e-7)
        found = shrink_by_svd(matrix.double(), threshold)
        found[0, 0] += 1000 * EPS32 if threshold == pytest.approx(thresholds[wrong]) else 0.0
        return found

    monkeypatch.setattr(singular_values.singular_values, "shrink_singular_values", shrunk)
    found = measure_narrow_shrinkage(NuclearNorm(1.0), 3, 5, 2.0, 0.25, 1)
    assert found.violation == pytest.approx(1000.0, rel=1e-6)
    assert found.note == f"1e+03 epsilons away from float64 at the threshold {thresholds[wrong]:.3g}"


class Narrow:
    """In the place of the solver: answers with a point of float32, and keeps the problem."""

    def __init__(self, monkeypatch, point=None, **fields):
        self.point, self.fields, self.asked = point, fields, []
        monkeypatch.setattr(singular_values, "solve", self.solve)

    def solve(self, problem, *, tolerance, method):
        self.asked.append((problem, tolerance, method))
        point = torch.zeros_like(problem.B) if self.point is None else torch.tensor(self.point, dtype=torch.float32)
        fields = {name: value * tolerance if name == "residual" else value for name, value in self.fields.items()}
        return half_as_good(point, tolerance=tolerance, **fields)


SPECTRUM = {"rows": 2, "columns": 5, "decades": 1.0, "seed": 4}


@pytest.mark.parametrize(("share", "used"), [(0.5, 0.5), (0.01, 0.01), (1e-5, 1e-3)])
@pytest.mark.parametrize("weight", [0.5, 1.0, 4.0])
def test_a_narrow_problem_is_the_matrix_times_its_metric_at_a_share_of_the_threshold_of_zero(
    share, used, weight, monkeypatch
):
    """At zero the residual is what the threshold leaves of the singular values of B."""
    asked = Narrow(monkeypatch, residual=0.25)
    found = measure_narrow_certificate(NuclearNorm(weight), **SPECTRUM, share=share)
    ((problem, tolerance, method),) = asked.asked
    D = 10.0 ** np.random.default_rng(4).uniform(-2, 0, (2, 5))
    B = matrix_of(2, 5, 1.0, 4) * D
    assert problem.B.dtype == problem.D.dtype == torch.float32
    np.testing.assert_allclose(problem.B.numpy(), B, rtol=1e-6)
    np.testing.assert_allclose(problem.D.numpy(), D, rtol=1e-6)
    sigma = np.linalg.svd(problem.B.double().numpy(), compute_uv=False)
    assert problem.lam == pytest.approx(used * sigma[0] / weight, rel=1e-9)
    length = math.hypot(*sigma)
    assert tolerance == pytest.approx(1e-4 * length, rel=1e-9)
    assert method == "splitting"
    left = math.hypot(*np.maximum(sigma - used * sigma[0], 0))
    excess = (left - 0.25 * tolerance - 16 * EPS32 * length) / tolerance
    assert found.violation == pytest.approx(excess, rel=1e-6)
    words = f"certified {0.25 * tolerance:.6g}, recomputed {left:.6g}, rounding {16 * EPS32 * length:.3g}"
    assert found.note == words


@pytest.mark.parametrize(
    ("fields", "counts"),
    [
        ({"residual": 1.0}, True),
        ({"residual": 1.0 + 1e-9}, False),
        ({"residual": math.nan}, False),
        ({"residual": 0.5, "status": Status.PRECISION_LIMIT}, False),
        ({"residual": 0.5, "status": Status.ITERATION_LIMIT}, False),
    ],
)
def test_a_narrow_solution_has_to_converge(fields, counts, monkeypatch):
    Narrow(monkeypatch, **fields)
    found = measure_narrow_certificate(NuclearNorm(1.0), **SPECTRUM, share=0.5)
    assert (found.violation < math.inf) == counts
    assert counts or found.note.startswith(fields.get("status", Status.CONVERGED).value + ", residual ")


@pytest.mark.parametrize(("rows", "columns"), [(2, 5), (5, 2)])
@pytest.mark.parametrize(("value", "cut"), [(4.5, 1e-3), (5.5, 1e-9)])
def test_singular_values_up_to_as_many_epsilons_as_the_longer_side_count_as_zero(
    rows, columns, value, cut, monkeypatch
):
    point = np.zeros((rows, columns))
    point[0, 0], point[1, 1] = 1.0, value * EPS32
    asked = Narrow(monkeypatch, point, residual=0.0)
    case = {**SPECTRUM, "rows": rows, "columns": columns}
    found = measure_narrow_certificate(NuclearNorm(1.0), **case, share=0.5)
    ((problem, tolerance, _),) = asked.asked
    B, D = problem.B.double().numpy(), problem.D.double().numpy()
    left, other = (
        certificate.stationarity(point, B, D, float(problem.lam), NuclearNorm(1.0), rank_tolerance=tolerance)
        for tolerance in (cut, 1e-3 + 1e-9 - cut)
    )
    assert abs(left - other) > 1e-3
    assert found.violation == pytest.approx(left / tolerance, rel=1e-2)


def test_the_price_of_a_singular_value():
    assert _price(NuclearNorm(0.7), (3, 4)) == 0.7


class OffUnderVmap(NuclearNorm):
    """One member is off in one dtype where torch.vmap runs over it."""

    member, dtype, off = "prox", torch.float64, 0.0

    def _off(self, member, found):
        batched = torch._C._functorch.is_batchedtensor(found)
        return found + (self.off if batched and (member, found.dtype) == (self.member, self.dtype) else 0.0)

    def prox(self, w, step):
        return self._off("prox", super().prox(w, step))

    def subgradient_residual(self, point, gradient, lam):
        return self._off("subgradient_residual", super().subgradient_residual(point, gradient, lam))


FIRST_MATRIX, SECOND_MATRIX = RNG.standard_normal((2, 3, 4))


@pytest.mark.parametrize(("sizes", "size"), [((1, 1), 3.5), ((50, 1), 50.0), ((1, 50), 50.0)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("member", ["prox", "subgradient_residual"])
def test_what_differs_under_vmap_is_relative_to_the_largest_number(sizes, size, dtype, member, monkeypatch):
    """1e-16 of it in float64, and as many epsilons in float32; lam times the price of a singular value is 3.5."""
    first, second = (
        matrix * size / np.abs(matrix).max() for matrix, size in zip((FIRST_MATRIX, SECOND_MATRIX), sizes, strict=True)
    )
    epsilon = EPS if dtype == torch.float64 else EPS32
    for name, value in (("member", member), ("dtype", dtype), ("off", 2.0**20 * epsilon)):
        monkeypatch.setattr(OffUnderVmap, name, value)
    found = measure_batch(OffUnderVmap(0.7), first, second, 5.0)
    assert found.violation == pytest.approx(2.0**20 * 1e-16 / size, rel=1e-3)
    assert found.note.startswith(f"{member} in {dtype} differs under vmap by {found.violation:.3g}")


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 2), (4, 5)])
def test_of_one_of_the_matrices_the_second_half_is_zero(shape, monkeypatch):
    first, second = np.random.default_rng(1).uniform(1, 2, (2, *shape))
    asked = []

    class Recorded(NuclearNorm):
        def prox(self, w, step):
            if not torch._C._functorch.is_batchedtensor(w):
                asked.append(w.numpy().copy())
            return super().prox(w, step)

        def subgradient_residual(self, point, gradient, lam):
            if not torch._C._functorch.is_batchedtensor(point):
                asked.extend([point.numpy().copy(), gradient.numpy().copy()])
            return super().subgradient_residual(point, gradient, lam)

    before = first.copy()
    assert measure_batch(Recorded(0.7), np.asfortranarray(first), second, 0.5).violation <= 1e-10
    assert np.array_equal(first, before)
    columns = int(np.prod(shape[1:]))
    poor = np.where(np.arange(columns) < columns // 2, first.reshape(shape[0], -1), 0.0).reshape(shape)
    # In float64: prox of each, then each with the gradient; then the same in float32.
    expected = [poor, second, poor, second, second, first]
    for found, wanted in zip(asked, [*expected, *expected], strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
