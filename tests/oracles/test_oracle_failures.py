"""An oracle that fails says so; none of them imports what it judges."""

import math
import pkgutil
import subprocess
import sys

import cvxpy as cp
import mpmath
import numpy as np
import pytest

from ramda_verify import oracles
from ramda_verify.oracles import certificate, challenger, cvxpy_models, high_precision, naive_prox, psi_model
from ramda_verify.oracles.psi_model import PsiModel, describe

L1 = PsiModel("L1", 0.5)
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


def test_cvxpy_solver_that_does_not_finish(monkeypatch):
    monkeypatch.setitem(cvxpy_models.SOLVER_OPTIONS, "max_iter", 1)
    assert not cvxpy_models.solve_subproblem(np.arange(6.0).reshape(2, 3), ONES, 1.0, L1).solved


@pytest.mark.parametrize("bad", [np.array([[1.0, np.nan]]), np.array([[1.0, np.inf]])])
def test_non_finite_input(bad):
    ones = np.ones_like(bad)
    assert not cvxpy_models.solve_subproblem(bad, ones, 1.0, L1).solved
    assert not high_precision.subproblem(bad, ones, 1.0, L1).solved
    assert not naive_prox.naive_prox(bad, 1.0, L1).solved
    assert math.isnan(certificate.stationarity(bad, ones, ones, 1.0, L1))
    assert not challenger.challenge_prox(lambda x: float(np.abs(x).sum()), ones, 1.0, bad).solved


def test_bad_metric():
    assert not high_precision.subproblem(ONES, 0 * ONES, 1.0, L1).solved
    assert not cvxpy_models.solve_subproblem(ONES, -ONES, 1.0, L1).solved
    assert not high_precision.subproblem(ONES, 2 * ONES, 1.0, PsiModel("NuclearNorm", 1.0)).solved


def test_high_precision_checks_itself(monkeypatch):
    monkeypatch.setattr(high_precision, "BISECTIONS", 20)
    answer = high_precision.group_subproblem(np.array([3.0, 4.0]), np.array([1.0, 9.0]), 1.0)
    assert not answer.solved
    assert "40 digits" in answer.detail
    monkeypatch.setattr(high_precision, "_l1_cases", lambda b, d, t: [])
    assert "0 cases" in high_precision.l1_subproblem(ONES, ONES, 0.5).detail


def test_high_precision_svd_failure(monkeypatch):
    def fails(*arguments, **options):
        raise RuntimeError("no convergence")

    monkeypatch.setattr(mpmath, "svd_r", fails)
    assert not high_precision.nuclear_prox(ONES, 0.1).solved


def test_linear_algebra_failures(monkeypatch):
    def fails(*arguments, **options):
        raise np.linalg.LinAlgError("no convergence")

    monkeypatch.setattr(np.linalg, "svd", fails)
    assert math.isnan(certificate.stationarity(ONES, ONES, ONES, 1.0, PsiModel("NuclearNorm", 1.0)))
    monkeypatch.setattr(np.linalg, "eigh", fails)
    assert not naive_prox.naive_prox(ONES, 1.0, PsiModel("NuclearNorm", 1.0)).solved


def test_challenger_counts_points_without_a_value():
    result = challenger.challenge_prox(lambda x: 0.0 if (x == 1).all() else math.nan, ONES, 1.0, ONES)
    assert result.solved
    assert "had no value" in result.detail
    assert not challenger.challenge_prox(lambda x: math.inf, ONES, 1.0, ONES).solved
    assert math.isnan(challenger.challenge_prox(lambda x: math.nan, ONES, 1.0, ONES).improvement)


def test_subgradient_without_a_value():
    assert math.isnan(certificate.subgradient_violation(lambda x: math.nan, ONES, ONES))


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

    assert describe(L1()) is None
    assert describe(Mine(0.1)) is None
    assert describe(Faster(0.1, "filter")) == PsiModel("GroupLasso", 0.1, "filter")
    assert describe(solvers.L1(0.2)) == PsiModel("L1", 0.2)
    assert describe(solvers.NuclearNorm(0.2)) == PsiModel("NuclearNorm", 0.2)
    assert describe(solvers.Zero()) == PsiModel("Zero")
    with pytest.raises(TypeError, match="regularizer must be"):
        psi_model.psi_value(ONES, L1())


@pytest.mark.parametrize(("kind", "grouping"), [("L2", None), ("GroupLasso", "columns"), ("GroupLasso", None)])
def test_unknown_models_are_refused(kind, grouping):
    with pytest.raises(ValueError, match="must be one of"):
        PsiModel(kind, 1.0, grouping)


def test_groups_of_a_vector_are_refused():
    with pytest.raises(ValueError, match="not defined"):
        psi_model.group_index_sets((3,), "input")
