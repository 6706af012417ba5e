"""The checks on recorded problems, after the drawn ones."""

import math
from dataclasses import dataclass, replace

import hypothesis.strategies as st
import numpy as np
import pytest

from ramda_verify.cases.recorded import all_recorded, passes, recorded
from ramda_verify.cases.recorded.passes import also_on_recorded, recorded_problems
from ramda_verify.cases.recorded.problems import NamedArray, RecordedProblem, UnsuitableError, named
from ramda_verify.checks import BY_ID
from ramda_verify.engine.property import run_check
from ramda_verify.engine.record import CheckResult, NothingClaimed, Verdict
from ramda_verify.engine.snippets import literal
from ramda_verify.engine.suite import Job
from ramda_verify.engine.targets import known_regularizers, known_target, plain_target, regularizer_target
from solvers import GroupLasso
from tests.mutants.mutant import regularizer_target_of
from tests.mutants.test_mutants import violation_of

STEPS = list(all_recorded().values())


@dataclass(frozen=True)
class SumsSixteen(GroupLasso):
    """The norm equation of long groups is solved for their first sixteen entries: no drawn group is so long."""

    def metric_prox(self, B, D, lam):
        short = B.clone()
        short.movedim(self.groups.axis, 0).flatten(1)[:, 16:] = 0.0
        if B.numel() // B.shape[self.groups.axis] > 16:
            return super().metric_prox(short.reshape(B.shape), D, lam)
        return super().metric_prox(B, D, lam)


def on_both(check, target, examples=20, seed=0):
    drawn = run_check(BY_ID[check], target, seed=seed, max_examples=examples)
    return also_on_recorded(drawn, BY_ID[check], target, seed=seed, max_examples=examples)


def test_a_fault_that_no_drawn_case_shows_is_found_and_can_be_pasted():
    target = regularizer_target_of(SumsSixteen)
    assert run_check(BY_ID["group-norm-equation"], target, seed=0, max_examples=20).status is Verdict.PASS
    result = on_both("group-norm-equation", target)
    assert result.status is Verdict.FAIL
    assert result.recorded > 0
    snippet = result.counterexample.snippet
    assert "from ramda_verify.cases.recorded import recorded" in snippet
    assert "B = np.array([recorded(" in snippet
    assert len(snippet) < 1500
    assert violation_of(snippet) == result.counterexample.violation > result.tolerance


@pytest.mark.parametrize(("examples", "taken"), [(1, 1), (20, 3), (100, 15)])
def test_recorded_cases_are_counted_apart(examples, taken):
    target = replace(known_target("l1"), traced=False)
    drawn = run_check(BY_ID["prox-limits"], target, seed=7, max_examples=examples)
    result = also_on_recorded(drawn, BY_ID["prox-limits"], target, seed=7, max_examples=examples)
    assert result.status is Verdict.PASS
    assert taken <= result.recorded <= 2 * taken
    assert result.cases == drawn.cases + result.recorded


@pytest.mark.parametrize(
    "error", [UnsuitableError("invented"), NothingClaimed("of this one")], ids=["unsuitable", "nothing"]
)
def test_others_take_the_place_of_those_that_do_not_suit(error, monkeypatch):
    """Or of which a check claims nothing."""
    target, asked = replace(known_target("l1"), traced=False), []

    def raises(**case):
        raise error

    def run_but_the_first_two(check, target, **arguments):
        asked.append(target.instances)
        if len(asked) > 2:
            return run_check(check, target, **arguments)
        if isinstance(error, UnsuitableError):
            raise error
        return run_check(replace(check, measure=raises, cases=lambda target: st.just({})), target, **arguments)

    drawn = run_check(BY_ID["prox-limits"], target, seed=7, max_examples=20)
    monkeypatch.setattr(passes, "run_check", run_but_the_first_two)
    result = also_on_recorded(drawn, BY_ID["prox-limits"], target, seed=7, max_examples=20)
    assert len(asked) == len(set(map(id, asked))) == 5
    assert (result.status, result.detail) == (Verdict.PASS, "")
    assert 3 <= result.recorded <= 6


def test_the_seed_decides_which_are_taken():
    target, seen = replace(known_target("l1"), traced=False), []

    def measure(**case):
        seen.append(literal(case["w"]) if isinstance(case["w"], NamedArray) else None)
        return BY_ID["prox-limits"].measure(**case)

    check = replace(BY_ID["prox-limits"], measure=measure)
    found = []
    for seed in (1, 1, 2):
        seen.clear()
        result = run_check(check, target, seed=seed, max_examples=20)
        also_on_recorded(result, check, target, seed=seed, max_examples=20)
        found.append([name for name in seen if name is not None])
    assert found[0] == found[1] != found[2]


def test_a_job_runs_on_both():
    assert Job("value-consistency", "nuclear_norm").run(0, 20).recorded > 0
    assert Job("parent-method", "ramda").run(0, 3).recorded == 0


RECORDED = {type(step.regularizer) for step in all_recorded().values()}


@pytest.mark.parametrize("name", [name for name, cls in known_regularizers().items() if cls in RECORDED])
def test_every_recorded_regularizer_has_problems(name):
    assert len(recorded_problems(known_target(name))) >= 40


