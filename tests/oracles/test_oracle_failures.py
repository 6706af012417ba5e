"""An oracle that fails says so; none of them imports what it judges."""

import math
import pkgutil
import subprocess
import sys
from typing import Any

import cvxpy as cp
import mpmath
import numpy as np
import pytest

from ramda_verify import oracles
from ramda_verify.oracles import certificate, challenger, cvxpy_models, exact, naive_prox
from ramda_verify.oracles.atoms import Norm, Scalar, Simplex, Spectral, norm, scalar
from ramda_verify.oracles.atoms.functions import ABS
from ramda_verify.oracles.index_sets import every, group_index_sets
from ramda_verify.oracles.psi import atoms_of, is_known, name_of, psi_value

L1 = [Scalar(0.5, every((2, 3)), ABS)]
NUCLEAR = [Spectral(1.0, every((2, 3)), (2, 3), ABS)]
ONES = np.ones((2, 3))
MODULES = sorted(found.name for found in pkgutil.iter_modules(oracles.__path__))


def test_oracles_import_nothing_of_the_library():
    names = ", ".join(f"ramda_verify.oracles.{module}" for module in MODULES)
    code = f"import sys, {names}; print(sorted(m for m in sys.modules if m.split('.')[0] in ('solvers', 'torch')))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


class Concave:
    def as_cvxpy(self, x):
        return cp.sum(cp.sqrt(x))


class Broken:
    def as_cvxpy(self, x):
        raise RuntimeError("the user's own mistake")


class Unbounded:
    """Linear and steep: bounded only thanks to the quadratic part, a legitimate model."""

    def as_cvxpy(self, x):
        return cp.sum(x)


@pytest.mark.parametrize(
    ("regularizer", "reason"), [(Concave(), "DCP"), (Broken(), "own mistake"), (object(), "no CVXPY model")]
)
def test_cvxpy_failure_is_an_answer(regularizer, reason):
    answer = cvxpy_models.solve_subproblem(ONES, ONES, 1.0, regularizer)
    assert not answer.solved
    assert answer.point is None
    assert math.isinf(answer.accuracy)
    assert reason in answer.detail


def test_cvxpy_model_of_a_user():
    answer = cvxpy_models.solve_subproblem(3 * ONES, 2 * ONES, 1.0, Unbounded())
    assert answer.solved, answer.detail
    np.testing.assert_allclose(answer.point, ONES, rtol=1e-6)


def test_an_objective_of_zero_is_measured_by_what_psi_leaves_out():
    B, D = np.arange(1.0, 7.0).reshape(2, 3), np.array([[2.0, 3.0, 5.0], [7.0, 11.0, 13.0]])
    answer = cvxpy_models.solve_subproblem(B, D, 1e3, L1)
    assert answer.solved, answer.detail
    assert abs(answer.objective) < 1e-8
    assert answer.scale == pytest.approx(0.5 * sum(b * b / d for b, d in zip(B.ravel(), D.ravel(), strict=True)))


def test_cvxpy_solver_that_does_not_finish(monkeypatch):
    monkeypatch.setitem(cvxpy_models.SOLVER_OPTIONS, "max_iter", 1)
    assert not cvxpy_models.solve_subproblem(np.arange(6.0).reshape(2, 3), ONES, 1.0, L1).solved


@pytest.mark.parametrize("bad", [np.array([[1.0, np.nan]]), np.array([[1.0, np.inf]])])
def test_non_finite_input(bad):
    ones = np.ones_like(bad)
    assert not cvxpy_models.solve_subproblem(bad, ones, 1.0, L1).solved
    assert not exact.subproblem(bad, ones, 1.0, L1).solved
    assert not naive_prox.naive_prox(bad, 1.0, L1).solved
    assert math.isnan(certificate.stationarity(bad, ones, ones, 1.0, L1))
    assert not challenger.challenge_prox(lambda x: float(np.abs(x).sum()), ones, 1.0, bad).solved


def test_bad_metric():
    assert not exact.subproblem(ONES, 0 * ONES, 1.0, L1).solved
    assert not cvxpy_models.solve_subproblem(ONES, -ONES, 1.0, L1).solved
    skew = exact.subproblem(ONES, ONES + np.arange(3.0), 1.0, NUCLEAR)
    assert not skew.solved
    assert "no closed form" in skew.detail
    assert exact.subproblem(ONES, 2 * ONES, 1.0, NUCLEAR).solved


