"""Worker processes: one that ends takes its own task along, Ctrl-C ends all, and what they print is no output."""

import json
import os
import signal
import subprocess
import sys
from functools import partial
from multiprocessing import active_children
from operator import add
from pathlib import Path

import psutil
import pytest

from ramda_verify.engine import workers
from ramda_verify.engine.record import Verdict
from ramda_verify.engine.runner import run_jobs
from ramda_verify.engine.suite import PROX_IS_WRONG, Job, check_jobs
from ramda_verify.engine.workers import Died, Workers

PLUG_IN = """
import os
import time

import torch

print("the module is imported")


class Ridge:
    def value(self, w):
        return 0.5 * w.square().sum()

    def prox(self, w, step):
        print("prox was called")
        os.write(1, b"from below python")
        return w / (1 + step)


class EndsOnFour(Ridge):
    \"\"\"Ends its process on tensors with four axes.\"\"\"

    shapes = ((1,), (2, 2))

    def value(self, w):
        return 0.5 * w.square().sum()

    def prox_with_derivative(self, w, step):
        os._exit(0)

    def subgradient_residual(self, point, gradient, lam):
        raise SystemExit(0)


class ConvexRidge(Ridge):
    convex = True


class Doubles(ConvexRidge):
    def prox(self, w, step):
        return w / (1 + 2 * step)


class WrongAt16Bits(ConvexRidge):
    \"\"\"Wrong in a narrow dtype alone, which no solution is made in.\"\"\"

    def prox(self, w, step):
        return w / (1 + step) if w.dtype == torch.float64 else 1.1 * w


class InPlace(ConvexRidge):
    def prox(self, w, step):
        return w.div_(1 + step)


class EndsAtOnce(Ridge):
    def prox(self, w, step):
        os._exit(0)


class WrongSignature(Ridge):
    def prox(self, w):
        return w


class Waits(Ridge):
    def prox(self, w, step):
        open("called", "w").close()
        time.sleep(8)
        return w / (1 + step)
"""


@pytest.fixture
def plug_in(folder: Path) -> Path:
    (folder / "mine.py").write_text(PLUG_IN)
    return folder


def test_tasks_and_what_they_return() -> None:
    with Workers(2, "gc:collect") as pool:
        tasks = [partial(add, 1, 2), partial(os._exit, 3), partial(add, 3, 4), partial(os._exit, 0), partial(add, 5, 6)]
        found = dict(pool.run(tasks))
        again = dict(pool.run([partial(os.getpid)]))
    assert found == {0: 3, 1: Died(3), 2: 7, 3: Died(0), 4: 11}
    assert not psutil.pid_exists(again[0])


def test_a_process_serves_one_task_after_the_other() -> None:
    with Workers(1, "gc:collect") as pool:
        numbers = {number for _, number in [*pool.run([os.getpid, os.getpid]), *pool.run([os.getpid])]}
    assert len(numbers) == 1


def test_how_a_process_ended_in_words() -> None:
    assert str(Died(0)).endswith("exit status 0")
    assert "SIGSEGV" in str(Died(-signal.SIGSEGV))
    assert not Died(-signal.SIGSEGV).killed_from_outside
    assert not Died(0).killed_from_outside
    assert Died(-signal.SIGTERM).killed_from_outside


def test_a_signal_without_a_name_is_told_by_its_number() -> None:
    assert str(Died(-200)).endswith("signal 200")
    assert str(Died(1)).endswith("exit status 1")
    assert Died(-getattr(signal, "SIGKILL", signal.SIGTERM)).killed_from_outside


def test_a_process_that_ends_between_two_runs_is_replaced() -> None:
    with Workers(1, "gc:collect") as pool:
        ((_, number),) = pool.run([os.getpid])
        process = psutil.Process(number)
        process.kill()
        psutil.wait_procs([process], timeout=10)
        assert list(pool.run([partial(add, 1, 1), partial(add, 1, 2)])) == [(0, 2), (1, 3)]


def test_a_process_that_ends_before_it_reads_its_task_takes_it_along() -> None:
    with Workers(1, "os:_exit", 3) as pool:
        assert list(pool.run([partial(add, 1, 1)])) == [(0, Died(3))]


