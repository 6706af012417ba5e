"""Oracles agree where they overlap, and a wrong answer is told apart from a right one."""

import math
from typing import Any

import numpy as np
import pytest

from ramda_verify.oracles import certificate, cvxpy_models, duality_gap, naive_prox
from ramda_verify.oracles import exact as exact_oracle
from ramda_verify.oracles.atoms import Norm, Scalar
from ramda_verify.oracles.atoms.functions import ABS
from ramda_verify.oracles.psi import psi_value
from solvers import L1, GroupLasso, NuclearNorm, Zero

SHAPES = {L1: (5, 4), GroupLasso: (4, 6), NuclearNorm: (4, 3), Zero: (3, 3)}
MODELS = [
    L1(0.4),
    GroupLasso(0.3, "input"),
    GroupLasso(0.3, "output"),
    NuclearNorm(0.7),
    Zero(),
]


def problem(shape, condition, seed=0):
    """B with one small column, so that a group is zero; log-uniform D in [1/condition, 1]."""
    random = np.random.default_rng(seed)
    B = random.standard_normal(shape)
    B[:, 0] *= 1e-3
    B[0] *= 1e-3
    return B, 10 ** -random.uniform(0, math.log10(condition), shape)


@pytest.mark.parametrize("condition", [1.0, 1e2, 1e4, 1e8])
@pytest.mark.parametrize("model", MODELS[:3] + MODELS[4:], ids=repr)
def test_cvxpy_against_50_digits(model, condition):
    B, D = problem(SHAPES[type(model)], condition)
    exact = exact_oracle.subproblem(B, D, 0.9, model)
    answer = cvxpy_models.solve_subproblem(B, D, 0.9, model)
    assert exact.solved, exact.detail
    assert answer.solved, answer.detail
    gap = answer.objective - exact.objective
    assert -1e-12 * exact.scale <= gap <= 2 * answer.error + 1e-13 * exact.scale
    assert answer.accuracy <= (1e-7 if condition <= 1e4 else 1e-5)


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_prox_of_all_three(model):
    w, _ = problem(SHAPES[type(model)], 1.0, seed=3)
    step = 0.8
    exact = exact_oracle.subproblem(w, np.ones_like(w), step, model)
    naive = naive_prox.naive_prox(w, step, model)
    cone = cvxpy_models.solve_prox(w, step, model)
    assert exact.solved
    assert naive.solved
    assert cone.solved
    assert cone.accuracy <= 1e-7
    # 1/2||z - w||^2 against 1/2||z||^2 - <w, z>.
    assert naive.objective == pytest.approx(exact.objective + 0.5 * np.sum(w * w), rel=1e-12)
    np.testing.assert_allclose(naive.point, exact.point, atol=1e-7)
    # The objective is 1-strongly convex: the gap bounds the distance.
    assert np.linalg.norm(cone.point - exact.point) <= math.sqrt(2 * cone.error) + 1e-7


@pytest.mark.parametrize("shape", [(4, 3), (3, 4, 2), (3, 2, 2, 2), (2, 3, 1, 2, 2)])
@pytest.mark.parametrize("grouping", ["input", "output", "channel", "filter"])
def test_groups_of_every_rank(shape, grouping):
    model = GroupLasso(0.2, grouping)
    B, D = problem(shape, 10.0, seed=5)
    exact = exact_oracle.subproblem(B, D, 1.0, model)
    answer = cvxpy_models.solve_subproblem(B, D, 1.0, model)
    assert answer.solved
    assert answer.objective == pytest.approx(exact.objective, rel=1e-8)
    axis = 1 if grouping in ("input", "channel") else 0
    norms = np.sqrt((B**2).sum(axis=tuple(a for a in range(B.ndim) if a != axis)))
    assert psi_value(B, model) == pytest.approx(0.2 * math.sqrt(B.size / shape[axis]) * norms.sum(), rel=1e-14)


