"""Jobs run while whoever started them watches; imported by the commands that run any."""

from collections.abc import Sequence
from functools import partial

from rich.console import Console

from ramda_verify.engine.record import CheckResult
from ramda_verify.engine.runner import run_jobs
from ramda_verify.engine.suite import Job
from ramda_verify.engine.targets import why_refused
from ramda_verify.engine.workers import Died, Workers
from ramda_verify.output.terminal import watch


def watched(todo: Sequence[Job], *, seed: int, examples: int, workers: int | Workers) -> list[CheckResult]:
    """Run the jobs and return their results in the order of the jobs, watched live on standard error."""
    place = {(job.check, job.target): index for index, job in enumerate(todo)}
    stream = run_jobs(todo, seed=seed, examples=examples, workers=workers)
    results = list(watch(stream, total=len(todo), console=Console(stderr=True)))
    return sorted(results, key=lambda result: place[result.check, result.target])


def refused_by(workers: Workers, specification: str) -> str | None:
    """Why a target is refused, found out in a worker: a module that ends its process must not end this one."""
    ((_, found),) = workers.run([partial(why_refused, specification)])
    return f"{specification!r}: {found} while it was imported" if isinstance(found, Died) else found
