"""Jobs run while whoever started them watches; imported by the commands that run any."""

from collections.abc import Sequence

from rich.console import Console

from ramda_verify.record import CheckResult
from ramda_verify.report import watch
from ramda_verify.runner import run_jobs
from ramda_verify.suite import Job
from ramda_verify.workers import Workers


def watched(todo: Sequence[Job], *, seed: int, examples: int, workers: int | Workers) -> list[CheckResult]:
    """Run the jobs and return their results in the order of the jobs, watched live on standard error."""
    place = {(job.check, job.target): index for index, job in enumerate(todo)}
    stream = run_jobs(todo, seed=seed, examples=examples, workers=workers)
    results = list(watch(stream, total=len(todo), console=Console(stderr=True)))
    return sorted(results, key=lambda result: place[result.check, result.target])
