"""The engine: shrinks, reproduces, and never calls a failed oracle a pass."""

import itertools
import math
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest

from ramda_verify.checks import BY_ID, measure
from ramda_verify.engine import property as engine
from ramda_verify.engine.property import Check, Inconclusive, Measurement, run_check
from ramda_verify.engine.record import NothingClaimed, Verdict
from ramda_verify.engine.snippets import literal
from ramda_verify.engine.targets import plain_target, regularizer_target
from ramda_verify.tolerances import Tolerance
from solvers import L1

TARGET = plain_target("anything", "problem")


def check_of(measured, cases=None, **more) -> Check:
    drawn = st.fixed_dictionaries({"x": st.integers(0, 10_000)}) if cases is None else cases
    return Check(
        id="invented",
        claim="a claim",
        source="a test",
        kind="problem",
        tolerance=Tolerance(1.0, "a test"),
        cases=lambda target: drawn,
        measure=measured,
        **more,
    )


def run(check, examples=200, seed=0):
    return run_check(check, TARGET, seed=seed, max_examples=examples)


def test_enclosed_cases_are_counted_and_added_up():
    result = run(check_of(lambda x: Measurement(0.0, enclosed=x % 2 == 0)), examples=60)
    assert 0 < result.enclosed < result.cases
    assert engine.together(result, result).enclosed == 2 * result.enclosed
    assert run(check_of(lambda x: Measurement(0.0))).enclosed == 0


def test_pass_reports_the_worst():
    result = run(check_of(lambda x: Measurement(x / 20_000)))
    assert result.status is Verdict.PASS
    assert 0 < result.worst <= 0.5
    assert 50 < result.cases <= 201
    assert result.counterexample is None


@pytest.mark.parametrize("limit", [-1.0, math.inf])
def test_shrinking_goes_on_within_its_limit_alone(limit, monkeypatch):
    """Past it the last case that failed is reported as it is, here the first; without a limit the smallest."""
    monkeypatch.setattr(engine, "SHRINK_SECONDS", limit)
    failing = []

    def measured(x):
        if sum(x) > 900:
            failing.append(x)
        return Measurement(2.0 if sum(x) > 900 else 0.0, f"x is {x}")

    lists = st.fixed_dictionaries({"x": st.lists(st.integers(0, 10_000), min_size=8)})
    result = run(check_of(measured, lists))
    assert result.status is Verdict.FAIL
    if limit < 0:
        assert len(failing) == 1
        assert result.detail == f"x is {failing[0]}"
    else:
        assert min(map(sum, failing)) == 901
        assert "901" in result.detail


def test_an_error_that_is_shrunk_no_further_is_reported_as_raised(monkeypatch):
    monkeypatch.setattr(engine, "SHRINK_SECONDS", -1.0)

    def measured(x):
        if x > 5:
            raise KeyError(x)
        return Measurement(0.0)

    result = run(check_of(measured))
    assert result.status is Verdict.FAIL
    assert "raised KeyError" in result.detail


def test_fail_is_shrunk_to_the_smallest_case():
    result = run(check_of(lambda x: Measurement(2.0 if x >= 137 else 0.0, f"x is {x}")))
    assert result.status is Verdict.FAIL
    assert result.counterexample.case == "x=137"
    assert result.counterexample.note == result.detail == "x is 137"
    assert result.worst == result.counterexample.violation == 2.0


def test_fail_of_a_large_case_says_nothing_besides():
    cases = st.fixed_dictionaries({"x": st.just("x" * 40_000)})
    result = run(check_of(lambda x: Measurement(2.0, "wrong"), cases), examples=1)
    assert result.status is Verdict.FAIL


def test_fail_that_is_not_shrunk_is_one_that_was_drawn():
    drawn = []

    def measured(x):
        drawn.append(x)
        return Measurement(2.0 if x >= 137 else 0.0, f"x is {x}")

    result = run_check(check_of(measured), TARGET, seed=0, max_examples=200, shrink=False)
    assert result.status is Verdict.FAIL
    assert result.detail == f"x is {next(x for x in drawn if x >= 137)}"
    assert len(drawn) < 20


@pytest.mark.parametrize("violation", [math.nan, math.inf, 1.0000001])
def test_no_violation_slips_through(violation):
    assert run(check_of(lambda x: Measurement(violation))).status is Verdict.FAIL


def test_violation_at_the_tolerance_holds():
    assert run(check_of(lambda x: Measurement(1.0))).status is Verdict.PASS


def test_exception_is_a_finding_with_its_message():
    def raises(x):
        raise ValueError(f"no luck with {x}")

    result = run(check_of(raises))
    assert result.status is Verdict.FAIL
    assert result.detail.startswith("raised ValueError: no luck with 0 (test_property.py, line ")
    assert result.detail.endswith(", in raises)")
    assert result.worst == math.inf


@pytest.mark.parametrize(("share", "status"), [(2, Verdict.INCONCLUSIVE), (50, Verdict.PASS)])
def test_oracle_that_fails_too_often_is_inconclusive(share, status):
    def measured(x):
        if x % share == 0:
            raise Inconclusive("no answer")
        return Measurement(0.0)

    cases = st.fixed_dictionaries({"x": st.sampled_from(range(1, 1001))})
    result = run(check_of(measured, cases))
    assert result.status is status
    assert "cases inconclusive: no answer" in result.detail


def test_oracle_that_always_fails_has_no_worst():
    def never(x):
        raise Inconclusive("broken")

    result = run(check_of(never))
    assert (result.status, result.cases, result.worst) == (Verdict.INCONCLUSIVE, 0, None)


