"""Processes that run one task at a time: one that dies takes its own task along and no other.

A pool of the standard library gives up all that waits where one process ends. Here it is replaced, and its task comes
back as ``Died``.
"""

import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from pickle import UnpicklingError
from pkgutil import resolve_name
from types import TracebackType
from typing import Any, Self

from ramda_verify.engine.streams import ERROR, OUTPUT
from ramda_verify.output.machine import usable_processors

Task = Callable[[], Any]
#: Seconds in which a process that has closed its connection must end.
GRACE = 5.0


@dataclass(frozen=True)
class Died:
    """What comes back of a task in which the process ended; a negative ``exit_code`` is the signal that killed it."""

    exit_code: int

    @property
    def killed_from_outside(self) -> bool:
        """Whether it was killed as the system or a user kills a process, so that nothing is known of the task."""
        return self.exit_code in (-signal.SIGTERM, -getattr(signal, "SIGKILL", signal.SIGTERM))

    def __str__(self) -> str:
        if self.exit_code >= 0:
            return f"the process ended with exit status {self.exit_code}"
        try:
            name = signal.Signals(-self.exit_code).name
        except ValueError:
            name = f"signal {-self.exit_code}"
        return f"the process was ended by {name}"


class Workers:
    """``count`` processes, as a context; at its end, also by Ctrl-C, they are killed at once.

    Arguments:
        count: how many, at least 1.
        prepare: the function that each process calls first, as "package.module:name", so that it need not be imported
            here; the processes import it while this one goes on.
        arguments: its arguments.
    """

    def __init__(self, count: int, prepare: str, *arguments: Any) -> None:
        self._start = lambda: _Worker(prepare, arguments)
        self._workers = [self._start() for _ in range(count)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.kill()
        for worker in self._workers:
            worker.process.join()

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Any]]:
        """(place of the task, what it returned or Died), in order of completion. Tasks are sent by pickling."""
        waiting, busy = deque(range(len(tasks))), dict[_Worker, int]()
        while waiting or busy:
            for place, worker in enumerate(self._workers):
                if waiting and worker not in busy:
                    if not worker.send(tasks[waiting[0]]):
                        worker = self._workers[place] = self._start()
                        worker.send(tasks[waiting[0]])
                    busy[worker] = waiting.popleft()
            for worker in _ready(list(busy)):
                task = busy.pop(worker)
                found = worker.receive()
                if isinstance(found, Died) and waiting:
                    self._workers[self._workers.index(worker)] = self._start()
                elif isinstance(found, Died):
                    self._workers.remove(worker)
                yield task, found
            if not self._workers:
                self._workers.append(self._start())


class _Worker:
    def __init__(self, prepare: str, arguments: tuple[Any, ...]) -> None:
        context = get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other, prepare, arguments), daemon=True)
        with _interrupts_held():
            self.process.start()
        other.close()

    def send(self, task: Task) -> bool:
        """False where the process is no more."""
        try:
            self.connection.send(task)
        except OSError:
            self._end()
            return False
        return True

    def receive(self) -> Any:
        """What the task returned; Died where the process has ended without an answer."""
        try:
            if self.connection.poll():
                return self.connection.recv()
        except (EOFError, OSError, UnpicklingError):
            pass
        self._end()
        return Died(self.process.exitcode or 0)

    def _end(self) -> None:
        """Wait for the end of a process that cannot be talked to any more; one that goes on regardless is killed."""
        self.process.join(GRACE)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()

    def kill(self) -> None:
        self.process.kill()
        self.connection.close()


def _ready(workers: Sequence[_Worker]) -> list[_Worker]:
    """Wait until some of them have answered or ended."""
    waited = {worker.connection: worker for worker in workers} | {worker.process.sentinel: worker for worker in workers}
    return list(dict.fromkeys(waited[which] for which in wait(list(waited))))  # type: ignore[index]


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Within the context Ctrl-C waits; a process that is started within it never meets one. Its parent ends it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Where it is not running yet, starting a process starts it first, and that lets interrupts in again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, prepare: str, arguments: tuple[Any, ...]) -> None:
    """The process: answer one task after the other until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What a task prints is for whoever watches, not part of the output of the command.
    sys.stdout = sys.stderr
    with suppress(OSError):
        os.dup2(ERROR, OUTPUT)
    resolve_name(prepare)(*arguments)
    while True:
        try:
            task = connection.recv()
        except (EOFError, OSError):
            return
        found = task()
        try:
            connection.send(found)
        except OSError:
            return


def started(count: int) -> Workers:
    """Processes that run checks, with the path of imports that this one has now."""
    return Workers(count, "ramda_verify.engine.runner:prepare_worker", sys.path)


def default_workers() -> int:
    """One worker per processor that this process may use."""
    return usable_processors()
