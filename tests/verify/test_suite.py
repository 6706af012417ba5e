"""Which jobs a run has, and that a job that breaks is never lost."""

import subprocess
import sys

import pytest

from ramda_verify.checks import ALL_CHECKS, BY_ID, OF_SOLUTIONS
from ramda_verify.engine import runner
from ramda_verify.engine.record import Verdict
from ramda_verify.engine.runner import run_jobs
from ramda_verify.engine.suite import EXAMPLES, OF_PROX, OPTIMIZERS, Job, check_jobs, suite_jobs
from ramda_verify.engine.targets import TargetError, known_regularizers
from ramda_verify.engine.workers import default_workers

QUICK = [Job("prox-minimises", "l1"), Job("convex-claim", "group_lasso")]


def test_every_check_runs_on_every_target_of_its_kind():
    jobs = suite_jobs()
    assert len(jobs) == len(set(jobs))
    assert {job.check for job in jobs} == set(BY_ID)
    for check in ALL_CHECKS:
        targets = {job.target for job in jobs if job.check == check.id}
        expected = {"regularizer": set(known_regularizers()), "optimizer": set(OPTIMIZERS)}
        assert targets == expected.get(check.kind, set(check.problems))


def test_ids_are_unique():
    assert len(BY_ID) == len(ALL_CHECKS)


def test_checks_of_the_prox_exist_and_are_none_of_solutions():
    """A name that no check has any more would let the checks of solutions run on a wrong prox."""
    assert {check.id for check in ALL_CHECKS if check.kind == "regularizer" and check not in OF_SOLUTIONS} > OF_PROX


def test_only_keeps_checks_and_targets_of_these_names():
    assert {job.target for job in suite_jobs(["prox-limits"])} == set(known_regularizers())
    assert {job.check for job in suite_jobs(["ramda"])} == {c.id for c in ALL_CHECKS if c.kind == "optimizer"}
    both = suite_jobs(["prox-limits", "rmda"])
    assert len(both) == len(suite_jobs(["prox-limits"])) + len(suite_jobs(["rmda"]))


@pytest.mark.parametrize("unknown", ["prox", "PROX-LIMITS", ""])
def test_unknown_name_lists_the_known(unknown):
    with pytest.raises(TargetError, match=f"no check or target is called '{unknown}'; there are .*prox-limits.*ramda"):
        suite_jobs(["prox-limits", unknown])


def test_jobs_of_a_users_regularizer(folder):
    jobs = check_jobs("good.py:Ridge")
    assert {job.check for job in jobs} == {check.id for check in ALL_CHECKS if check.kind == "regularizer"}
    assert jobs[0].build_target().example.weight == 0.7
    with pytest.raises(TargetError, match="there is no file"):
        check_jobs("absent.py:Ridge")


def test_sizes_of_a_run():
    # As the help texts of --quick and --full say.
    assert {name: cases / EXAMPLES["default"] for name, cases in EXAMPLES.items()} == {
        "quick": 0.2,
        "default": 1,
        "full": 10,
    }


def test_job_has_its_own_stream_of_cases():
    job = Job("prox-firmly-nonexpansive", "nuclear_norm")
    first, second, other = job.run(0, 20), job.run(0, 20), job.run(1, 20)
    assert first.worst == second.worst
    assert (first.status, other.status) == (Verdict.PASS, Verdict.PASS)


def test_one_worker():
    results = list(run_jobs(QUICK, seed=0, examples=10, workers=1))
    assert [(result.check, result.target) for result in results] == [(job.check, job.target) for job in QUICK]
    assert all(result.status is Verdict.PASS for result in results)


def test_seed_decides_the_cases_whatever_else_is_loaded():
    """Two processes, one of which has loaded other modules of the project before."""
    program = (
        "import {}; from ramda_verify.engine.runner import run_jobs; from ramda_verify.engine.suite import Job; "
        "jobs = [Job('prox-firmly-nonexpansive', 'nuclear_norm'), Job('value-consistency', 'l1')]; "
        "print([(r.check, r.cases, r.worst) for r in run_jobs(jobs, seed=0, examples=40, workers={})])"
    )
    found = {
        subprocess.run([sys.executable, "-c", program.format(*case)], capture_output=True, text=True, check=True).stdout
        for case in (("math", 1), ("experiments.commands, paper_checks.registry", 1))
    }
    assert len(found) == 1, found


def test_job_that_breaks_is_inconclusive(monkeypatch):
    def breaks(*arguments, **options):
        raise MemoryError("no room")

    monkeypatch.setattr("ramda_verify.engine.suite.run_check", breaks)
    (result,) = run_jobs(QUICK[:1], seed=0, examples=10, workers=1)
    assert result.status is Verdict.INCONCLUSIVE
    assert result.detail == "the check itself broke: MemoryError: no room"
    assert (result.cases, result.worst, result.seconds) == (0, None, 0.0)


def test_workers():
    assert default_workers() >= 1
    assert runner.BY_ID is BY_ID