def test_high_precision_checks_itself(monkeypatch):
    b, d = np.array([3.0, 4.0]), np.array([1.0, 9.0])
    monkeypatch.setattr(norm, "BISECTIONS", 20)
    answer = exact.subproblem(b, d, 1.0, [Norm(1.0, np.arange(2))])
    assert not answer.solved
    assert "40 digits" in answer.detail
    right = scalar.minimisers
    for wrong in (lambda x: x * (1 + mpmath.mpf(10) ** -30), lambda x: x * 0, lambda x: -x):
        monkeypatch.setattr(scalar, "minimisers", lambda *arguments, wrong=wrong: wrong(right(*arguments)))
        answer = exact.subproblem(b, d, 1.0, [Scalar(0.5, np.arange(2), ABS)])
        assert not answer.solved
        assert "not stationary" in answer.detail
    monkeypatch.setattr(Simplex, "minimiser", lambda self, b, d: b / d)
    assert "sums to" in exact.subproblem(b, d, 1.0, [Simplex(np.arange(2), 1.0)]).detail


def test_high_precision_svd_failure(monkeypatch):
    def fails(*arguments, **options):
        raise RuntimeError("no convergence")

    monkeypatch.setattr(mpmath, "svd_r", fails)
    assert not exact.subproblem(ONES, ONES, 0.1, NUCLEAR).solved


def test_a_high_precision_svd_that_is_off_in_the_thirtieth_digit(monkeypatch):
    right = mpmath.svd_r

    def off(matrix, **options):
        left, sigma, vectors = right(matrix, **options)
        return left, sigma * (1 + mpmath.mpf(10) ** -30), vectors

    assert exact.subproblem(ONES, ONES, 0.1, NUCLEAR).solved
    monkeypatch.setattr(mpmath, "svd_r", off)
    answer = exact.subproblem(ONES, ONES, 0.1, NUCLEAR)
    assert not answer.solved
    assert "the SVD leaves an error" in answer.detail


def test_linear_algebra_failures(monkeypatch):
    def fails(*arguments, **options):
        raise np.linalg.LinAlgError("no convergence")

    monkeypatch.setattr(np.linalg, "svd", fails)
    assert math.isnan(certificate.stationarity(ONES, ONES, ONES, 1.0, NUCLEAR))
    monkeypatch.setattr(np.linalg, "eigh", fails)
    assert not naive_prox.naive_prox(ONES, 1.0, NUCLEAR).solved


def test_challenger_counts_points_without_a_value():
    result = challenger.challenge_prox(lambda x: 0.0 if (x == 1).all() else math.nan, ONES, 1.0, ONES)
    assert result.solved
    assert "had no value" in result.detail
    assert not challenger.challenge_prox(lambda x: math.inf, ONES, 1.0, ONES).solved
    assert math.isnan(challenger.challenge_prox(lambda x: math.nan, ONES, 1.0, ONES).improvement)


def test_only_our_own_classes_are_known():
    class L1:
        """The user's, with another meaning."""

        reg_weight = 0.3

        def value(self, w):
            return w.square().sum()

    import solvers

    class Mine(solvers.GroupLasso):
        def value(self, w):
            return w.abs().sum()

    class Faster(solvers.GroupLasso):
        def prox(self, w, step):
            return super().prox(w, step)

    assert not is_known(L1())
    assert not is_known(Mine(0.1))
    assert name_of(Faster(0.1, "filter")) == "GroupLasso"
    ours: Any = atoms_of(Faster(0.1, "filter"), (2, 3))
    sets = group_index_sets((2, 3), "filter")
    assert [atom.price for atom in ours] == [0.1 * math.sqrt(3)] * 2
    assert all(np.array_equal(atom.indices, group) for atom, group in zip(ours, sets, strict=True))
    for regularizer in (solvers.L1(0.2), solvers.NuclearNorm(0.2), solvers.Zero()):
        assert name_of(regularizer) == type(regularizer).__name__
    assert is_known([])
    assert not is_known([solvers.L1(0.2)])
    with pytest.raises(TypeError, match="regularizer must be"):
        psi_value(ONES, L1())


def test_groups_of_a_vector_are_refused():
    with pytest.raises(ValueError, match="not defined"):
        group_index_sets((3,), "input")
