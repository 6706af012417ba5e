"""When a structure counts as identified: runs whose every Ŵ is written down beforehand."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ramda_verify.checks.problems import identification
from ramda_verify.engine.property import Inconclusive
from ramda_verify.engine.targets import plain_target
from ramda_verify.oracles.logistic_optimum import OptimumStatus
from ramda_verify.problems import digits
from ramda_verify.problems.planted import planted
from solvers import RMDA

KNOWN = planted("l1", 0)
ZERO, NONZERO = (
    np.unravel_index(int(np.argmax(mask)), mask.shape) for mask in (KNOWN.solution == 0, KNOWN.solution > 0)
)


class Scripted(RMDA):
    """Shows the solution at every step, moved by ``by`` in one entry at steps from ``first`` to ``last``; it may say
    that some inner solve was not accepted.
    """

    by, entry, first, last, unaccepted = 0.0, ZERO, 1, 1000, 0

    def __init__(self, params, **settings):
        super().__init__(params, lr=1.0, momentum=1.0, regularizer=settings["regularizer"])
        self.steps = 0
        made.append(self)

    def step(self, closure=None):
        self.steps += 1
        w_hat = torch.tensor(KNOWN.solution)
        if self.first <= self.steps <= self.last:
            w_hat[self.entry] += self.by
        for observe in self.observers:
            observe(self.param_groups[0]["params"][0], w_hat)

    unaccepted_steps = property(lambda self: self.unaccepted)


made: list[Scripted] = []


def measured(monkeypatch, others=None, steps=20, **script):
    """RAMDA follows the script; RMDA ``others``, by default without a fault. A run has twenty steps, unless said."""
    made.clear()
    if steps != 1000:
        monkeypatch.setattr(identification, "STEPS", steps)
    for name, changes in (("ramda", script), ("rmda", others or {})):
        monkeypatch.setitem(identification.CLASSES, name, type("Followed", (Scripted,), changes))
    return identification.measure_planted("l1", 0)


def test_a_run_on_the_manifold_identifies_it(monkeypatch):
    assert measured(monkeypatch).violation == 0
    assert [run.steps for run in made] == [20, 20]


def test_the_last_300_of_1000_steps_are_on_the_manifold(monkeypatch):
    """One method is off it up to the step before, the other in the first of them."""
    found = measured(monkeypatch, {"by": 0.1, "first": 701, "last": 701}, 1000, by=0.1, last=700)
    assert found.violation == pytest.approx(1 / 300, rel=1e-12)
    assert found.note == "rmda: 1 of the last 300 steps off the manifold"
    assert [run.steps for run in made] == [1000, 1000]


@pytest.mark.parametrize(("first", "last", "wrong"), [(1, 14, 0), (20, 20, 1), (1, 16, 2), (15, 20, 6)])
@pytest.mark.parametrize("culprit", ["ramda", "rmda"])
def test_the_violation_is_the_share_of_the_last_steps_off_the_manifold(monkeypatch, first, last, wrong, culprit):
    script = {"by": 0.1, "first": first, "last": last}
    found = measured(monkeypatch, **script) if culprit == "ramda" else measured(monkeypatch, script)
    assert found.violation == pytest.approx(wrong / 6, rel=1e-12)
    assert not wrong or found.note == f"{culprit}: {wrong} of the last 6 steps off the manifold"


@pytest.mark.parametrize(("by", "fails"), [(0.24, False), (-0.24, False), (0.26, True), (-0.26, True)])
def test_the_last_iterate_is_near_the_solution(monkeypatch, by, fails):
    found = measured(monkeypatch, entry=NONZERO, by=by)
    assert found.violation == (np.inf if fails else 0.0)
    assert not fails or found.note == "ramda: Ŵ ends 0.26 away from the solution"
    assert measured(monkeypatch, entry=NONZERO, by=by, last=19).violation == 0


def test_an_iterate_that_is_not_a_number_is_a_finding(monkeypatch):
    with pytest.raises(ArithmeticError, match="Ŵ"):
        measured(monkeypatch, by=np.nan, last=1)


def test_a_run_with_an_inner_solve_that_was_not_accepted_says_nothing(monkeypatch):
    for script, others in (({"unaccepted": 3}, {}), ({"unaccepted": 3}, {"unaccepted": 1})):
        with pytest.raises(Inconclusive, match=r"^ramda: 3 inner solves were not accepted"):
            measured(monkeypatch, others, **script)
    with pytest.raises(Inconclusive, match=r"^rmda: 1 inner"):
        measured(monkeypatch, {"unaccepted": 1})
    # The fault of the other method stands.
    assert measured(monkeypatch, {"by": 0.1}, unaccepted=1).violation == 1.0


def test_the_restarts_are_over_long_before_the_structure_is_looked_at(monkeypatch):
    restarts = []
    script = {"restart": lambda self, gamma: restarts.append((self.steps, gamma))}
    measured(monkeypatch, script)
    assert len(restarts) == 2
    assert all(0 < step <= 7 and gamma == 0.1 for step, gamma in restarts)


def test_every_step_has_the_gradient_of_its_point(monkeypatch):
    class Looks(Scripted):
        def step(self, closure=None):
            gradients.append(self.param_groups[0]["params"][0].grad.numpy().copy())
            super().step(closure)

    gradients: list[np.ndarray] = []
    monkeypatch.setattr(identification, "STEPS", 100)
    for name in ("ramda", "rmda"):
        monkeypatch.setitem(identification.CLASSES, name, Looks)
    identification.measure_planted("l1", 0)
    # The point stays at zero: on average A*(0 - T), one noise a step.
    np.testing.assert_allclose(np.mean(gradients, axis=0), -KNOWN.curvature * KNOWN.target, atol=0.1)
    assert not np.array_equal(gradients[0], gradients[1])


CERTIFIED = SimpleNamespace(status=OptimumStatus.CERTIFIED, residual=1e-9, margins=[0.0] * 64, zero_margin=0.25)


def on_digits(monkeypatch, differing, optimum=CERTIFIED):
    history = digits.SupportHistory([], differing, [], [], 5)
    monkeypatch.setattr(identification, "_digits_run", lambda optimizer, seed: history)
    monkeypatch.setattr(digits, "optimum", lambda: optimum)
    return identification.measure_digits("ramda", 0)


@pytest.mark.parametrize(("epoch", "worst"), [(-31, 0.0), (-30, 2.0), (-1, 2.0)])
def test_the_support_of_the_last_30_epochs_is_the_certified_one(monkeypatch, epoch, worst):
    differing = [9] * 100 + [0] * 31
    differing[epoch] = 2
    found = on_digits(monkeypatch, differing)
    assert found.violation == worst
    assert (
        found.note == f"{worst:g} of 64 groups differ; certified residual 1.0e-09, smallest margin of a zero group 0.25"
    )


def test_an_optimum_without_a_certificate_says_nothing(monkeypatch):
    others = [status for status in OptimumStatus if status is not OptimumStatus.CERTIFIED]
    for status in others:
        unsolved = SimpleNamespace(**{**vars(CERTIFIED), "status": status})
        with pytest.raises(Inconclusive, match="not certified"):
            on_digits(monkeypatch, [0] * 40, unsolved)


def test_a_trace_has_both_methods(monkeypatch):
    history = digits.SupportHistory([1], [2], [3], [4], 5)
    runs = {"ramda": history, "proxsgd": replace(history, certified_size=6)}
    monkeypatch.setattr(identification, "_digits_run", lambda optimizer, seed: runs[optimizer])
    trace = identification.trace_digits(plain_target("digits", "problem"))
    assert trace["kind"] == "support"
    assert trace["runs"]["ramda"]["differing"] == [2]
    assert trace["runs"]["proxsgd"]["certified_size"] == 6


@pytest.mark.parametrize("optimizer", identification.ON_DIGITS)
def test_a_run_on_the_digits_is_made_once(monkeypatch, optimizer):
    """With hyperparameters that the method allows."""
    param = torch.nn.Parameter(torch.ones(2))
    identification.CLASSES[optimizer]([param], **identification.ON_DIGITS[optimizer])
    monkeypatch.setattr(digits, "train", lambda cls, seed, **settings: [cls, seed, settings])
    runs = [identification._digits_run(optimizer, -1) for _ in range(2)]
    assert runs[0] is runs[1]
    assert runs[0] == [identification.CLASSES[optimizer], -1, identification.ON_DIGITS[optimizer]]
