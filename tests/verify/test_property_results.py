"""What the result of a check says: shares, seconds, traces, plainer counterexamples, where an error was raised."""

import json
import math
from dataclasses import replace
from itertools import chain, repeat
from types import ModuleType, SimpleNamespace

import hypothesis.strategies as st
import numpy as np
import pytest
import torch

from ramda_verify.engine import property as engine
from ramda_verify.engine.limits import DidNotReturn
from ramda_verify.engine.property import Inconclusive, Measurement, run_check
from ramda_verify.engine.record import CheckResult, Counterexample, Verdict
from ramda_verify.tolerances import Tolerance
from solvers import L1
from tests.verify.test_property import TARGET, check_of, run


@pytest.mark.parametrize(("failing", "status"), [(10, Verdict.PASS), (11, Verdict.INCONCLUSIVE)])
def test_an_oracle_may_fail_on_a_fifth_of_the_cases(failing, status):
    """Of fifty; the reasons are told with their numbers."""
    seen = []

    def measured(x):
        seen.append(x)
        if len(seen) <= failing:
            raise Inconclusive("first" if len(seen) <= 4 else "second")
        return Measurement(0.0)

    result = run(check_of(measured), examples=49)
    assert (len(seen), result.cases, result.status) == (50, 50 - failing, status)
    assert result.detail == f"4 cases inconclusive: first; {failing - 4} cases inconclusive: second"


def test_where_no_case_can_be_drawn_nothing_is_shown():
    cases = st.fixed_dictionaries({"x": st.integers(0, 3).filter(lambda x: False)})
    result = run(check_of(lambda x: Measurement(0.0), cases), examples=5)
    assert (result.status, result.cases, result.worst) == (Verdict.INCONCLUSIVE, 0, None)
    assert result.detail == "no case could be drawn"


def test_the_worst_may_be_a_margin_and_problems_are_added_up():
    result = run(check_of(lambda x: Measurement(-1.0 - x, problems=3)), examples=20)
    assert result.worst == -1.0
    assert result.problems == 3 * result.cases > 40
    assert result.enclosed == 0


def test_seconds_are_those_between_start_and_end(monkeypatch):
    """By a clock that shows two times; to the thousandth."""
    shown = chain([100.0], repeat(102.34567))
    monkeypatch.setattr(engine, "time", SimpleNamespace(perf_counter=lambda: next(shown)))
    assert run(check_of(lambda x: Measurement(0.0)), examples=1).seconds == 2.346


def test_the_scope_is_told_but_where_a_check_is_skipped():
    for skipped in (False, True):
        applies = {"applies": lambda target: "why"} if skipped else {}
        result = run(check_of(lambda x: Measurement(0.0), scope=lambda target: target.name, **applies), examples=2)
        assert result.scope == ("" if skipped else "anything")


def test_trace_is_not_drawn_of_a_target_that_is_not_traced():
    check = check_of(lambda x: Measurement(0.0), trace=lambda target: {"kind": "rate"})
    assert run_check(check, replace(TARGET, traced=False), seed=0, max_examples=2).trace is None


ARRAYS = st.fixed_dictionaries({"w": st.just(np.full((3, 2), 0.7)), "x": st.just(np.full(2, 0.7))})


@pytest.mark.parametrize(
    ("kind", "shrink", "plain"), [("problem", True, True), ("problem", False, False), ("regularizer", False, True)]
)
def test_a_counterexample_is_made_plain_where_it_is_shrunk_or_of_a_regularizer(kind, shrink, plain):
    check = check_of(lambda w, x: Measurement(2.0 + w.size, f"{w.size} entries"), ARRAYS)
    result = run_check(check, replace(TARGET, kind=kind), seed=0, max_examples=3, shrink=shrink)
    assert result.counterexample.entries == (1 if plain else 6)
    assert result.worst == result.counterexample.violation == (3.0 if plain else 8.0)
    assert result.detail == ("1 entries" if plain else "6 entries")
    unhurried = run_check(check, replace(TARGET, kind=kind), seed=0, max_examples=3, shrink=shrink, plain_seconds=-1.0)
    assert unhurried.counterexample.entries == 6


