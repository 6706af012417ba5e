"""The limits of RAMDA's sums: they hold, and no broken RAMDA passes."""

import numpy as np
import pytest

from paper_checks import erratum_equation22_second_moment, variance_reduction
from paper_checks.claim import Settings
from ramda_verify.engine.record import Verdict
from solvers import RAMDA
from tests.paper_checks.broken_subjects import constant_weights, unsquared_gradients


def small(seed=0):
    return variance_reduction.check(Settings(seed=seed), steps=300, paths=2)


def test_variance_reduction_holds():
    evidence = small()
    assert evidence.verdict is Verdict.PASS, evidence.detail
    assert evidence.picture is not None


@pytest.mark.parametrize(
    ("member", "mutant", "fault"),
    [
        ("step_weight", constant_weights, "standard deviation of V/alpha"),
        ("accumulate", unsquared_gradients, "standard deviation of U/alpha"),
    ],
)
def test_variance_reduction_falls(monkeypatch, member, mutant, fault):
    monkeypatch.setattr(RAMDA, member, mutant)
    monkeypatch.setattr(RAMDA, "recurrence", None)  # a kernel would not know of the change
    evidence = small()
    assert evidence.verdict is Verdict.FAIL
    assert fault in evidence.detail


def test_a_square_root_in_place_of_the_cube_root_falls(monkeypatch):
    monkeypatch.setattr("solvers.optimizers.methods.ramda.cube_root", lambda U: U.sqrt())
    monkeypatch.setattr(RAMDA, "recurrence", None)
    evidence = small()
    assert evidence.verdict is Verdict.FAIL
    assert "P/alpha falls as alpha to the power -0.49" in evidence.detail


def test_a_run_that_goes_elsewhere_falls():
    fixed = variance_reduction.fixed_point(0, 200, coordinates=10, seeds=1)
    path = variance_reduction.path(0, 400)
    stuck = variance_reduction.Path(0, path.steps, path.gradient_error + 1.0, path.squared_error)
    assert "along a run" in variance_reduction.judge(fixed, [stuck]).detail


def test_erratum_equation22_holds_and_falls(monkeypatch):
    assert erratum_equation22_second_moment.check(Settings(seed=1)).verdict is Verdict.PASS
    monkeypatch.setattr(RAMDA, "accumulate", unsquared_gradients)
    monkeypatch.setattr(RAMDA, "recurrence", None)
    assert erratum_equation22_second_moment.check(Settings(seed=1)).verdict is Verdict.FAIL


def test_erratum_equation22_needs_the_printed_factor_to_be_wrong():
    means = np.array([1.0, 2.0])
    assert not erratum_equation22_second_moment.Factors(means, np.cbrt(means**2)).succeeds
    assert erratum_equation22_second_moment.Factors(means, np.cbrt(means**2 + 1)).succeeds
