"""What is held against a step that was called accepted, or was not: reports made by hand, judged at known points."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ramda_verify.checks.optimizer import acceptance
from ramda_verify.engine.targets import plain_target
from ramda_verify.engine.worst import Worst
from solvers import L1, NuclearNorm, Zero
from solvers.optimizers.diagnostics import BlockReport, StepReport
from solvers.subproblem import Status

TOLERANCE, STEP = 1e-3, 4
#: The learning rate of the runs is their unit of eps_t.
DUE = TOLERANCE * 0.1 / STEP
#: A trillionth of the lengths of B and of max D times Ŵ = (3, 4), at D = (1, 2) and B as it is in ``solved``.
B = np.array([3.0, 8.0])
ROUNDING = 1e-12 * (np.hypot(3, 8) + 2 * 5)


def block(**changes):
    found = BlockReport("W", STEP, Status.CONVERGED, 0.0, DUE, True, 1, 0.0, None)
    return replace(found, **changes)


def report(*blocks, **changes):
    return replace(StepReport.of(list(blocks or [block()])), **{"tolerance": DUE, **changes})


def solved(residual=0.0, w_hat=(3.0, 4.0), before=None, lam=1.0):
    """W before, Ŵ, B, D and lam of a subproblem whose smooth part has this residual at Ŵ."""
    w_hat = np.array(w_hat)
    return w_hat if before is None else np.array(before), w_hat, B - [residual, 0.0], np.array([1.0, 2.0]), lam


def fault(monkeypatch, made, found, regularizer=None):
    """The violation of one step, and its note."""
    monkeypatch.setattr(acceptance, "observed_run", lambda *arguments: ([made], [found]))
    worst = Worst()
    acceptance._judge("ramda", regularizer or Zero(), (2,), 0, 1000, TOLERANCE, worst)
    assert worst.violation in (0.0, np.inf)
    return worst.note if worst.violation else None


def test_a_right_step_has_no_fault(monkeypatch):
    assert fault(monkeypatch, report(), solved()) is None


@pytest.mark.parametrize(("off", "fails"), [(0.9e-12, False), (-0.9e-12, False), (2e-12, True), (-2e-12, True)])
def test_the_tolerance_falls_with_the_number_of_the_step(monkeypatch, off, fails):
    found = fault(monkeypatch, report(tolerance=DUE * (1 + off)), solved())
    assert found == (f"Zero(), step 4: eps_t is {DUE:.6g}" if fails else None)
    assert fault(monkeypatch, report(tolerance=np.nan), solved()) is not None


@pytest.mark.parametrize(
    ("accepted", "residual", "fails"),
    [
        (True, DUE + 0.97 * ROUNDING, False),
        (True, DUE + 1.03 * ROUNDING, True),
        (True, 10 * DUE, True),
        (True, np.nan, True),
        (False, DUE - 0.97 * ROUNDING, False),
        (False, DUE - 1.03 * ROUNDING, True),
        (False, 0.0, True),
        (False, np.nan, True),
    ],
)
def test_a_step_is_accepted_exactly_where_its_residual_is_small_enough(monkeypatch, accepted, residual, fails):
    found = fault(monkeypatch, report(accepted=accepted), solved(residual))
    assert (found is not None) == fails
    word = "accepted, but" if accepted else "rejected, but"
    assert not fails or word in found or np.isnan(residual)


@pytest.mark.parametrize(("smallest", "fails"), [(1e-9, True), (2e-12, True), (0.5e-12, False)])
def test_a_singular_value_down_to_a_trillionth_is_one(monkeypatch, smallest, fails):
    """At W = Ŵ, stationary at the singular value 0 and, by half of lam, not at one beside it."""
    w_hat = np.diag([1.0, smallest])
    found = w_hat, w_hat, np.diag([2.0, 0.5]), np.ones((2, 2)), 1.0
    note = fault(monkeypatch, report(accepted=True), found, NuclearNorm(1.0))
    assert note == (
        "NuclearNorm(reg_weight=1.0), step 4: accepted, but the residual is 0.5 > 2.5e-05" if fails else None
    )


@pytest.mark.parametrize(
    ("changes", "fails"),
    [
        ({"residual": 2.0, "tolerance": 2.0}, False),
        ({"residual": 2.1, "tolerance": 2.0}, True),
        ({"residual": 2.1, "tolerance": 2.0, "status": Status.ITERATION_LIMIT}, False),
        ({"residual": np.nan}, True),
        ({"residual": np.nan, "status": Status.ITERATION_LIMIT}, True),
    ],
)
def test_a_block_that_converged_has_a_residual_up_to_its_tolerance(monkeypatch, changes, fails):
    wrong = block(**changes)
    for blocks in ((wrong,), (block(), wrong), (wrong, block())):
        found = fault(monkeypatch, report(*blocks, residual=0.0, accepted=True), solved())
        expected = f"Zero(), step 4: {wrong.status.value}, residual {wrong.residual:.3g}"
        assert found == (expected if fails else None)


def test_an_iterate_that_is_not_finite_is_a_finding(monkeypatch):
    with pytest.raises(ArithmeticError, match="1 of 2 entries of Ŵ"):
        fault(monkeypatch, report(), solved(w_hat=(3.0, np.inf)))


def moved(by, lam=0.25):
    """W = (3, 0) and Ŵ = (1, 1) at D = (1, 2): the smooth terms of Q rise by 3 and -2.75 + by, psi falls from 3/4 to
    2/4; the sum of the terms' sizes is 5.75 + by.
    """
    q = -2.75 + by
    return np.array([3.0, 0.0]), np.ones(2), np.array([2 + 1.5, 1 - q]), np.array([1.0, 2.0]), lam


#: A trillionth of the terms, psi at both points among them.
OF_Q = 1e-12 * (3 + 2.75 + 0.5 + 0.75)


@pytest.mark.parametrize(("rise", "fails"), [(0.97 * OF_Q, False), (1.03 * OF_Q, True), (1e-3, True), (-1e-3, False)])
def test_the_objective_may_not_rise(monkeypatch, rise, fails):
    changed = report(accepted=False, objective_drop=-rise)
    found = fault(monkeypatch, changed, moved(rise), L1(1.0))
    assert (found is not None) == fails
    assert not fails or found == f"L1(reg_weight=1.0), step 4: Q rose by {rise:.3g}"


@pytest.mark.parametrize("off", [-1.03, -0.97, 0.97, 1.03])
def test_the_objective_falls_as_reported(monkeypatch, off):
    drop = 0.5
    # The second term has fallen by so much more.
    allowed = OF_Q + 1e-12 * drop
    changed = report(accepted=False, objective_drop=drop + off * allowed)
    found = fault(monkeypatch, changed, moved(-drop), L1(1.0))
    assert found == (
        None if abs(off) < 1 else "L1(reg_weight=1.0), step 4: Q is reported to fall by 0.5, but fell by 0.5"
    )
    changed = replace(changed, objective_drop=np.nan)
    assert "reported to fall by nan" in fault(monkeypatch, changed, moved(-drop), L1(1.0))


@pytest.mark.parametrize("regularizer", acceptance.REGULARIZERS)
def test_every_step_of_a_run_with_each_regularizer_is_judged(monkeypatch, regularizer):
    """A fault in the last step of one of the runs."""

    def runs(optimizer, psi, shape, seed, steps, limit, tolerance):
        assert (optimizer, shape, seed, limit, tolerance) == ("rmda", (2, 2), 7, 3, 1.0)
        right = np.zeros((2, 2)), np.zeros((2, 2)), np.zeros((2, 2)), np.ones((2, 2)), 1.0
        reports = [report(step=step, tolerance=0.1 / step) for step in range(1, steps + 1)]
        if psi is regularizer:
            reports[-1] = replace(reports[-1], objective_drop=1.0)
        return reports, [right] * steps

    monkeypatch.setattr(acceptance, "observed_run", runs)
    measured = acceptance.measure_acceptance("rmda", (2, 2), 7, 3, 1.0)
    assert measured.violation == np.inf
    assert measured.note.startswith(f"{regularizer}, step {acceptance.STEPS}: Q is reported")


@pytest.mark.parametrize("optimizer", ["ramda", "rmda", "proxsgd", "proxgen"])
def test_an_observed_run_shows_the_subproblem_of_every_step(optimizer):
    """The first step, worked out by hand; Ŵ solves what is shown; W follows."""
    reports, found = acceptance.observed_run(optimizer, L1(0.1), (2, 3), 5, 3, 1000, 1e-2)
    assert [made.step for made in reports] == [1, 2, 3]
    assert all(made.tolerance == pytest.approx(1e-2 * 0.1 / step) for step, made in enumerate(reports, 1))
    before, w_hat, B, D, lam = found[0]
    np.testing.assert_array_equal(before, np.random.default_rng(5).standard_normal((2, 3)))
    assert lam == pytest.approx({"ramda": 0.1, "rmda": 0.1, "proxsgd": 0.1, "proxgen": 0.1}[optimizer])
    np.testing.assert_allclose(w_hat, np.sign(B) * np.maximum(np.abs(B) - 0.1 * lam, 0) / D, rtol=1e-12, atol=1e-15)
    momentum = {"ramda": 0.3, "rmda": 0.3}.get(optimizer, 1.0)
    np.testing.assert_allclose(found[1][0], (1 - momentum) * before + momentum * w_hat, rtol=1e-12)
    assert not np.array_equal(found[1][0], found[2][0])
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(("limit", "accepted"), [(1, False), (1000, True)])
def test_an_observed_run_has_the_limit_of_inner_iterations(limit, accepted):
    reports, _ = acceptance.observed_run("ramda", NuclearNorm(0.2), (4, 3), 0, 10, limit, 1e-6)
    assert all(made.accepted for made in reports) == accepted
    assert max(made.iterations for made in reports) <= limit


def test_a_run_takes_another_gradient_at_every_step():
    _, found = acceptance.observed_run("proxsgd", Zero(), (3,), 0, 3, 1000, 1e-2)
    moves = [np.abs(w_hat - before) for before, w_hat, *_ in found]
    assert all(move.min() > 1e-6 for move in moves)
    assert all(move.max() < 1 for move in moves)


def test_a_trace_has_a_run_that_is_accepted_and_one_that_is_not(monkeypatch):
    """Here in a dozen steps of a small tensor."""
    observed_run = acceptance.observed_run

    def shorter(optimizer, regularizer, shape, seed, steps, limit, tolerance):
        reports, solved_ones = observed_run(optimizer, regularizer, (4, 3), seed, 12, limit, tolerance)
        return [replace(reports[0], residual=0.0), *reports[1:]], solved_ones

    monkeypatch.setattr(acceptance, "observed_run", shorter)
    trace = acceptance.trace_acceptance(plain_target("ramda", "optimizer"))
    assert trace["kind"] == "acceptance"
    enough, two = trace["runs"].values()
    for run in (enough, two):
        assert run["step"] == list(range(1, 13))
        np.testing.assert_allclose(np.array(run["tolerance"]) * run["step"], 1e-2 * 0.1, rtol=1e-12)
        assert run["residual"][0] == 1e-16  # which a logarithm can show
        accepted = np.array(run["residual"]) <= run["tolerance"]
        assert run["accepted"][1:] == accepted[1:].tolist()
    assert all(enough["accepted"])
    assert not all(two["accepted"])


def test_a_method_with_a_constant_metric_has_no_trace():
    assert acceptance.trace_acceptance(plain_target("rmda", "optimizer")) is None