def test_fail_outweighs_a_failing_oracle():
    def measured(x):
        if x < 100:
            raise Inconclusive("no answer")
        return Measurement(2.0)

    assert run(check_of(measured)).status is Verdict.FAIL


def test_case_of_which_nothing_is_claimed_is_replaced():
    """Another one is drawn; it counts neither as a case nor as a failure of an oracle."""

    def measured(x):
        if x % 2 == 0:
            raise NothingClaimed("even")
        return Measurement(x / 20_000)

    result = run(check_of(measured), examples=50)
    assert result.status is Verdict.PASS
    assert result.cases >= 50
    assert result.detail == ""
    assert run(check_of(lambda x: measured(x) if x < 5000 else Measurement(2.0))).status is Verdict.FAIL


def test_check_that_claims_nothing_of_any_case_shows_nothing():
    seen = []

    def measured(x):
        seen.append(x)
        raise NothingClaimed("never")

    result = run(check_of(measured), examples=20)
    assert (result.status, result.cases, result.worst) == (Verdict.INCONCLUSIVE, 0, None)
    assert result.detail.startswith(f"none of {len(seen)} cases")


def test_skip_says_why():
    result = run(check_of(lambda x: Measurement(9.0), applies=lambda target: "not for this one"))
    assert (result.status, result.cases, result.detail) == (Verdict.SKIP, 0, "not for this one")


def test_seed_decides_the_cases():
    def drawn(seed):
        seen = []

        def measured(x):
            seen.append(x)
            return Measurement(0.0)

        run(check_of(measured), examples=30, seed=seed)
        return seen

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_cases_do_not_repeat_each_other():
    """Hypothesis, left alone, makes most cases by copying parts of the one before."""
    cases = st.fixed_dictionaries({"x": st.lists(st.floats(0, 1), min_size=8, max_size=8)})
    seen = []

    def measured(x):
        seen.append(set(x) - {0.0, 1.0})
        return Measurement(0.0)

    run(check_of(measured, cases), examples=100)
    shared = sum(len(one & other) > 3 for one, other in itertools.pairwise(seen))
    assert len(seen) > 90
    assert shared < 20
    with engine.independent_cases():
        pass
    assert callable(engine.engine.ConjectureRunner.generate_mutations_from)


def test_share_scales_the_number_of_cases():
    assert run(check_of(lambda x: Measurement(0.0), share=0.1), examples=100).cases <= 11
    assert run(check_of(lambda x: Measurement(0.0), share=0.001), examples=100).cases == 2


def test_check_of_few_cases_looks_at_more_than_the_simplest():
    """Hypothesis begins with the simplest case at every seed; a check of a single case would see no other."""
    seen = set()

    def measured(x):
        seen.add(x)
        return Measurement(0.0)

    for seed in range(10):
        run(check_of(measured, share=0.001), examples=100, seed=seed)
    assert 0 in seen
    assert len(seen) > 5


def test_trace_is_drawn_for_passes_of_traced_targets_only():
    traced = {"trace": lambda target: {"kind": "rate"}}
    assert run(check_of(lambda x: Measurement(0.0), **traced)).trace == {"kind": "rate"}
    assert run(check_of(lambda x: Measurement(2.0), **traced)).trace is None


def test_snippet_of_a_user_prox_runs(folder):
    target = regularizer_target("bad.py:Unshrunk")
    result = run_check(BY_ID["prox-minimises"], target, seed=0, max_examples=30)
    assert result.status is Verdict.FAIL
    printed: list[Any] = []
    exec(result.counterexample.snippet, {"print": printed.append})
    assert printed[0].violation == pytest.approx(result.counterexample.violation, rel=1e-12)
    assert printed[0].violation > BY_ID["prox-minimises"].tolerance.value
    assert "# violation" in result.counterexample.snippet


def test_exception_of_a_prox_is_a_fail():
    class Raises:
        def value(self, w):
            return w.abs().sum()

        def prox(self, w, step):
            raise NotImplementedError("later")

    target = plain_target("raises", "regularizer")
    target = type(target)("raises", "regularizer", Raises(), st.just(Raises()), lambda regularizer: [])
    result = run_check(BY_ID["prox-limits"], target, seed=0, max_examples=10)
    assert result.status is Verdict.FAIL
    assert result.detail.startswith("raised NotImplementedError: later (test_property.py, line ")


def test_warnings_of_a_target_are_its_own_affair():
    def warns(x):
        np.array(1.0) / np.array(0.0)
        return Measurement(0.0)

    assert run(check_of(warns)).status is Verdict.PASS


@pytest.mark.parametrize(
    "value", [np.array([[0.1, -0.0], [1e-300, 1 / 3]]), np.zeros((0, 3)), 0.1, (2, 3), "a'b", True, None], ids=str
)
def test_literals_read_back_exactly(value):
    found = eval(literal(value), {"np": np})
    if isinstance(value, np.ndarray):
        assert found.shape == value.shape
        assert found.tobytes() == value.tobytes()
    else:
        assert found == value


def test_measure_is_what_the_suite_measures():
    case = {"regularizer": L1(1.0), "w": np.array([3.0, -0.5]), "step": 1.0, "seed": 3}
    assert measure("prox-minimises", **case) == BY_ID["prox-minimises"].measure(**case)
    with pytest.raises(KeyError):
        measure("no-such-check", **case)


def test_every_check_says_what_it_claims():
    for check in BY_ID.values():
        assert check.claim.endswith(".")
        assert check.source
        assert check.tolerance.reason
        assert check.kind in ("regularizer", "optimizer", "problem")
        assert bool(check.problems) == (check.kind == "problem")
    assert engine.MAX_INCONCLUSIVE <= 0.2