def test_other_targets_have_none():
    own = regularizer_target("tests.plug_ins.right.sets:Box")
    assert recorded_problems(own) == recorded_problems(plain_target("ramda", "optimizer")) == []


def test_a_full_run_takes_all(monkeypatch):
    problems = recorded_problems(known_target("l1"))
    target = replace(known_target("l1"), traced=False)
    drawn = run_check(BY_ID["prox-limits"], target, seed=0, max_examples=5)
    result = also_on_recorded(drawn, BY_ID["prox-limits"], target, seed=0, max_examples=1000)
    assert len(problems) <= result.recorded <= 2 * len(problems)


def test_an_oracle_that_fails_on_recorded_cases_is_inconclusive():
    target = replace(known_target("l1"), traced=False)
    drawn = run_check(BY_ID["prox-limits"], target, seed=0, max_examples=20)

    def no_answer(**case):
        from ramda_verify.engine.property import Inconclusive

        raise Inconclusive("no answer")

    check = replace(BY_ID["prox-limits"], measure=no_answer)
    result = also_on_recorded(drawn, check, target, seed=0, max_examples=20)
    assert result.status is Verdict.INCONCLUSIVE
    assert result.recorded == 0
    assert "no answer" in result.detail


@pytest.mark.parametrize(("failing", "status"), [(0, Verdict.PASS), (1, Verdict.PASS), (2, Verdict.INCONCLUSIVE)])
def test_an_oracle_may_fail_on_a_fifth_of_the_recorded_cases(failing, status, monkeypatch):
    """Of five."""
    asked = []
    drawn = CheckResult("prox-limits", "l1", Verdict.PASS, 33, 0.0, 1.0, 0.0)

    def run(check, target, **arguments):
        asked.append(target.instances)
        return replace(drawn, cases=2, status=Verdict.INCONCLUSIVE if len(asked) <= failing else Verdict.PASS)

    monkeypatch.setattr(passes, "run_check", run)
    result = also_on_recorded(drawn, BY_ID["prox-limits"], known_target("l1"), seed=0, max_examples=33)
    assert len(asked) == 5
    assert (result.status, result.cases, result.recorded) == (status, 43, 10)


def test_a_failed_check_is_not_run_again():
    target = known_target("l1")
    failed = replace(run_check(BY_ID["prox-limits"], target, seed=0, max_examples=1), status=Verdict.FAIL)
    assert also_on_recorded(failed, BY_ID["prox-limits"], target, seed=0, max_examples=20) is failed


def test_ill_conditioned_problems_can_be_left_out():
    hard = max(STEPS, key=lambda step: step.D.max() / step.D.min())
    condition = hard.D.max() / hard.D.min()
    problem = RecordedProblem.of(hard, hard.regularizer)
    assert problem.subproblem_case(condition)["lam"] == hard.lam
    for case in (problem.subproblem_case, lambda bound: problem.batch_case(bound, "start")):
        with pytest.raises(UnsuitableError, match=hard.name):
            case(condition * 0.999)


def test_cases_hold_the_recorded_numbers():
    step = recorded("mlp-ramda-reading-middle-1.weight")
    problem = RecordedProblem.of(step, GroupLasso(1.0))
    assert problem.regularizer == step.regularizer
    single, batch = problem.subproblem_case(np.inf), problem.batch_case(np.inf, "start")
    assert np.array_equal(single["B"], step.B)
    assert np.array_equal(batch["D"], step.D[None])
    assert np.array_equal(batch["start"], step.W[None])
    assert batch["lam"].tolist() == [step.lam]
    for array in (*single.values(), *batch.values()):
        if isinstance(array, NamedArray):
            assert np.array_equal(eval(literal(array), {"np": np, "recorded": recorded}), array)
    prox = problem.prox_case()
    theta = 1 / step.D.max()
    np.testing.assert_allclose(prox["w"], step.W - theta * (step.D * step.W - step.B), rtol=1e-12, atol=0)
    assert math.isclose(prox["step"], theta * step.lam)


def test_what_is_computed_from_a_named_array_has_no_name():
    array = named([1.0, 2.0], "recorded('x').B")
    assert literal(array) == "recorded('x').B"
    for other in (2 * array, array[:1], array.copy(), array.reshape(2, 1), np.array(array)):
        assert "recorded" not in literal(other)


def test_cases_of_recorded_steps_are_all_recorded():
    result = Job("recorded-criterion", "rmda").run(0, 5)
    assert result.status is Verdict.PASS
    assert result.recorded == result.cases > 0


@pytest.mark.parametrize("check", ["recorded-kernel-step", "recorded-residual", "recorded-criterion"])
def test_a_full_run_takes_every_recorded_step(check):
    seen = set()

    def measure(**case):
        seen.add(case["step"])
        return BY_ID[check].measure(**case)

    run_check(replace(BY_ID[check], measure=measure), plain_target("proxsgd", "optimizer"), seed=0, max_examples=1000)
    direct = check != "recorded-criterion"
    names = {step.name for step in STEPS if step.optimizer == "proxsgd"}
    assert seen == {name for name in names if not direct or hasattr(recorded(name).regularizer, "group_norms")}
