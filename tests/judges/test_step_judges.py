"""One step judged in float64: the transcribed step, deviations in units of rounding, residuals of groups, (7)."""

from types import SimpleNamespace

import numpy as np
import pytest

from ramda_verify.cases.recorded.store import RecordedStep
from ramda_verify.checks.optimizer.step_judges import (
    ExactStep,
    criterion_fault,
    exact_step,
    group_residual,
    state_deviation,
)
from solvers import L1, GroupLasso, NuclearNorm, Zero
from solvers.subproblem import Status

TINY = 2.0**-126
EPS = 2.0**-23


def step_of(optimizer="rmda", regularizer=None, hyper=None, counters=None, **arrays):
    """A recorded step with these arrays, given as lists."""
    found = {key: np.array(value, dtype=np.float32) for key, value in arrays.items()}
    found.setdefault("W", np.zeros_like(next(iter(found.values()))))
    return RecordedStep(
        name="by hand",
        training="",
        optimizer=optimizer,
        parameter="",
        moment="",
        dtype="float32",
        regularizer=regularizer or Zero(),
        step=0,
        hyper={"lr": 0.5} if hyper is None else hyper,
        counters=counters or {},
        lam=np.nan,
        arrays=found,
    )


def test_a_step_of_dual_averaging_starts_from_its_recorded_sums():
    """s = 0.5*sqrt(4) = 1, hence V = (1, 2) and U = (8, 27); D = P + 3*0.5 and B = P*W0 - V."""
    known = step_of(
        "ramda",
        hyper={"lr": 0.5, "momentum": 0.25, "eps": 1.0, "weight_decay": 0.5},
        counters={"step": 3.0, "weight_sum": 2.0, "of_no_meaning": 9.0},
        W=[4.0, 8.0],
        G=[2.0, -1.0],
        initial_point=[1.0, -1.0],
        grad_sum=[-1.0, 3.0],
        grad_sq_sum=[4.0, 26.0],
    )
    exact = exact_step(known, np.array([2.0, -2.0]))
    np.testing.assert_allclose(exact.D, [4.5, 5.5], rtol=1e-15)
    np.testing.assert_allclose(exact.B, [3.0 - 1.0, -4.0 - 2.0], rtol=1e-15)
    assert exact.lam == 3.0
    np.testing.assert_allclose(exact.forming, [4.5 + 2.0, 5.5 + 6.0], rtol=1e-15)
    np.testing.assert_allclose(exact.method.W, [3.5, 5.5], rtol=1e-15)
    assert (exact.method.t, exact.method.alpha) == (4, 3.0)


def test_a_step_without_an_average_is_formed_from_the_point_itself():
    known = step_of(
        "proxgen",
        hyper={"lr": 0.5, "betas": [0.5, 0.75], "eps": 1.0, "amsgrad": True},
        counters={"step": 0.0},
        W=[4.0],
        G=[2.0],
        exp_avg=[0.0],
        exp_avg_sq=[0.0],
        max_exp_avg_sq=[4.0],
    )
    exact = exact_step(known, np.array([7.0]))
    # v = 1 lies below the largest so far, 4; corrected by 1 - 0.75 it is 16, and P = 4 + 1.
    assert exact.D.tolist() == [5.0]
    assert exact.B.tolist() == [5.0 * 4.0 - 0.5 * 2.0]
    assert exact.forming.tolist() == [20.0 + 19.0]
    assert (exact.lam, exact.method.W.tolist()) == (0.5, [7.0])
    assert exact.method.v_largest.tolist() == [4.0]


def deviation(key, mine, right, before=None, w_hat=(0.0, 0.0)):
    names = {"grad_sum": "V", "initial_point": "W0", "W": "W"}
    arrays = {} if before is None else {key: before}
    known = step_of(**{"W": [0.5, 0.5], **arrays})
    exact = SimpleNamespace(method=SimpleNamespace(**{names[key]: np.array(right)}))
    found = {key: np.array(mine)}
    return state_deviation(known, exact, found, np.array(w_hat), unit=1e-3, unit_of_w=1e-2)


