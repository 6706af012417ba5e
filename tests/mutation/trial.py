"""One change at a time, in a copy of the sources: the tests that are run on it, and what they found."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.mutation import recording, selection
from tests.mutation.mutations import Mutation
from tests.mutation.project import LEFT_OUT, Project
from tests.mutation.record import RecordedTest, Records

KILLED, SURVIVED, TIMED_OUT = "killed", "survived", "timed out"
#: pytest's exit status: all passed; it found no test to run.
PASSED, NO_TEST = 0, 5
#: A stage may take this many seconds, and so many times what its tests took when they were recorded.
GRACE, FACTOR = 60.0, 6.0
#: Recorded seconds of the tests of the files that belong to a source which are run before the others.
FIRST_SECONDS = 20.0
#: The folder with this package, of which pytest loads two plug-ins also where it tests another project.
OURS = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Outcome:
    """What became of a change.

    ``verdict`` is killed, survived or timed out, ``by`` the test that noticed it, ``seconds`` how long that took,
    ``tests`` how many were chosen, ``difference`` the lines that differ.
    """

    change: Mutation
    verdict: str
    by: str = ""
    seconds: float = 0.0
    tests: int = 0
    difference: str = ""


class Copy:
    """A copy of a project in which changes are tried; the project itself is never written to."""

    def __init__(self, project: Project, folder: Path) -> None:
        self.project, self.root = project, folder / "sources"
        shutil.copytree(project.root, self.root, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
        self._chosen, self._failed, self._output = folder / "chosen.json", folder / "failed.txt", folder / "output.txt"
        self._running: subprocess.Popen[bytes] | None = None
        self._environment = {
            **os.environ,
            # Ours come first; packages that the user found a place for stay within reach.
            "PYTHONPATH": os.pathsep.join(filter(None, (str(self.root), str(OURS), os.environ.get("PYTHONPATH", "")))),
            "OMP_NUM_THREADS": "1",
            # What a changed source computes is not kept for the next one, nor for the user.
            "RAMDA_CACHE": str(folder / "optima"),
            selection.CHOSEN: str(self._chosen),
            selection.FAILED: str(self._failed),
        }

    def record(self, files: Sequence[str], records: Path) -> None:
        """Run test files as they are, and write their records."""
        environment = {
            **self._environment,
            recording.ROOT: str(self.root),
            recording.RECORDS: str(records),
            recording.PACKAGES: os.pathsep.join(self.project.packages),
        }
        subprocess.run(self._pytest("recording", *files), cwd=self.root, env=environment, check=False)

    def tried(self, change: Mutation, records: Records, limit: float) -> Outcome:
        """Run the tests that are relevant to a change on it, until one fails.

        Arguments:
            change: the change, applied to the copy and taken back.
            records: which tests run the changed line.
            limit: recorded seconds after which no further tests are chosen.
        """
        started = time.monotonic()
        near, far = records.tests(change.file, change.line)
        first = within(near, min(FIRST_SECONDS, limit))
        rest = within([*near[len(first) :], *far], limit)
        unseen = self.project.end_to_end.get(change.file.split("/")[0], ())
        place = self.root / change.file
        original = place.read_text(encoding="utf-8")
        self._write(place, change.applied(original))
        verdict, by, count = SURVIVED, "", 0
        try:
            for tests in (first, rest, unseen):
                if tests and verdict == SURVIVED:
                    count += len(tests)
                    verdict, by = self._run(tests)
        finally:
            self._write(place, original)
        return Outcome(change, verdict, by, time.monotonic() - started, count, change.difference(original))

    def unchanged(self, records: Records) -> None:
        """Run the quickest test of every file on the sources as they are.

        Raises:
            ValueError: one of them fails: then it would seem to notice whatever is changed.
        """
        if not (tests := records.quickest()):
            return
        verdict, by = self._run(tests)
        if verdict != SURVIVED:
            said = "".join(self._output.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)[-12:])
            raise ValueError(f"a test fails in a copy of the unchanged sources, {verdict} by {by}:\n{said}")

    def _write(self, place: Path, text: str) -> None:
        """Write a source, and remove what was compiled of it: a change may have the size and the second of another."""
        place.write_text(text, encoding="utf-8")
        for compiled in (place.parent / "__pycache__").glob(f"{place.stem}.*.pyc"):
            compiled.unlink()

    def _run(self, tests: Sequence[RecordedTest] | Sequence[str]) -> tuple[str, str]:
        """(verdict, the test that failed) of tests by name, or of whole files."""
        named = [test for test in tests if isinstance(test, RecordedTest)]
        files = list(dict.fromkeys(test.file if isinstance(test, RecordedTest) else test for test in tests))
        self._chosen.write_text(json.dumps([test.name for test in named] or None), encoding="utf-8")
        self._failed.unlink(missing_ok=True)
        limit = GRACE + FACTOR * (sum(test.seconds for test in named) if named else GRACE)
        with self._output.open("w", encoding="utf-8") as output:
            process = self._running = subprocess.Popen(
                self._pytest("selection", "-x", *files),
                cwd=self.root,
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                status = process.wait(limit)
            except subprocess.TimeoutExpired:
                return TIMED_OUT, f"{len(named)} tests in {limit:.0f} s"
            finally:
                self.stop()
                process.wait()
                self._running = None
        if status in (PASSED, NO_TEST):
            return SURVIVED, ""
        return KILLED, self._failed.read_text(encoding="utf-8") if self._failed.exists() else "an import"

    def stop(self) -> None:
        """End the tests that are run, with their workers, of which one may go on where a test has failed."""
        if self._running is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._running.pid, signal.SIGKILL)

    def _pytest(self, plugin: str, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "pytest", "-p", f"tests.mutation.{plugin}", "-p", "no:cacheprovider", *arguments]


def within(tests: Sequence[RecordedTest], seconds: float) -> list[RecordedTest]:
    """The first tests that took ``seconds`` together, at least one."""
    chosen: list[RecordedTest] = []
    total = 0.0
    for test in tests:
        if chosen and total + test.seconds > seconds:
            break
        chosen.append(test)
        total += test.seconds
    return chosen