def test_what_cannot_be_read_back_is_an_end_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer which is read by ``pickle.loads``, from bytes that are no pickle."""
    monkeypatch.setattr(workers, "GRACE", 0.01)
    made = "type('Unreadable', (), {'__reduce__': lambda self: (__import__('pickle').loads, (b'none',))})()"
    with Workers(1, "gc:collect") as pool:
        found = dict(pool.run([partial(eval, made), partial(add, 1, 1)]))
    assert isinstance(found[0], Died)
    assert found[1] == 2


def test_processes_end_with_the_one_that_has_started_them() -> None:
    """Also where that one has never ended the context."""
    before = set(active_children())
    with Workers(2, "gc:collect"):
        begun = set(active_children()) - before
        assert len(begun) == 2
        assert all(process.daemon for process in begun)


@pytest.mark.parametrize(
    "at_last",
    [
        "list(pool.run([gc.collect]))",
        "worker.send(gc.collect); worker.connection.poll(None)",
        """worker.send(partial(eval, "__import__('multiprocessing').parent_process().join()"))""",
    ],
    ids=["idle", "answered", "at work"],
)
def test_a_process_that_is_left_alone_ends_without_a_word(at_last: str) -> None:
    """The one that has started it is gone, while it waits, before its answer was read, or before it has one."""
    program = (
        "import gc, os; from functools import partial; from ramda_verify.engine.workers import Workers\n"
        f"if __name__ == '__main__': pool = Workers(1, 'gc:collect'); worker = pool._workers[0]; {at_last}; os._exit(0)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert found.stderr == ""


def test_a_process_that_is_killed_is_replaced() -> None:
    with Workers(1, "gc:collect") as pool:
        found = dict(pool.run([partial(os.kill, os.getpid(), 0), partial(signal.raise_signal, signal.SIGTERM)]))
        assert found[1].killed_from_outside
        assert dict(pool.run([partial(add, 1, 1)])) == {0: 2}


def test_a_check_that_ends_its_process_fails_alone(plug_in: Path) -> None:
    names = ("contract", "prox-minimises", "prox-derivative", "minimum-norm-subgradient", "value-consistency")
    jobs = [job for job in check_jobs("mine.py:EndsOnFour") if job.check in names]
    results = {result.check: result for result in run_jobs(jobs, seed=1, examples=4, workers=2)}
    assert len(results) == len(jobs)
    ended = {check for check, result in results.items() if "exit status 0" in result.detail}
    assert ended
    assert all(results[check].status is Verdict.FAIL for check in ended)
    assert all(result.status.holds for check, result in results.items() if check not in ended)


@pytest.mark.parametrize("name", ["EndsAtOnce", "WrongSignature"])
def test_where_the_contract_fails_no_other_check_runs(name: str, plug_in: Path) -> None:
    jobs = [job for job in check_jobs(f"mine.py:{name}") if job.check in ("contract", "prox-minimises", "manners")]
    (result,) = run_jobs(jobs, seed=1, examples=4, workers=2)
    assert (result.check, result.status) == ("contract", Verdict.FAIL)


SOME = ("contract", "manners", "prox-minimises", "dtype-agreement", "solver-agreement", "metric-prox-claim")


@pytest.mark.parametrize(
    ("name", "failing", "skipped"),
    [
        ("Doubles", {"prox-minimises"}, {"solver-agreement": PROX_IS_WRONG}),
        ("InPlace", {"manners", "dtype-agreement"}, {"solver-agreement": PROX_IS_WRONG}),
        ("WrongAt16Bits", {"dtype-agreement"}, {}),
    ],
)
def test_solutions_are_not_made_of_a_wrong_prox(name: str, failing: set, skipped: dict, plug_in: Path) -> None:
    """Where a check of the prox has failed; a check that would be skipped anyhow says its own reason."""
    jobs = [job for job in check_jobs(f"mine.py:{name}") if job.check in (*SOME, "minimum-norm-subgradient")]
    results = {result.check: result for result in run_jobs(jobs, seed=1, examples=4, workers=2)}
    assert results.keys() == {job.check for job in jobs}
    assert {check for check, result in results.items() if result.status is Verdict.FAIL} == failing
    others = dict.fromkeys(("metric-prox-claim", "minimum-norm-subgradient"), "does not offer")
    reasons = {check: result.detail for check, result in results.items() if result.status is Verdict.SKIP}
    assert reasons.keys() == {*others, *skipped}
    assert all(reason in reasons[check] for check, reason in {**others, **skipped}.items())


def test_solutions_alone_are_looked_at_where_no_check_of_the_prox_runs(plug_in: Path) -> None:
    (result,) = run_jobs(check_jobs("mine.py:Doubles", ["solver-agreement"]), seed=1, examples=4, workers=2)
    assert result.status is not Verdict.SKIP


def test_what_is_printed_goes_to_standard_error(plug_in: Path) -> None:
    """The module is imported by the command itself, prox is called in a worker."""
    command = [sys.executable, "-m", "ramda_verify", "check", "mine.py:Ridge", "--format", "json", "--quick"]
    found = subprocess.run([*command, "--only", "contract"], capture_output=True, text=True, cwd=plug_in, check=False)
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["results"][0]["status"] == "pass"
    for words in ("the module is imported", "prox was called", "from below python"):
        assert words in found.stderr


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent to a process group")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_interrupt_ends_the_command_and_its_workers(plug_in: Path, jobs: str) -> None:
    command = [sys.executable, "-m", "ramda_verify", "check", "mine.py:Waits", "--jobs", jobs]
    # A command that a script starts in the background ignores Ctrl-C; so do the tests there, and what they start.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            command, cwd=plug_in, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
    finally:
        signal.signal(signal.SIGINT, before)
    while not (plug_in / "called").exists():
        assert process.poll() is None, process.communicate()
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []


def test_jobs_of_ours_run_in_this_process_where_there_is_one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ramda_verify.engine.runner.started", None)
    (result,) = run_jobs([Job("convex-claim", "l1")], seed=0, examples=3, workers=1)
    assert result.status is Verdict.PASS