@pytest.mark.parametrize(
    ("key", "before", "scale"),
    [
        ("grad_sum", [0.0, -1.0], 1e-3 * (2 + 1)),
        ("grad_sum", None, 1e-3 * 2),  # the first step: no sum before it
        ("initial_point", None, 1e-3 * (2 + 0.5)),  # which was the point itself
        ("W", [0.0, -1.0], 1e-2 * (2 + 1 + 4)),  # and Ŵ was mixed in
    ],
)
def test_a_deviation_is_in_units_of_what_an_entry_was_computed_from(key, before, scale):
    violation, note = deviation(key, [0.0, 2.006], [0.0, 2.0], before, w_hat=(0.0, -4.0))
    assert violation == pytest.approx(0.006 / scale, rel=1e-6)
    assert note == f"{key}[1] is 2.006, exactly 2"


@pytest.mark.parametrize(("mine", "violation"), [(0.0, 0.0), (TINY, 0.0), (3 * TINY, 2.0), (-3 * TINY, 2.0)])
def test_what_float32_cannot_hold_is_no_deviation(mine, violation):
    found, _ = deviation("grad_sum", [0.0, mine], [0.0, 0.0])
    assert found == pytest.approx(violation, rel=1e-9)


def test_a_state_that_is_not_a_number_deviates_without_bound():
    assert deviation("grad_sum", [np.nan, 2.0], [0.0, 2.0])[0] == np.inf
    assert deviation("W", [1.0, 2.0], [1.0, np.nan])[0] == np.inf


def test_the_largest_deviation_of_all_tensors_is_reported_with_its_place():
    known = step_of(W=[[1.0, 1.0], [1.0, 1.0]], grad_sum=[[1.0, 1.0], [1.0, 1.0]])
    ones = np.ones((2, 2))
    exact = SimpleNamespace(method=SimpleNamespace(W=ones, V=ones))
    after = {"grad_sum": ones + np.array([[0.0, 0.0], [0.1, 0.0]]), "W": ones + np.array([[0.0, 0.01], [0.0, 0.0]])}
    violation, note = state_deviation(known, exact, after, 0 * ones, unit=1.0, unit_of_w=1.0)
    assert violation == pytest.approx(0.05)
    assert note.startswith("grad_sum[1, 0] is 1.1,")


def subproblem(B, D, lam=1.0, forming=None):
    B, D = np.array(B, dtype=np.float64), np.array(D, dtype=np.float64)
    return ExactStep(None, B, D, lam, np.abs(B) if forming is None else np.array(forming, dtype=np.float64))


def test_a_residual_is_relative_to_what_its_own_group_is_formed_from():
    """Columns of two entries cost sqrt(2)*lam: the first is zero by mistake, then the second is too long."""
    price = 0.5 * 2**0.5
    exact = subproblem([[3.0, 6e-6], [4.0, 8e-6]], np.full((2, 2), 2.0), lam=1.0, forming=[[3e2, 8e-6], [4e2, 6e-6]])
    known = step_of(regularizer=GroupLasso(0.5), W=[[0.0, 0.0], [0.0, 0.0]])
    violation, note = group_residual(known, exact, np.zeros((2, 2)))
    assert violation == pytest.approx((5 - price) / 5e2)
    assert note == f"group 0: residual {5 - price:.3g}, B is formed from 500"
    z = np.array([[0.0, 3e-6], [0.0, 4e-6]])
    violation, note = group_residual(known, subproblem([[1e-9, 6e-6], [1e-9, 8e-6]], exact.D, 1e-6), z)
    assert violation == pytest.approx(abs(2 * 5e-6 + price * 1e-6 - 1e-5) / 1e-5)
    assert note.startswith("group 1: ")


def test_entries_without_a_regularizer_are_groups_of_their_own():
    known = step_of(W=[[0.0, 0.0]])
    violation, note = group_residual(known, subproblem([[1e6, 2.0]], [[1.0, 4.0]]), np.array([[1e6, 0.75]]))
    assert violation == pytest.approx(0.5)
    assert note == "group 1: residual 1, B is formed from 2"
    with pytest.raises(TypeError, match="NuclearNorm"):
        group_residual(step_of(regularizer=NuclearNorm(1.0), W=[[0.0]]), subproblem([[1.0]], [[1.0]]), np.zeros((1, 1)))


