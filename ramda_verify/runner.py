"""Run jobs in worker processes and hand out the results as they come."""

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import torch
from hypothesis.configuration import set_hypothesis_home_dir

from ramda_verify.checks import BY_ID
from ramda_verify.checks.kernels import device_of
from ramda_verify.property import draw_by_seed_alone
from ramda_verify.record import CheckResult, Verdict
from ramda_verify.suite import Job


def run_jobs(jobs: Sequence[Job], *, seed: int, examples: int, workers: int) -> Iterator[CheckResult]:
    """Yield one result per job, in order of completion. A job that breaks yields ``inconclusive``, never nothing."""
    if workers == 1 or len(jobs) == 1:
        prepare_worker(sys.path)
        for job in jobs:
            yield _run(job, seed, examples)
        return
    context = multiprocessing.get_context("spawn")
    # Dear checks first, so that no worker is left alone with one at the end.
    order = sorted(jobs, key=lambda job: -BY_ID[job.check].cost)
    with ProcessPoolExecutor(workers, mp_context=context, initializer=prepare_worker, initargs=(sys.path,)) as pool:
        futures = {pool.submit(_run, job, seed, examples): job for job in order}
        for future in as_completed(futures):
            error = future.exception()
            yield future.result() if error is None else _broken(futures[future], error)


def default_workers() -> int:
    """One worker per processor that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def prepare_worker(path: Sequence[str] = ()) -> None:
    """Make this process one that runs checks; a ``path`` of imports takes the place of its own."""
    if path:
        sys.path[:] = path
    torch.set_num_threads(1)
    device_of("triton")  # chooses how triton runs here before another check imports it
    draw_by_seed_alone()
    # Hypothesis keeps notes about the code under test; not in the folder that the user happens to stand in.
    set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "ramda-verify-hypothesis")


def _run(job: Job, seed: int, examples: int) -> CheckResult:
    try:
        return job.run(seed, examples)
    except Exception as error:
        return _broken(job, error)


def _broken(job: Job, error: BaseException) -> CheckResult:
    detail = f"the check itself broke: {type(error).__name__}: {error}"
    tolerance = BY_ID[job.check].tolerance.value
    return CheckResult(job.check, job.target, Verdict.INCONCLUSIVE, 0, None, tolerance, 0.0, detail=detail)
