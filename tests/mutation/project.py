"""What is mutated, which tests must notice, and where results are kept."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.mutation.mutations import Mutation

#: What is not copied and not looked at: results, environments and caches.
LEFT_OUT = (".git", ".venv", "__pycache__", ".*_cache", ".hypothesis", ".mutation", "report", "runs", "build")


@dataclass(frozen=True)
class Project:
    """A folder with sources and tests.

    Arguments:
        root: the folder.
        parts: name of a part -> its folders or files below the root.
        tests: the test files, as a pattern below the root.
        end_to_end: top folder of sources -> test files that run them in processes of their own, which no record sees;
            they are run last.
    """

    root: Path
    parts: dict[str, Sequence[str]]
    tests: Sequence[str]
    end_to_end: dict[str, Sequence[str]] = field(default_factory=dict)

    @property
    def packages(self) -> list[str]:
        """Top folders of the sources."""
        return sorted({path.split("/")[0] for paths in self.parts.values() for path in paths})

    @property
    def results(self) -> Path:
        """The folder of the records of the tests and of the last survivors."""
        return self.root / ".mutation"

    @property
    def equivalents(self) -> Path:
        """The list of changes that change nothing which can be observed, each with a reason."""
        return self.root / "tests" / "mutation" / "equivalent.toml"

    def sources(self, only: Sequence[str]) -> list[str]:
        """The sources of all parts, or of those parts, folders or files alone that ``only`` names."""
        known = [path for paths in self.parts.values() for path in paths]
        chosen = [path for name in only for path in self.parts.get(name, [name])] or known
        found = [file for path in chosen for file in self._python_files(path)]
        if not found or any(not self._python_files(path) for path in chosen):
            raise ValueError(f"only must be among {', '.join(self.parts)}, or a path below {self.root}; got {only!r}")
        return sorted(set(found))

    def _python_files(self, path: str) -> list[str]:
        place = self.root / path
        files = [place] if place.is_file() else place.rglob("*.py")
        return [file.relative_to(self.root).as_posix() for file in files]

    def test_files(self) -> list[str]:
        """All test files."""
        found = {file for pattern in self.tests for file in self.root.glob(pattern)}
        return sorted(file.relative_to(self.root).as_posix() for file in found)

    def reasons(self) -> dict[tuple[str, str, str, int], str]:
        """Key of a change (``Mutation.key``) -> why it is equivalent."""
        if not self.equivalents.exists():
            return {}
        of_files = tomllib.loads(self.equivalents.read_text(encoding="utf-8"))
        return {
            (file, operator, line, occurrence): reason
            for file, reasons in of_files.items()
            for reason, changes in reasons.items()
            for operator, line, *occurrences in changes
            for occurrence in occurrences
        }


def as_equivalent(change: Mutation, difference: str) -> str:
    """The entry that would call a change equivalent, without its reason."""
    text = "'''" + change.text + "'''" if "'" in change.text else f"'{change.text}'"
    after = " ".join(line[2:].strip() for line in difference.splitlines() if line[0] == "+")
    entry = f"['{change.operator}', {text}, {change.occurrence}]"
    return f'["{change.file}"]\n# {after}\n"" = [\n  {entry},\n]\n'
