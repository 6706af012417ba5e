"""The records of the tests: which of them run a line of a source, fastest first."""

import ast
import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path


def fingerprint(path: Path) -> str:
    """A hash of the text of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def path_of(records: Path, file: str) -> Path:
    """Where the record of a test file is kept, ``file`` being its path below the root."""
    return records / f"{file}.json"


@dataclass(frozen=True)
class RecordedTest:
    """A test and the seconds that it took."""

    name: str
    seconds: float

    @property
    def file(self) -> str:
        return self.name.split("::")[0]


class Record:
    """What the tests of one file ran: names, seconds, lines of the sources."""

    def __init__(self, path: Path) -> None:
        content = json.loads(path.read_text(encoding="utf-8"))
        self.fingerprint: str = content["fingerprint"]
        self.sources: dict[str, str] = content["sources"]
        self._tests = [
            RecordedTest(name, test["seconds"]) if test["passes"] else None for name, test in content["tests"].items()
        ]
        self._lines: dict[str, dict[str, list[int]]] = content["lines"]

    def tests(self, source: str, line: int | None) -> list[RecordedTest]:
        """The passing tests that run a line of a source, or any line of it."""
        lines = self._lines.get(source, {})
        chosen = {index for tests in lines.values() for index in tests} if line is None else lines.get(str(line), [])
        return [test for index in chosen if (test := self._tests[index]) is not None]

    @property
    def quickest(self) -> RecordedTest | None:
        """The passing test that took the least time; None where none passes."""
        passing = [test for test in self._tests if test is not None]
        return min(passing, key=lambda test: (test.seconds, test.name), default=None)

    @cached_property
    def size(self) -> int:
        """How many lines of the sources the tests ran."""
        return sum(map(len, self._lines.values()))

    def share(self, source: str) -> float:
        """The share of these lines that belong to one source."""
        return len(self._lines.get(source, ())) / max(self.size, 1)


class Records:
    """The records of all test files.

    Arguments:
        root: the folder of the sources and the tests as they now are.
        folder: where the records are.
        files: the test files, as paths below the root.
    """

    def __init__(self, root: Path, folder: Path, files: list[str]) -> None:
        self.root, self.folder, self.files = root, folder, files

    def missing(self) -> list[str]:
        """Test files that have no record, or are no longer what was recorded."""
        return [file for file in self.files if file not in self._found or self._is_old(file)]

    def quickest(self) -> list[RecordedTest]:
        """The quickest passing test of each file that is recorded as it is."""
        current = [self._found[file].quickest for file in self._found if not self._is_old(file)]
        return [test for test in current if test is not None]

    def _is_old(self, file: str) -> bool:
        return self._found[file].fingerprint != fingerprint(self.root / file)

    @cached_property
    def _found(self) -> dict[str, Record]:
        places = {file: path_of(self.folder, file) for file in self.files}
        return {file: Record(place) for file, place in places.items() if place.exists()}

    def tests(self, source: str, line: int) -> tuple[list[RecordedTest], list[RecordedTest]]:
        """Tests to run for a change: those of the files that belong most to the source, and the rest, as ``in_turn``.

        They run the line. Where the line is run on import, was another when it was recorded, or no test was seen to
        run it, they run any line of its source.
        """
        near, far = self._running(source, line) if line in lines_of_functions(self.root / source) else ([], [])
        return (near, far) if near else self._running(source, None)

    def _running(self, source: str, line: int | None) -> tuple[list[RecordedTest], list[RecordedTest]]:
        near: list[RecordedTest] = []
        far: list[RecordedTest] = []
        for file in sorted(self._found, key=lambda file: (-self._found[file].share(source), file)):
            record = self._found[file]
            same = record.sources.get(source) == fingerprint(self.root / source)
            if tests := record.tests(source, line if same else None):
                (near if len({test.file for test in near}) < BELONGING else far).extend(tests)
        return in_turn(near), in_turn(far)


def in_turn(tests: Iterable[RecordedTest]) -> list[RecordedTest]:
    """Fastest first, where the n-th case of a test function counts n times its seconds: cases of one function notice
    much the same.
    """
    turns: Counter[str] = Counter()
    order = []
    for test in sorted(tests, key=lambda test: (test.seconds, test.name)):
        function = test.name.split("[")[0]
        turns[function] += 1
        order.append((turns[function] * test.seconds, test.name, test))
    return [test for *_, test in sorted(order, key=lambda entry: entry[:2])]


#: How many test files belong to a source: those of which the largest share of lines lies in it.
BELONGING = 4


@cache
def lines_of_functions(path: Path) -> set[int]:
    """The lines of a source within functions; the others are run when it is imported, whatever test comes first."""
    found: set[int] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            first = node.body.lineno if isinstance(node, ast.Lambda) else node.body[0].lineno
            found.update(range(first, (node.end_lineno or first) + 1))
    return found
