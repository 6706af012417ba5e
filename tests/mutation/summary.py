"""What came out of a sample: a line for each change, a table of the parts, and the survivors with their texts."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.mutation.mutations import Mutation
from tests.mutation.project import Project, as_equivalent
from tests.mutation.trial import SURVIVED, Outcome

EQUIVALENT = "equivalent"
#: The share of the changes that are not equivalent of which a test must notice.
WANTED = 0.95


def line_of(outcome: Outcome, place: int, count: int) -> str:
    """One line of progress."""
    by = f" by {outcome.by}" if outcome.by else f" {outcome.tests} tests"
    return f"[{place:3d}/{count}] {outcome.verdict:10s} {outcome.change}{by} ({outcome.seconds:.0f} s)"


def table(project: Project, outcomes: Sequence[Outcome]) -> str:
    """Counts of each part of the sources, and of all."""
    verdicts = list(dict.fromkeys(outcome.verdict for outcome in outcomes))
    counts: dict[str, Counter[str]] = {}
    for outcome in outcomes:
        for name in (part_of(project, outcome.change), "all"):
            counts.setdefault(name, Counter())[outcome.verdict] += 1
    rows = [["part", "drawn", *verdicts, "died"]]
    for name in sorted(counts, key=lambda name: (name == "all", name)):
        of_part, drawn = counts[name], counts[name].total()
        share = died(of_part[SURVIVED], drawn - of_part[EQUIVALENT])
        rows.append([name, str(drawn), *(str(of_part[verdict]) for verdict in verdicts), f"{share:.1%}"])
    return "\n".join("  ".join(f"{cell:>12s}" for cell in row) for row in rows)


def part_of(project: Project, change: Mutation) -> str:
    """The part of the project in which a change lies."""
    for name, paths in project.parts.items():
        if any(change.file == path or change.file.startswith(f"{path}/") for path in paths):
            return name
    return "other"


def died(survived: int, counted: int) -> float:
    """The share that died of those that are not equivalent; all of none."""
    return 1 - survived / counted if counted else 1.0


def enough(outcomes: Sequence[Outcome]) -> bool:
    """Whether at least 95 % of the changes that are not equivalent died."""
    verdicts = Counter(outcome.verdict for outcome in outcomes)
    return died(verdicts[SURVIVED], verdicts.total() - verdicts[EQUIVALENT]) >= WANTED


def survivors(outcomes: Sequence[Outcome]) -> str:
    """Every survivor: where, what differs, and the entry to fill in where it is equivalent."""
    texts = []
    for outcome in outcomes:
        if outcome.verdict == SURVIVED:
            head = f"{outcome.change.file}:{outcome.change.line} survived {outcome.tests} tests"
            texts.append(f"{head}\n{outcome.difference}\n\n{as_equivalent(outcome.change, outcome.difference)}")
    return "\n".join(texts)


def keep_survivors(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Write the survivors, to be tried again with ``--again``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = [asdict(outcome.change) for outcome in outcomes if outcome.verdict == SURVIVED]
    path.write_text(json.dumps(kept, indent=1), encoding="utf-8")


def kept_survivors(path: Path) -> list[Mutation]:
    """The survivors that were written last, by the names of their fields."""
    return [Mutation(**fields) for fields in json.loads(path.read_text(encoding="utf-8"))]
