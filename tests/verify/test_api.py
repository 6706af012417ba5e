"""check() and battery() from Python: the verdict, its counterexample, and a process that is left as it was."""

import copy
from typing import Any

import pytest
import torch
from hypothesis import strategies as st

from ramda_verify.api import Report, battery, check
from ramda_verify.checks import ALL_CHECKS
from ramda_verify.engine.record import Verdict
from ramda_verify.engine.world import World
from solvers import L1

FEW = ("contract", "manners", "prox-minimises")


class TooMuch:
    """The L1 norm, shrunk by twice the step."""

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = weight

    def value(self, w: torch.Tensor) -> torch.Tensor:
        return self.weight * w.abs().sum()

    def prox(self, w: torch.Tensor, step: float) -> torch.Tensor:
        return torch.sign(w) * (w.abs() - 2 * self.weight * step).clamp_min(0)


def test_a_right_one_returns_its_report():
    report = check(L1(0.5), only=FEW, cases="quick", seed=1)
    assert isinstance(report, Report)
    assert report.holds
    assert [result.check for result in report.results] == list(FEW)
    assert str(report).startswith("L1: no fault found by 3 checks.")


@pytest.mark.parametrize("given", [TooMuch, TooMuch(), TooMuch(3.0)])
def test_a_wrong_one_raises_with_the_counterexample(given):
    with pytest.raises(AssertionError) as raised:
        check(given, only=FEW, cases="quick", seed=1)
    text = " ".join(str(raised.value).split())
    assert "TooMuch: wrong. Prox is that of 2*psi" in text
    assert "print(measure('prox-minimises'" in text
    assert [entry.ishidden(raised) for entry in raised.traceback] == [False, True]  # pytest shows the test's line alone


@pytest.mark.parametrize("instances", [[TooMuch(0.0), TooMuch(2.0)], st.builds(TooMuch, st.sampled_from([0.0, 2.0]))])
def test_parameters_vary(instances):
    """The first of them is right: with a weight of zero there is nothing to shrink."""
    assert check(TooMuch(0.0), only=FEW, cases="quick", seed=1).holds
    with pytest.raises(AssertionError, match="TooMuch"):
        check(instances=instances, only=FEW, cases="quick", seed=1)


def test_nothing_follows_a_wrong_signature():
    class NoStep(TooMuch):
        def prox(self, w: torch.Tensor) -> torch.Tensor:
            return w

    with pytest.raises(AssertionError) as raised:
        check(NoStep(), cases="quick")
    assert "1 of 1 checks fails" in " ".join(str(raised.value).split()) or "contract" in str(raised.value)


def test_the_process_is_as_it_was():
    copy.copy(TooMuch())  # after which a class remembers the names of its slots
    methods = dict(vars(TooMuch))
    before = World.now()
    with pytest.raises(AssertionError):
        check(TooMuch(), only=FEW, cases="quick", seed=1)
    assert before.differences(World.now()) == []
    assert dict(vars(TooMuch)) == methods


@pytest.mark.parametrize(
    ("arguments", "error", "named"),
    [
        ({"regularizer": L1(1.0), "cases": "many"}, ValueError, "cases .*'many'"),
        ({"regularizer": L1(1.0), "only": ("prox-maximises",)}, ValueError, "only .*'prox-maximises'"),
        ({"regularizer": L1(1.0), "only": "prox"}, ValueError, "only .*'prox'"),
        ({"regularizer": L1(1.0), "seed": -1}, ValueError, "seed .*-1"),
        ({"regularizer": L1(1.0), "seed": 1.5}, TypeError, "seed .*1.5"),
        ({"regularizer": object()}, TypeError, "regularizer .*value.*prox"),
        ({}, TypeError, "regularizer or instances"),
        ({"regularizer": L1(1.0), "instances": [L1(2.0)]}, TypeError, "regularizer or instances"),
        ({"instances": []}, TypeError, r"instances .*\[\]"),
        ({"instances": 3}, TypeError, "instances .*3"),
        ({"instances": [L1(1.0), 3]}, TypeError, "instances .*3 lacks"),
    ],
)
def test_bad_arguments(arguments, error, named):
    with pytest.raises(error, match=named):
        check(**arguments)


def test_one_check_may_be_named_without_a_list():
    assert [result.check for result in check(L1(1.0), only="contract", cases="quick").results] == ["contract"]


def test_battery_makes_one_test_of_each_check_that_applies():
    mark: Any = battery(TooMuch(), cases="quick", seed=1)
    names = {parameter.id for parameter in mark.args[1]}
    applying = {c.id for c in ALL_CHECKS if c.kind == "regularizer"}
    assert set(FEW) <= names < applying
    assert "convex-claim" not in names
    tests = {parameter.id: parameter.values[0] for parameter in mark.args[1]}
    assert tests["contract"]().results[0].status is Verdict.PASS
    with pytest.raises(AssertionError):
        tests["prox-minimises"]()


def test_battery_goes_through_a_generator_once():
    mark: Any = battery(instances=(L1(weight) for weight in (0.5, 2.0)), cases="quick", seed=1)
    tests = {parameter.id: parameter.values[0] for parameter in mark.args[1]}
    for name in ("contract", "value-consistency"):
        assert tests[name]().holds