@pytest.fixture
def pass_time(monkeypatch):
    """A clock in place of the engine's, which a test moves on by seconds: no test waits, or measures a speed."""
    now = [0.0]
    monkeypatch.setattr(engine, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def pass_time(seconds):
        now[0] += seconds

    return pass_time


@pytest.mark.parametrize(("took", "tried"), [(0.5, True), (2.0, True), (4.0, False), (20.0, False)])
def test_a_case_that_takes_long_is_reported_as_it_was_drawn(took, tried, pass_time):
    """To shrink it or to make it plainer would take as long at each step."""
    seen = []

    def measured(w, x):
        seen.append(w.size)
        pass_time(took)
        return Measurement(2.0)

    result = run_check(check_of(measured, ARRAYS), replace(TARGET, kind="regularizer"), seed=0, max_examples=3)
    assert result.counterexample.entries == (1 if tried else 6)
    assert set(seen) == ({6, 4, 2, 1} if tried else {6})


def test_the_time_of_shrinking_begins_with_the_case_that_failed(pass_time):
    seen = []

    def measured(x):
        seen.append(x)
        pass_time(engine.SHRINK_SECONDS + 1)
        return Measurement(2.0 if len(seen) > 2 else 0.0)

    assert run(check_of(measured)).status is Verdict.FAIL
    assert len(seen) == 3


def test_a_case_without_arrays_has_no_number_of_entries():
    assert run(check_of(lambda x: Measurement(2.0))).counterexample.entries is None


def test_what_does_not_return_is_reported_as_it_is():
    """Neither Hypothesis nor the pass that makes cases plainer waits for it again."""
    seen = []

    def measured(w, x):
        seen.append(w)
        if len(seen) > 2:
            raise DidNotReturn("late")
        return Measurement(0.0)

    result = run(check_of(measured, ARRAYS.map(dict).flatmap(lambda c: st.integers(0, 99).map(lambda n: c))))
    assert len(seen) == 3
    assert (result.status, result.detail, result.worst) == (Verdict.FAIL, "late", math.inf)
    assert result.counterexample.entries == 6


@pytest.mark.parametrize("large", [KeyError("big"), None, 2.0])
@pytest.mark.parametrize("small", [ValueError("small"), KeyError("small"), None, 3.0])
def test_a_counterexample_is_made_plainer_as_long_as_it_fails_in_the_same_way(large, small):
    """By a number, or by an error of the same class."""

    def measured(w):
        what = large if w.shape[0] == 3 else small
        if isinstance(what, Exception):
            raise what
        return Measurement(0.0 if what is None else what)

    result = run(check_of(measured, st.fixed_dictionaries({"w": st.just(np.full((3, 1), 0.7))})), examples=2)
    if large is None:
        assert result.status is Verdict.PASS
        return
    assert result.status is Verdict.FAIL
    assert (result.counterexample.entries < 3) == (type(small) is type(large))


def test_results_of_two_parts_are_one():
    one = CheckResult("c", "t", Verdict.PASS, 3, 0.25, 1.0, 1.25, detail="a", problems=4, recorded=1, enclosed=2)
    example = Counterexample("x=1", 2.0, "n", "s")
    two = CheckResult("c", "t", Verdict.FAIL, 5, 2.0, 1.0, 0.5, example, "b", problems=7, enclosed=1)
    total = engine.together(one, two)
    assert (total.status, total.cases, total.problems, total.enclosed) == (Verdict.FAIL, 8, 11, 3)
    assert (total.worst, total.seconds, total.recorded, total.detail) == (2.0, 1.75, 1, "a; b")
    assert total.counterexample is example
    assert engine.together(one, two, recorded=True).recorded == 6
    nothing = CheckResult("c", "t", Verdict.INCONCLUSIVE, 0, None, 1.0, 0.0004)
    for total in (engine.together(one, nothing), engine.together(nothing, one)):
        assert (total.worst, total.seconds, total.detail) == (0.25, 1.25, "a")
    assert engine.together(nothing, nothing).worst is None
    assert engine.together(replace(one, worst=-1.0), replace(two, worst=-3.0)).worst == -1.0


def test_checks_are_those_of_the_measures_that_a_module_defines():
    module, other = ModuleType("one_of_ours"), ModuleType("another")
    exec("def first(x): pass\ndef second(x): pass\ndef neither(x): pass", vars(module))
    exec("def third(x): pass", vars(other))
    claim = {"claim": "c", "source": "s", "kind": "problem", "tolerance": Tolerance(1.0, "r"), "cases": st.just}
    for made, names in ((module.first, ["a"]), (module.second, ["c", "b"]), (other.third, ["d"])):
        for name in names:
            assert engine.check(name, **claim)(made) is made
    vars(module)["third"] = other.third
    vars(module)["constant"] = 3
    assert [found.id for found in engine.checks_of(module, other)] == ["a", "b", "c", "d"]
    assert [found.id for found in engine.checks_of(module)] == ["a", "b", "c"]
    assert engine.checks_of(module)[1].measure is module.second


def test_hypothesis_is_as_it_was_after_the_context():
    before = vars(engine.providers)["is_local_module_file"]
    right = engine.engine.ConjectureRunner.generate_mutations_from
    for context in (engine.drawn_by_seed_alone, engine.independent_cases):
        with pytest.raises(KeyError), context():
            raise KeyError
        assert vars(engine.providers)["is_local_module_file"] is before
        assert engine.engine.ConjectureRunner.generate_mutations_from is right
    with engine.drawn_by_seed_alone():
        assert vars(engine.providers)["is_local_module_file"](__file__) is False
    with engine.independent_cases():
        assert engine.engine.ConjectureRunner.generate_mutations_from is not right


@pytest.mark.parametrize(("name", "there"), [("is_local_module_file", True), ("is_local_module_file", False)])
def test_a_version_of_hypothesis_without_such_a_function_is_left_alone(name, there, monkeypatch):
    if there:
        monkeypatch.setattr(engine.providers, name, lambda path: True)
    else:
        monkeypatch.delattr(engine.providers, name)
        monkeypatch.delattr(engine.engine.ConjectureRunner, "generate_mutations_from")
    with engine.drawn_by_seed_alone(), engine.independent_cases():
        assert hasattr(engine.providers, name) == there
    assert hasattr(engine.providers, name) == there
    assert hasattr(engine.engine.ConjectureRunner, "generate_mutations_from") == there


@pytest.mark.parametrize(
    "raises",
    [
        lambda x: np.linalg.cholesky(-np.eye(2)),
        lambda x: json.loads("{"),
        lambda x: torch.ones(2) @ torch.ones(3),
        lambda x: torch.nn.Linear(2, 3)(torch.ones(5)),
        lambda x: L1(-1.0),
        lambda x: engine.largest([]),
    ],
)
def test_an_error_is_placed_in_the_users_code_and_not_in_that_of_a_package(raises):
    result = run(check_of(raises), examples=1)
    assert result.status is Verdict.FAIL
    assert f"(test_property_results.py, line {raises.__code__.co_firstlineno}, in <lambda>)" in result.detail


def test_an_error_without_code_of_a_users_has_no_place():
    cases = st.just({"a": np.zeros((2, 2))})
    result = run(check_of(np.linalg.inv, cases), examples=1)
    assert result.detail.startswith("raised LinAlgError: ")
    assert "line" not in result.detail


def test_of_two_kinds_of_failures_one_is_reported():
    def measured(x):
        if x % 2:
            raise ValueError("odd")
        return Measurement(2.0 if x > 10 else 0.0, "large")

    result = run(check_of(measured))
    assert result.status is Verdict.FAIL
    assert result.detail == "large" or "odd" in result.detail
