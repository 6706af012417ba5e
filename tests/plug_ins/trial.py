"""Every wrong regularizer is refused and every right one accepted, at every seed, as ``ramda-verify check`` tries them.

``python -m tests.plug_ins --seeds 5`` prints both numbers; ``--only NAME`` tries a few, ``--quick`` a fifth of the
cases.
"""

import argparse
import importlib
import multiprocessing
import pkgutil
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

from ramda_verify.engine.record import CheckResult, Verdict
from ramda_verify.engine.runner import prepare_worker
from ramda_verify.engine.suite import EXAMPLES, check_jobs
from ramda_verify.engine.targets import TargetError
from ramda_verify.engine.workers import default_workers
from tests.plug_ins import right, wrong


@dataclass(frozen=True)
class Outcome:
    """What became of one plug-in at one seed."""

    specification: str
    seed: int
    alarms: tuple[CheckResult, ...]
    seconds: float
    refused: str = ""


def specifications(package) -> Iterator[str]:
    """``module:Class`` of every public class defined in the package's files."""
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        for name, found in vars(importlib.import_module(module.name)).items():
            if isinstance(found, type) and found.__module__ == module.name and not name.startswith("_"):
                yield f"{module.name}:{name}"


def try_out(specification: str, seed: int, examples: int, stop: bool) -> Outcome:
    """All checks of a regularizer; with ``stop`` no more once one has failed."""
    start, alarms = time.perf_counter(), []
    try:
        jobs = check_jobs(specification)
    except TargetError as error:
        return Outcome(specification, seed, (), 0.0, str(error))
    for job in jobs:
        try:
            result = job.run(seed, examples)
        except Exception as error:  # a check that breaks is told from one that fails
            result = CheckResult(job.check, specification, Verdict.INCONCLUSIVE, 0, None, None, 0.0, detail=repr(error))
        if not result.status.holds:
            alarms.append(result)
        if stop and result.status is Verdict.FAIL:
            break
    return Outcome(specification, seed, tuple(alarms), time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.plug_ins", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds each is tried with")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--only", action="append", default=[], help="a part of a name; may be repeated")
    parser.add_argument("--quick", action="store_true", help="a fifth of the cases")
    parser.add_argument("--jobs", type=int, default=0, help="worker processes, 0: one per processor")
    chosen = parser.parse_args()
    examples = EXAMPLES["quick" if chosen.quick else "default"]
    names = {True: list(specifications(wrong)), False: list(specifications(right))}
    work = [
        (name, seed, is_wrong)
        for is_wrong in (True, False)
        for name in names[is_wrong]
        if not chosen.only or any(part in name for part in chosen.only)
        for seed in range(chosen.first, chosen.first + chosen.seeds)
    ]
    missed: set[Any] = set()
    accused: set[Any] = set()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(chosen.jobs or default_workers(), mp_context=context, initializer=prepare_worker) as pool:
        futures = [pool.submit(try_out, name, seed, examples, is_wrong) for name, seed, is_wrong in work]
        for future, (name, seed, is_wrong) in zip(futures, work, strict=True):
            found = future.result()
            failed = [result for result in found.alarms if result.status is Verdict.FAIL]
            good = bool(failed or found.refused) if is_wrong else not found.alarms and not found.refused
            if not good:
                (missed if is_wrong else accused).add(name)
            first = failed[0].check if failed else found.refused[:60]
            rest = "" if is_wrong else "; ".join(f"{r.check}: {r.detail[:300]}" for r in found.alarms)
            word = "ok " if good else "BAD"
            print(f"{word} {name.split('plug_ins.')[1]} seed {seed} {found.seconds:.1f} s {first} {rest}", flush=True)
    tried = {name for name, _, is_wrong in work if is_wrong}, {name for name, _, is_wrong in work if not is_wrong}
    print(f"wrong: {len(tried[0]) - len(missed)} of {len(tried[0])} refused at every one of {chosen.seeds} seeds")
    print(f"right: {len(tried[1]) - len(accused)} of {len(tried[1])} accepted at every one of {chosen.seeds} seeds")
    raise SystemExit(1 if missed or accused else 0)
