"""Which backend really takes a step: backends that note what they are asked to do."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from solvers.kernels import BACKENDS, Counts, StepTask


class Log:
    """The memory of the parameters that a kernel has stepped, and by which backend, since the last ``clear``."""

    def __init__(self) -> None:
        self._by: dict[int, str] = {}

    def clear(self) -> None:
        self._by.clear()

    def add(self, backend: str, tasks: Sequence[StepTask]) -> None:
        self._by.update({task.point.data_ptr(): backend for task in tasks})

    def backend_of(self, param: Tensor) -> str:
        """The backend that has stepped the parameter; "plain" where no kernel has."""
        return self._by.get(param.data_ptr(), "plain")


class _Watched:
    """A backend, or tasks that it has prepared, with a note taken of every run."""

    def __init__(self, watched: Any, backend: str, log: Log, tasks: Sequence[StepTask] = ()) -> None:
        self._watched, self._backend, self._log, self._tasks_at_hand = watched, backend, log, tasks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._watched, name)

    def prepare(self, tasks: Sequence[StepTask]) -> "_Watched":
        return _Watched(self._watched.prepare(tasks), self._backend, self._log, tasks)

    def run(self, *arguments: Any) -> Counts:
        self._log.add(self._backend, self._tasks_at_hand)
        return self._watched.run(*arguments)


@contextmanager
def watched_backends() -> Iterator[Log]:
    """Within the context every optimizer that begins its first step goes by watched backends."""
    log, kept = Log(), dict(BACKENDS)
    watched: dict[str, Any] = {name: _Watched(backend, name, log) for name, backend in kept.items()}
    BACKENDS.update(watched)
    try:
        yield log
    finally:
        BACKENDS.update(kept)
