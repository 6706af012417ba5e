"""Run jobs in worker processes and hand out the results as they come."""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from hypothesis.configuration import set_hypothesis_home_dir

from ramda_verify.checks import BY_ID
from ramda_verify.checks.kernels.steps import device_of
from ramda_verify.checks.regularizer import proof
from ramda_verify.engine.property import draw_by_seed_alone
from ramda_verify.engine.record import CheckResult, Verdict
from ramda_verify.engine.suite import OF_PROX, Job
from ramda_verify.engine.workers import Died, Workers, started


def run_jobs(jobs: Sequence[Job], *, seed: int, examples: int, workers: int | Workers) -> Iterator[CheckResult]:
    """Yield one result per job, in order of completion. A job that breaks yields ``inconclusive``, never nothing.

    A job that comes ``first`` runs before all others: where it fails the others are left out, and what it found of the
    time that a call takes scales their numbers of cases. Checks of solutions wait for those of the prox, and are
    skipped where one of these fails. ``workers`` is how many processes there are, or those that were ``started``
    already. A user's code always runs in a process of its own, which it may end; ours runs in this one where
    ``workers`` is 1.
    """
    first = [job for job in jobs if job.first]
    # Dear checks first, so that no worker is left alone with one at the end.
    others = sorted((job for job in jobs if not job.first), key=lambda job: -BY_ID[job.check].cost)
    if workers == 1 and all(job.known for job in jobs):
        prepare_worker(sys.path)
        for job in jobs:
            yield Run(job, seed, examples)()
        return
    with started(min(workers, len(jobs))) if isinstance(workers, int) else nullcontext(workers) as pool:
        for result in _run_in(pool, first, seed, examples):
            yield result
            if result.status is Verdict.FAIL:
                return
            if result.pace is not None:
                share = result.pace.share
                others = [replace(job, share=share) for job in others]
        # A proof that is not found takes long: beside the checks of solutions no worker waits for it.
        late = [job for job in others if job.of_solutions or job.check == proof.ID]
        prox_is_wrong = False
        for result in _run_in(pool, [job for job in others if job not in late], seed, examples):
            yield result
            prox_is_wrong |= result.status is Verdict.FAIL and result.check in OF_PROX
        yield from _run_in(pool, [replace(job, prox_is_wrong=prox_is_wrong) for job in late], seed, examples)


def prepare_worker(path: Sequence[str] = ()) -> None:
    """Make this process one that runs checks; a ``path`` of imports takes the place of its own."""
    if path:
        sys.path[:] = path
    torch.set_num_threads(1)
    device_of("triton")  # chooses how triton runs here before another check imports it
    draw_by_seed_alone()
    # Hypothesis keeps notes about the code under test; not in the folder that the user happens to stand in.
    set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "ramda-verify-hypothesis")


@dataclass(frozen=True)
class Run:
    """A job with its seed and its number of cases; called, it gives the result."""

    job: Job
    seed: int
    examples: int

    def __call__(self) -> CheckResult:
        try:
            return self.job.run(self.seed, self.examples)
        except Exception as error:
            detail = f"the check itself broke: {type(error).__name__}: {error}"
            return self.job.without_cases(Verdict.INCONCLUSIVE, detail)


def _run_in(pool: Workers, jobs: Sequence[Job], seed: int, examples: int) -> Iterator[CheckResult]:
    for place, found in pool.run([Run(job, seed, examples) for job in jobs]):
        yield _of_the_dead(jobs[place], found) if isinstance(found, Died) else found


def _of_the_dead(job: Job, found: Died) -> CheckResult:
    """A process that ends within a check is a finding, unless somebody else has ended it."""
    verdict = Verdict.INCONCLUSIVE if found.killed_from_outside else Verdict.FAIL
    return job.without_cases(verdict, f"{found} while it ran this check")
