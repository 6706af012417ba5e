"""The folder of a run: a log with one line per evaluation and a result that is written whole or not at all."""

import json
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ramda_verify.output.writing import why_unwritable, write_whole

RESULT, LOG = "result.json", "log.jsonl"


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
        self._log.write(json.dumps(entry) + "\n")
        self._log.flush()

    def finish(self, result: dict[str, Any]) -> None:
        """Write ``result.json``."""
        write_whole(self.path / RESULT, json.dumps(result, indent=2) + "\n")


def read_run(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Result and log of a finished run. Raises ValueError where ``path`` does not hold one."""
    try:
        result = json.loads((path / RESULT).read_text(encoding="utf-8"))
        lines = (path / LOG).read_text(encoding="utf-8").splitlines()
        log = [json.loads(line) for line in lines]
    except (OSError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not the folder of a finished run: {error}") from error
    if not log:
        raise ValueError(f"{path} is not the folder of a finished run: {LOG} is empty")
    return result, log