@pytest.mark.parametrize("factor", [1 - 1e-12, 1.0, 1 + 1e-12])
def test_both_sides_of_a_threshold(factor):
    # ||b|| = 5 exactly; t above and at the norm gives zero, below it a nonzero group of the right tiny length.
    b, d, t = np.array([3.0, -4.0]), np.array([2.0, 0.01]), 5.0 * factor
    answer = exact_oracle.subproblem(b, d, 1.0, [Norm(t, np.arange(2))])
    assert answer.solved
    assert bool((answer.point == 0).all()) == (t >= 5.0)
    entry = exact_oracle.subproblem(np.array([5.0]), np.array([0.3]), 1.0, [Scalar(t, np.arange(1), ABS)])
    assert bool(entry.point[0] == 0) == (t >= 5.0)


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_certificate_and_gap_accept_the_solution_and_nothing_else(model):
    B, D = problem(SHAPES[type(model)], 50.0, seed=7)
    answer = cvxpy_models.solve_subproblem(B, D, 0.9, model)
    point = answer.point
    if type(model) is not NuclearNorm:
        point = exact_oracle.subproblem(B, D, 0.9, model).point
        assert certificate.stationarity(point, B, D, 0.9, model) <= 1e-13 * np.linalg.norm(B)
    else:
        # The cone solver leaves singular values of its own accuracy where the solution has none.
        assert certificate.stationarity(point, B, D, 0.9, model, rank_tolerance=1e-6) <= 1e-4 * np.linalg.norm(B)
    wrong = [0.99 * point, point + 1e-3 * (np.arange(point.size) == 0).reshape(point.shape)]
    if type(model) is not Zero:
        wrong.append(B / D)
    best = duality_gap.subproblem_objective(point, B, D, 0.9, model)
    for other in wrong:
        assert certificate.stationarity(other, B, D, 0.9, model) > 1e-5
        worse = duality_gap.subproblem_objective(other, B, D, 0.9, model)
        assert worse > best + 1e3 * answer.error
        # A lower bound from a bad point is still a lower bound.
        assert duality_gap.lower_bound(other, B, D, 0.9, model) <= best + answer.error


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("transposed", [False, True])
def test_singular_values_up_to_rounding_count_as_zero(dtype: Any, transposed: bool) -> None:
    """Six columns: up to six epsilons of the dtype of the point, relative to the largest."""
    eps, lam = float(np.finfo(dtype).eps), 0.5
    leading = np.zeros((2, 6))
    leading[0, 0] = 1.0
    B = (1 + lam) * leading
    for multiple, counts in ((4, False), (8, True)):
        point = leading.copy()
        point[1, 1] = multiple * eps
        Z, slopes = (point.astype(dtype), B) if not transposed else (point.astype(dtype).T, B.T)
        residual = certificate.stationarity(Z, slopes, np.ones_like(slopes), lam, NuclearNorm(1.0))
        # A singular value that is not zero has a slope of lam, which nothing here pays for.
        assert residual == pytest.approx(lam if counts else 0.0, abs=10 * eps)


@pytest.mark.parametrize("smallest", [1e-2, 1e-4, 3e-5, 1e-5])
@pytest.mark.parametrize("seed", range(5))
def test_certificate_of_a_rounded_point(smallest, seed):
    """Rounding turns the last pair of singular vectors; what is wrong by more than rounding stays wrong."""
    random = np.random.default_rng(seed)
    left, right = (np.linalg.qr(random.standard_normal((n, n)))[0] for n in (12, 20))
    sigma, psi, lam = np.array([3.0, 1.0, smallest]), NuclearNorm(1.0), 0.1
    Z = (left[:, :3] * sigma) @ right[:3]
    D = np.exp(random.standard_normal(Z.shape))
    B = D * Z + lam * (left[:, :3] @ right[:3] + 0.5 * left[:, 3:5] @ right[3:5])
    rounded, move = Z.astype(np.float32), float(np.linalg.norm(D * (smallest * left[:, 2:3] @ right[2:3])))
    turn = lam * 1.2e-7 * float(np.linalg.norm(Z)) / smallest
    assert certificate.stationarity_of_rounded(rounded, B, D, lam, psi) <= 1.01 * min(move, turn) + 2e-6
    assert certificate.stationarity_of_rounded(rounded, 1.001 * B, D, lam, psi) > 1e-4
    assert certificate.stationarity_of_rounded(rounded, B, D, 1.01 * lam, psi) > 1e-4
    rounded[0, 0] = np.nan
    assert math.isnan(certificate.stationarity_of_rounded(rounded, B, D, lam, psi))
    assert certificate.stationarity_of_rounded(0 * B, B, D, 1e3, psi) == 0


