"""Theorem 1 and the errata around it: they hold, and no broken solver passes."""

from typing import Any

import numpy as np
import pytest
import torch

from paper_checks import erratum_algorithm2_prox, erratum_equation10_square, inner_run, theorem1_rate
from paper_checks.claim import Settings
from paper_checks.random_subproblems import FAMILIES, random_subproblem
from ramda_verify.engine.record import Verdict
from tests.paper_checks.broken_subjects import certificate_too_small, prox_without_theta, step_too_long, step_too_short

SMALL = (2.0, 20.0)


def break_solver(monkeypatch, mutant):
    monkeypatch.setattr(inner_run, "proximal_gradient", mutant)


def test_theorem1_holds():
    evidence = theorem1_rate.check(Settings(seed=1), conditions=SMALL)
    assert evidence.verdict is Verdict.PASS
    assert 0.1 < evidence.numbers["worst_share_of_bound"] <= 1
    assert evidence.picture is not None


@pytest.mark.parametrize(
    ("mutant", "fault"),
    [
        (step_too_long, "(10) is violated"),
        (step_too_short, "more iterations than the bound"),
        (prox_without_theta, "certificate is violated"),
        (certificate_too_small, "certificate is violated"),
    ],
)
@pytest.mark.parametrize("family", FAMILIES)
def test_theorem1_falls(monkeypatch, mutant, fault, family):
    break_solver(monkeypatch, mutant)
    evidence = theorem1_rate.judge([theorem1_rate.measure(random_subproblem(family, 20.0, 0))])
    assert evidence.verdict is Verdict.FAIL
    assert fault in evidence.detail


def test_inequality_9_can_fall():
    problem = random_subproblem("L1", 20.0, 0)
    Z, s = inner_run.inner_run(problem, tolerance=1e-3, max_iterations=100)
    assert theorem1_rate.inequalities(problem, Z, s)["(9)"] <= 1
    assert theorem1_rate.inequalities(problem, Z, 3 * s)["(9)"] > 1


def test_inequality_11_can_fall():
    problem = random_subproblem("L1", 20.0, 0)
    Z, s = inner_run.inner_run(problem, tolerance=1e-3, max_iterations=1000)
    assert theorem1_rate.inequalities(problem, Z, s)["(11)"] <= 1
    # A run that stands still after its first step.
    Z[1:], s[1:] = Z[1], 0.0
    assert theorem1_rate.inequalities(problem, Z, s)["(11)"] > 1


def test_the_bound_is_the_one_derived():
    problem = random_subproblem("L1", 20.0, 3)
    j = theorem1_rate.iteration_bound(problem, 1e-6)
    certified = [2 * problem.L * problem.distance * (1 - problem.mu / problem.L) ** ((k - 1) / 2) for k in (j, j - 1)]
    assert certified[0] <= 1e-6 < certified[1]


@pytest.mark.parametrize("family", FAMILIES)
def test_psi_of_the_oracle_is_psi(family):
    made, rng = FAMILIES[family], np.random.default_rng(0)
    points = rng.standard_normal((3, *made.shape))
    expected = [float(made.regularizer.value(torch.from_numpy(point))) for point in points]
    psi: Any = made.regularizer
    np.testing.assert_allclose(psi.reg_weight * made.value(points), expected, rtol=1e-12)


def test_erratum_equation10_holds_and_falls(monkeypatch):
    assert erratum_equation10_square.check(Settings(seed=2)).verdict is Verdict.PASS
    break_solver(monkeypatch, step_too_long)
    assert erratum_equation10_square.check(Settings(seed=2)).verdict is Verdict.FAIL


def test_erratum_equation10_by_hand():
    # Q(z) = z^2/2 from 1/2: the step goes to 0.
    assert not 0.5 * abs(0.0 - 0.5) <= 0.5**2 / 2
    assert 0.5 * abs(0.0 - 0.5) ** 2 <= 0.5**2 / 2


def test_erratum_algorithm2_holds_and_falls(monkeypatch):
    assert erratum_algorithm2_prox.check(Settings(seed=2)).verdict is Verdict.PASS
    break_solver(monkeypatch, prox_without_theta)
    assert erratum_algorithm2_prox.check(Settings(seed=2)).verdict is Verdict.FAIL


def test_erratum_algorithm2_needs_the_literal_version_to_be_wrong(monkeypatch):
    monkeypatch.setattr(erratum_algorithm2_prox, "literal", lambda problem, iterations=0: (problem.minimiser, 0.0))
    assert erratum_algorithm2_prox.check(Settings()).verdict is Verdict.FAIL
