"""The command: draw, try, report."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

from tests.mutation import summary
from tests.mutation.mutations import Mutation, mutations, sample
from tests.mutation.project import Project
from tests.mutation.record import Records
from tests.mutation.trial import Copy, Outcome

SURVIVORS = "survivors.json"


def main(project: Project, arguments: Sequence[str]) -> int:
    """Run the command on a project; 1 where fewer than 95 % of the changes that are not equivalent died, else 0."""
    options = parser(project).parse_args(arguments)
    changes = again(project) if options.again else drawn(project, options)
    records = Records(project.root, project.results / "records", project.test_files())
    with TemporaryDirectory(prefix="mutation-") as folder:
        copies = [Copy(project, Path(folder) / str(job)) for job in range(options.jobs)]
        if not options.as_recorded and (missing := records.missing()):
            print(f"recording what {len(missing)} test files run", flush=True)
            record(copies, missing, records.folder)
            records = Records(project.root, records.folder, records.files)
        copies[0].unchanged(records)
        outcomes = []
        for outcome in tried(project, records, copies, changes, options.seconds):
            outcomes.append(outcome)
            print(summary.line_of(outcome, len(outcomes), len(changes)), flush=True)
    summary.keep_survivors(project.results / SURVIVORS, outcomes)
    for key in outdated(project):
        print(f"equivalent.toml names no change of the sources: {key}")
    print("", summary.survivors(outcomes), summary.table(project, outcomes), sep="\n")
    return 0 if summary.enough(outcomes) else 1


def parser(project: Project) -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    found.add_argument("--sample", type=int, default=100, help="how many changes are drawn")
    found.add_argument("--seed", type=int, default=0, help="the seed of the draw")
    only = f"sources to draw from: {', '.join(project.parts)}, or a path; may be repeated"
    found.add_argument("--only", action="append", default=[], help=only)
    found.add_argument(
        "--jobs",
        type=int,
        default=1,
        help="changes tried, or test files recorded, at a time, each in a copy of its own",
    )
    found.add_argument("--seconds", type=float, default=90.0, help="recorded seconds of the tests run on a change")
    found.add_argument("--as-recorded", action="store_true", help="do not record test files that are new or changed")
    found.add_argument("--again", action="store_true", help="try the survivors of the last run instead of a sample")
    return found


def drawn(project: Project, options: argparse.Namespace) -> list[Mutation]:
    """The sample that the options ask for."""
    if options.sample < 1 or options.jobs < 1:
        raise ValueError(f"sample and jobs must be positive, got {options.sample} and {options.jobs}")
    return sample(project.root, project.sources(options.only), options.sample, options.seed)


def again(project: Project) -> list[Mutation]:
    """The last survivors, found by their keys in the sources as they now are; those that are gone are left out."""
    keys = {change.key for change in summary.kept_survivors(project.results / SURVIVORS)}
    files = sorted({file for file, *_ in keys if (project.root / file).exists()})
    return [change for file in files for change in mutations(project.root, file) if change.key in keys]


def outdated(project: Project) -> list[tuple[str, str, str, int]]:
    """Keys of the equivalent changes that none of the sources, as they now are, can have."""
    keys = set(project.reasons())
    files = sorted({file for file, *_ in keys if (project.root / file).exists()})
    return sorted(keys - {change.key for file in files for change in mutations(project.root, file)})


def record(copies: Sequence[Copy], files: Sequence[str], folder: Path) -> None:
    """Run test files as they are, shared out over the copies, and write their records."""
    jobs = min(len(copies), len(files))
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda copy, share: copy.record(share, folder), copies, (files[i::jobs] for i in range(jobs))))


def tried(
    project: Project, records: Records, copies: Sequence[Copy], changes: Sequence[Mutation], seconds: float
) -> Iterator[Outcome]:
    """The outcome of each change, in the order of the changes."""
    reasons, free = project.reasons(), SimpleQueue[Copy]()
    for copy in copies:
        free.put(copy)

    def one(change: Mutation) -> Outcome:
        if change.key in reasons:
            return Outcome(change, summary.EQUIVALENT)
        copy = free.get()
        try:
            return copy.tried(change, records, seconds)
        finally:
            free.put(copy)

    pool = ThreadPoolExecutor(len(copies))
    try:
        yield from pool.map(one, changes)
    finally:
        # By Ctrl-C too: what waits is not begun, and what runs is ended.
        pool.shutdown(wait=False, cancel_futures=True)
        for copy in copies:
            copy.stop()
        pool.shutdown()


def run(project: Project) -> None:
    """The command with the arguments of the command line."""
    try:
        sys.exit(main(project, sys.argv[1:]))
    except ValueError as error:
        sys.exit(f"error: {error}")