def test_wrong_models_are_told_apart():
    # The unweighted group norm, the wrong axis and half the weight are all seen far outside the accuracy.
    B, D = problem((4, 6), 20.0, seed=2)
    right = GroupLasso(0.3, "input")
    best = cvxpy_models.solve_subproblem(B, D, 1.0, right)
    for wrong in (GroupLasso(0.15, "input"), GroupLasso(0.3, "output"), L1(0.3)):
        point = cvxpy_models.solve_subproblem(B, D, 1.0, wrong).point
        assert duality_gap.subproblem_objective(point, B, D, 1.0, right) > best.objective + 1e3 * best.error
        point = exact_oracle.subproblem(B, D, 1.0, wrong).point
        exact = exact_oracle.subproblem(B, D, 1.0, right)
        assert exact_oracle.objective_gap(point, B, D, 1.0, right, exact) > 1e-3


def test_50_digits_see_a_gap_of_one_rounding_error():
    B, D = problem((4, 6), 100.0, seed=9)
    model = GroupLasso(0.3, "input")
    exact = exact_oracle.subproblem(B, D, 1.0, model)
    at_solution = exact_oracle.objective_gap(exact.point, B, D, 1.0, model, exact)
    assert 0 <= at_solution <= 1e-29 * exact.scale
    nudged = exact.point * (1 + 1e-12)
    seen = exact_oracle.objective_gap(nudged, B, D, 1.0, model, exact)
    assert 1e-25 * exact.scale < seen < 1e-23 * exact.scale
    # In float64 the same nudge is invisible: this is what the digits are for.
    assert float(exact_oracle.objective(nudged, B, D, 1.0, model)) == exact.objective


def test_metric_is_felt():
    # An oracle that ignored D would return the prox of B/mean(D).
    B, D = problem((4, 6), 1e3, seed=11)
    model = GroupLasso(0.3, "input")
    flat = exact_oracle.subproblem(B, np.full_like(D, D.mean()), 1.0, model)
    exact = exact_oracle.subproblem(B, D, 1.0, model)
    assert exact_oracle.objective_gap(flat.point, B, D, 1.0, model, exact) > 1e-2 * exact.scale


@pytest.mark.parametrize("model", MODELS, ids=repr)
@pytest.mark.parametrize(("size", "metric", "lam"), [(0, 1, 1), (1e-10, 1e3, 1e6), (1e10, 1e-6, 1), (1, 1, 0)])
def test_extreme_scales(model, size, metric, lam):
    B, D = problem(SHAPES[type(model)], 100.0, seed=13)
    answer = cvxpy_models.solve_subproblem(size * B, metric * D, lam, model)
    assert answer.solved, answer.detail
    assert answer.accuracy <= 1e-7
    if size == 0:
        np.testing.assert_allclose(answer.point, 0, atol=1e-9)
    if type(model) is not NuclearNorm:
        exact = exact_oracle.subproblem(size * B, metric * D, lam, model)
        gap = exact_oracle.objective_gap(answer.point, size * B, metric * D, lam, model, exact)
        assert -1e-15 * exact.scale <= gap <= answer.error


@pytest.mark.parametrize("seed", range(20))
def test_vouched_accuracy_is_kept(seed):
    # What an answer vouches for must cover its true gap, whatever the size, metric and price.
    random = np.random.default_rng(seed)
    model = (L1(0.3), GroupLasso(0.2, "input"), GroupLasso(0.2, "filter"))[seed % 3]
    B, D = problem((4, 3), 10.0 ** random.integers(0, 9), seed=seed)
    B, lam = B * 10.0 ** random.integers(-6, 7), 10.0 ** random.uniform(-3, 2)
    answer, exact = cvxpy_models.solve_subproblem(B, D, lam, model), exact_oracle.subproblem(B, D, lam, model)
    assert answer.solved, answer.detail
    gap = exact_oracle.objective_gap(answer.point, B, D, lam, model, exact)
    assert -1e-15 * exact.scale <= gap <= answer.error
