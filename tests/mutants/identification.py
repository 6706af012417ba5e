"""Optimizers that go to another manifold than the solution's, or to none."""

from functools import cache

import pytest

from ramda_verify.checks.optimizer.runs import CLASSES
from ramda_verify.checks.problems import identification
from ramda_verify.engine.targets import plain_target
from solvers import RAMDA, RMDA, ProxSGD
from tests.mutants.mutant import Mutant
from tests.mutants.patching import Patch, entry, together


class PsiDoubled(RAMDA):
    """psi counts twice: the limit is the solution of another problem."""

    def normal_form(self, point, state, group):
        form = super().normal_form(point, state, group)
        return form._replace(lam=2 * form.lam)


class PsiQuartered(RAMDA):
    """psi counts a quarter: groups that should be zero are not."""

    def normal_form(self, point, state, group):
        form = super().normal_form(point, state, group)
        return form._replace(lam=form.lam / 4)


class PsiOfTheLastStep(RMDA):
    """psi has the weight of one step, not their sum: it vanishes against the summed gradients."""

    def normal_form(self, point, state, group):
        form = super().normal_form(point, state, group)
        return form._replace(lam=group["lr"] * int(state["step"]) ** 0.5)


class NoDualAveraging(ProxSGD):
    """Proximal SGD under RAMDA's name: its support moves with the noise for ever."""

    def __init__(self, params, lr, momentum, regularizer=None, eps=None):
        super().__init__(params, lr=lr, momentum=1.0, regularizer=regularizer)


def fresh_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of runs of its own for this test: one that was made before would answer for this one, and this one for
    those after it.
    """
    runs = identification._digits_run
    monkeypatch.setattr(identification, runs.__name__, cache(runs.__wrapped__))


def in_place_of(optimizer: str, wrong: type) -> Patch:
    """The checks make the wrong class, and no run that was made before answers for one of this class."""
    return together(entry(CLASSES, optimizer, wrong), fresh_runs)


def _mutant(problem: str, optimizer: str, wrong: type) -> Mutant:
    check = "identification-digits" if problem == "digits" else "identification-planted"
    return Mutant(
        f"{wrong.__name__}_on_{problem}", plain_target(problem, "problem"), (check,), in_place_of(optimizer, wrong)
    )


MUTANTS = [
    _mutant("group_lasso", "ramda", PsiQuartered),
    _mutant("l1", "rmda", PsiOfTheLastStep),
    _mutant("l1", "ramda", NoDualAveraging),
    _mutant("digits", "ramda", PsiDoubled),
]