@pytest.mark.parametrize("formed", [0.0, 1.0])
def test_a_denormal_group_may_be_off_by_what_float32_does_not_hold(formed):
    """Four entries: TINY*(||D|| + sqrt(4)) is spared."""
    known = step_of(regularizer=GroupLasso(1.0, "output"), W=[[0.0] * 4])
    exact = subproblem([[10 * TINY] * 4], [[3.0] * 4], 0.0, [[formed * TINY] * 4])
    violation, _ = group_residual(known, exact, np.zeros((1, 4)))
    assert violation == pytest.approx((20 - 6 - 2) / (2 * formed + 1), rel=1e-9)


def block(status=Status.CONVERGED, tolerance=0.0):
    return SimpleNamespace(status=status, accepted=status is Status.CONVERGED, tolerance=tolerance)


Z = np.array([3.0, 4.0], dtype=np.float32)
#: 64 roundings of the lengths of what B is formed from, 5, and of max D times Z, 2*5.
ROUNDING = 64 * EPS * 15


def judged(residual, *, status=Status.CONVERGED, tolerance=0.0, scale=1.0, z=Z):
    """The criterion at a point with this residual, of psi = 0, in the units of the undivided problem."""
    method = SimpleNamespace(divided_by_rate=scale != 1.0)
    exact = ExactStep(method, np.array([3.0 - residual, 8.0]), np.array([1.0, 2.0]), 1.0, np.array([3.0, 4.0]))
    known = step_of(hyper={"lr": scale}, W=[3.0, 4.0])
    return criterion_fault(known, exact, block(status, tolerance), z)


@pytest.mark.parametrize("scale", [1.0, 0.25])
@pytest.mark.parametrize("tolerance", [0.0, 2 * ROUNDING])
def test_an_accepted_step_has_a_residual_up_to_its_tolerance(scale, tolerance):
    for share, fails in ((0.0, False), (0.99, False), (1.01, True), (np.nan, True)):
        found = judged(share * (tolerance / scale + ROUNDING), tolerance=tolerance, scale=scale)
        assert (found is not None) == fails
        assert not fails or found.startswith("accepted with residual")


def test_a_step_at_the_level_of_rounding_has_such_a_residual():
    for share, fails in ((0.0, False), (0.99, False), (1.01, True), (np.nan, True)):
        found = judged(share * ROUNDING, status=Status.PRECISION_LIMIT, tolerance=1e-30)
        assert (found is not None) == fails
        assert not fails or found.startswith("at the rounding level")


@pytest.mark.parametrize("status", [s for s in Status if s not in (Status.CONVERGED, Status.PRECISION_LIMIT)])
def test_any_other_end_is_a_fault(status):
    found = judged(0.0, status=status, tolerance=1.0)
    assert found == f"{status.value}: residual 0, eps_t 1"


def test_rounding_is_that_of_the_dtype():
    assert judged(0.5 * ROUNDING) is None
    assert judged(0.5 * ROUNDING, z=Z.astype(np.float64)) is not None


def rise(by):
    """From W = (3, 0) to Z = (1, 1): Q rises by 3 - 2.75 + by in its smooth terms, and psi falls from 3/4 to 2/4."""
    q = -2.75 + by
    exact = ExactStep(
        SimpleNamespace(divided_by_rate=False), np.array([2 + 1.5, 1 - q]), np.array([1.0, 2.0]), 0.25, np.ones(2)
    )
    known = step_of(regularizer=L1(1.0), W=[3.0, 0.0])
    return criterion_fault(known, exact, block(tolerance=np.inf), np.ones(2, dtype=np.float32))


def test_the_objective_may_not_rise_by_more_than_rounding():
    allowed = 64 * EPS * (3 + 2.75 + 0.5 + 0.75)
    assert rise(0.99 * allowed) is None
    assert rise(-1.0) is None
    assert rise(1.01 * allowed).startswith("Q rose by")
    assert rise(1.0) == "Q rose by 1"


def test_an_objective_that_is_not_a_number_has_risen():
    exact = ExactStep(SimpleNamespace(divided_by_rate=False), np.zeros(1), np.ones(1), 1.0, np.ones(1))
    found = criterion_fault(step_of(W=[np.nan]), exact, block(tolerance=np.inf), np.zeros(1, dtype=np.float32))
    assert found == "Q rose by nan"
