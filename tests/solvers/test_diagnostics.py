"""Diagnostics: complete when asked for, absent and free otherwise; one warning for steps that were not accepted."""

import warnings

import pytest
import torch

from solvers import L1, RAMDA, GroupLasso, NuclearNorm, PowerSchedule, Status
from solvers.optimizers import stepper
from solvers.optimizers.diagnostics import BlockReport, StepReport
from tests.registry import optimizers, weighted

ALL = optimizers()


def built(cls, regularizer, **settings):
    param = torch.nn.Parameter(torch.randn(5, 4, dtype=torch.float64))
    return param, cls([("weight", param)], lr=0.1, regularizer=regularizer, **settings)


def advance(param, optimizer, steps):
    for _ in range(steps):
        param.grad = torch.randn_like(param)
        optimizer.step()


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("regularizer", [None, L1(0.1), GroupLasso(0.1)], ids=repr)
def test_nothing_is_solved_or_reported_unasked(cls, regularizer, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("diagnostics were computed although no one asked")

    monkeypatch.setattr(stepper, "solve", refuse)
    monkeypatch.setattr(stepper, "block_report", refuse)
    param, optimizer = built(cls, regularizer)
    advance(param, optimizer, 2)
    assert int(optimizer.state[param]["step"]) == 2


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("regularizer", weighted(0.1), ids=repr)
def test_looking_changes_nothing(cls, regularizer):
    runs = []
    for watched in (False, True):
        torch.manual_seed(1)
        param, optimizer = built(cls, regularizer)
        if watched:
            with optimizer.diagnostics.recorded() as reports:
                advance(param, optimizer, 5)
        else:
            advance(param, optimizer, 5)
        runs.append(param.detach())
    assert torch.equal(*runs)
    assert [report.step for report in reports] == [1, 2, 3, 4, 5]


def test_report_of_a_direct_step():
    param, optimizer = built(RAMDA, GroupLasso(1.0))
    with optimizer.diagnostics.recorded() as reports:
        advance(param, optimizer, 1)
    (block,) = reports[0].blocks
    assert block.parameter == "weight"
    assert block.structured == GroupLasso(1.0).sparsity(optimizer.structured_iterate()[param])
    assert block.objective_drop > 0
    assert block.status in (Status.CONVERGED, Status.PRECISION_LIMIT)
    assert reports[0].accepted == block.accepted
    advance(param, optimizer, 1)
    assert len(reports) == 1


@pytest.mark.parametrize("cls", ALL)
def test_report_of_a_step_at_rate_zero(cls):
    """There is nothing to solve, so that nothing is missed by anything."""
    param, optimizer = built(cls, GroupLasso(1.0))
    optimizer.param_groups[0]["lr"] = 0.0
    with optimizer.diagnostics.recorded() as reports:
        advance(param, optimizer, 1)
    step = int(optimizer.state[param]["step"])
    nothing = BlockReport("weight", step, Status.CONVERGED, 0.0, 0.0, True, 0, 0.0, None, "none")
    assert reports == [StepReport(step, 0.0, 0.0, True, 0, 0.0, (nothing,))]


def test_unaccepted_step_warns_once_and_is_counted():
    # In the metric of RAMDA the nuclear norm needs many iterations; it gets one.
    settings = {"schedule": PowerSchedule(1e-9), "max_inner_iterations": 1}
    param, optimizer = built(RAMDA, NuclearNorm(0.2), **settings)
    with pytest.warns(
        RuntimeWarning, match=r"RAMDA: step 1 of parameter weight was not accepted, residual .* eps_t"
    ) as seen:
        advance(param, optimizer, 3)
    assert len(seen) == 1
    assert seen[0].filename == __file__  # where the step is called
    assert optimizer.unaccepted_steps == 3
    assert Status.ITERATION_LIMIT.value in str(seen[0].message)


def test_rounding_is_no_alarm():
    param, optimizer = built(RAMDA, NuclearNorm(0.2), schedule=PowerSchedule(1e-300))
    with warnings.catch_warnings(), optimizer.diagnostics.recorded() as reports:
        warnings.simplefilter("error")
        advance(param, optimizer, 2)
    assert optimizer.unaccepted_steps == 0
    assert {report.blocks[0].status for report in reports} == {Status.PRECISION_LIMIT}
    assert not any(report.accepted for report in reports)


def test_observers_see_what_the_step_used():
    param, optimizer = built(RAMDA, GroupLasso(0.3))
    seen = []
    optimizer.observers.append(lambda which, w_hat: seen.append((which, w_hat.clone())))
    advance(param, optimizer, 2)
    assert [which is param for which, _ in seen] == [True, True]
    torch.testing.assert_close(seen[-1][1], optimizer.structured_iterate()[param], rtol=1e-12, atol=0)
