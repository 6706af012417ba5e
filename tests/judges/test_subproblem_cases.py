"""What is drawn for the checks of splitting, rate, scales and range: arguments of their measures, within the claims."""

import inspect

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from ramda_verify.checks import BY_ID
from solvers import GroupLasso, NuclearNorm
from tests.judges.cases import drawn, target_of
from tests.mutants.mutant import regularizer_target_of

#: The checks, and max D/min D up to which they are claimed; infinity where nothing is claimed of it.
CONDITIONS = {
    "proximal-gradient-rate": 1e3,
    "scale-equivariance": 30.0,
    "numbers-out-of-range": 30.0,
    "splitting-solution": 100.0,
    "splitting-certificate": 1e4,
    "splitting-rate": 1e3,
    "narrow-singular-values": np.inf,
    "narrow-certificate": np.inf,
    "batch-of-matrices": np.inf,
}
#: Those whose D, or what takes its place, is at most 1: they bring it to other sizes themselves.
OF_ORDINARY_SIZE = {"scale-equivariance": "D", "numbers-out-of-range": "D", "batch-of-matrices": "second"}


@pytest.mark.parametrize("identifier", CONDITIONS)
def test_a_case_holds_the_arguments_of_the_measure(identifier):
    check = BY_ID[identifier]
    seen = []

    @settings(max_examples=25, suppress_health_check=list(HealthCheck))
    @given(check.cases(regularizer_target_of(NuclearNorm)))
    def draw(case):
        seen.append(case)
        assert set(case) == set(inspect.signature(check.measure).parameters)
        assert isinstance(case["regularizer"], NuclearNorm)
        arrays = [case[name] for name in ("B", "D", "start", "first", "second") if name in case]
        assert len({array.shape for array in arrays}) <= 1
        if "D" in case:
            rows = case["D"].reshape(len(case["lam"]) if np.ndim(case["lam"]) else 1, -1)
            assert (rows.max(axis=1) <= CONDITIONS[identifier] * (1 + 1e-9) * rows.min(axis=1)).all()
        if identifier in OF_ORDINARY_SIZE:
            assert case[OF_ORDINARY_SIZE[identifier]].max() <= 1
        if "share" in case:
            # A threshold of up to a little more than the largest singular value.
            assert 0.9e-9 <= case["share"] <= 1.3
            assert case["regularizer"].reg_weight > 0
            assert 0 <= case["decades"] <= 10
        if "lam" in case:
            assert (np.asarray(case["lam"]) >= 0).all()

    draw()
    assert seen


#: Checks whose D goes up to 1, with max D/min D up to this.
NOT_EXTREME = {
    "members-in-float32": 1e2,
    "automatic-choice": 1e6,
    "direct-solution-far-from-B": 1e4,
    "subproblem-oracle": 30.0,
}


@pytest.mark.parametrize("identifier", NOT_EXTREME)
def test_a_metric_that_is_not_extreme_is_at_most_one(identifier):
    metrics = [case["D"] for case in drawn(BY_ID[identifier].cases(target_of(GroupLasso(1.0))), 30)]
    assert max(D.max() for D in metrics) <= 1
    conditions = [D.max() / D.min() for D in metrics]
    assert NOT_EXTREME[identifier] ** 0.5 < max(conditions) <= NOT_EXTREME[identifier] * (1 + 1e-9)
