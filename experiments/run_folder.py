"""The folder of a run: a log with one line per evaluation and a result that is written whole or not at all."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ramda_verify.output.documents import Document, DocumentError, Number, Record, from_json, plain, to_json
from ramda_verify.output.writing import why_unwritable, write_whole

RESULT, LOG = "result.json", "log.jsonl"


class LogEntry(Record, frozen=True, kw_only=True):
    """One line of ``log.jsonl``: an epoch as ``measure.Measure.of_point`` describes it."""

    epoch: int
    step: int
    lr: Number
    momentum: Number | None
    objective: Number | None
    objective_gap: Number | None
    stationarity: Number | None
    test_accuracy: Number
    test_accuracy_of_average: Number
    support_size: int
    differing_groups: int
    seconds: Number


class DifferingGroup(Record, frozen=True, kw_only=True):
    """A group on which Ŵ and the certified optimum disagree."""

    index: int
    certified_margin: Number
    certified_zero: bool


class Certified(Record, frozen=True, kw_only=True):
    """The certified optimum."""

    status: str
    objective: Number
    residual: Number
    zero_groups: int
    smallest_zero_margin: Number
    smallest_nonzero_norm: Number
    test_accuracy: Number
    support: list[int]


class RunResult(Document, frozen=True, kw_only=True):
    """``result.json``, schema 1; the first of them were written without a version."""

    schema: int = 1
    task: str
    optimizer: str
    settings: dict[str, Any]
    seed: int
    device: str
    steps: int
    objective: Number
    objective_gap: Number
    stationarity: Number
    test_accuracy: Number
    test_accuracy_of_average: Number
    groups: int
    zero_groups: int
    support: list[int]
    support_stable_from_step: int | None
    identified_from_step: int | None
    differing_groups: list[DifferingGroup]
    certified: Certified
    seconds: Number
    versions: dict[str, str]
    machine: dict[str, Any]
    processor_seconds: Number | None = None
    certificate_seconds: Number | None = None


class RunFolder:
    """A folder claimed for one run; use it as a context. It holds ``log.jsonl`` and, once finished, ``result.json``.

    Raises FileExistsError where a finished run is there already and ``overwrite`` is not set, and OSError where the
    folder cannot be made or written: both at construction, before any work.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        self.path = path
        reason = why_unwritable(path, (RESULT, LOG))
        if reason is not None:
            raise OSError(f"run folder {path} cannot be written: {reason}")
        if (path / RESULT).exists() and not overwrite:
            raise FileExistsError(f"run folder {path} holds a finished run; name another one or use --overwrite")

    def __enter__(self) -> Self:
        # Here and not above: preparing a run that is then refused leaves an old one whole.
        (self.path / RESULT).unlink(missing_ok=True)
        self._log = (self.path / LOG).open("w", encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._log.close()

    def log(self, entry: dict[str, Any]) -> None:
        """Add a line to ``log.jsonl``; ``entry`` has the fields of ``LogEntry``."""
        self._log.write(to_json(LogEntry(**entry), indent=None) + "\n")
        self._log.flush()

    def finish(self, result: dict[str, Any]) -> None:
        """Write ``result.json``; ``result`` has the fields of ``RunResult``."""
        write_whole(self.path / RESULT, to_json(RunResult(**result), indent=2) + "\n")


def read_run(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Result and log of a finished run. Raises ValueError where ``path`` does not hold one."""
    try:
        result = from_json((path / RESULT).read_text(encoding="utf-8"), RunResult, RESULT)
        lines = (path / LOG).read_text(encoding="utf-8").splitlines()
        log = [from_json(line, LogEntry, f"line {number} of {LOG}") for number, line in enumerate(lines, 1)]
    except (OSError, UnicodeDecodeError, DocumentError) as error:
        raise ValueError(f"{path} is not the folder of a finished run: {error}") from error
    if not log:
        raise ValueError(f"{path} is not the folder of a finished run: {LOG} is empty")
    return plain(result), [plain(entry) for entry in log]
