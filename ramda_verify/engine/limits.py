"""How long a call into a user's code may take, and how many cases there are where it is slow.

A prox that loops for ever would otherwise end the run without a word. The limit is put around the methods of the
object itself, so whoever calls them meets it.
"""

import functools
import inspect
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch

from ramda_verify.engine.record import Pace
from solvers.regularizers.members import OPTIONAL_MEMBERS

#: Seconds that one call of a member may take.
SECONDS = 10.0
#: A call that takes no longer than this is fast; one that takes twice as long gets half of the cases, and so on down to
#: one in FEWEST.
FAST = 2e-3
FEWEST = 20
#: Calls of which the shortest is the pace.
CALLS = 3

#: A member by name, and what it was called with.
Call = tuple[str, tuple[Any, ...]]


class DidNotReturn(BaseException):
    """A call took longer than SECONDS. Not an Exception, so that the code that was called cannot catch it unawares."""


@contextmanager
def limited(regularizer: Any, seconds: float = SECONDS) -> Iterator[None]:
    """Within the context the class of the object stops each call of value, prox and the optional members after
    ``seconds`` by raising DidNotReturn.

    Only in the main thread of a process that has SIGALRM and runs no timer of its own; elsewhere nothing is limited.
    """
    if not _can_ring():
        yield
        return
    replaced: list[tuple[type, str, Any]] = []
    calls: list[Call] = []

    def ring(number: int, frame: FrameType | None) -> None:
        if calls:
            name, arguments = calls[-1]
            raise DidNotReturn(f"{name} did not return in {seconds:g} s for {_given(arguments[1:])}")

    for name in ("value", "prox", *OPTIONAL_MEMBERS):
        owner = next((owner for owner in type(regularizer).__mro__ if name in vars(owner)), object)
        member = vars(owner).get(name)
        if inspect.isfunction(member):
            replaced.append((owner, name, member))
            setattr(owner, name, _limited(name, member, seconds, calls))
    # Once for all calls, which are many: to set a handler takes longer than most of them.
    before = signal.signal(signal.SIGALRM, ring)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)
        for owner, name, member in replaced:
            setattr(owner, name, member)


def _can_ring() -> bool:
    return (
        hasattr(signal, "SIGALRM")
        and threading.current_thread() is threading.main_thread()
        and not signal.getitimer(signal.ITIMER_REAL)[0]
    )


def _limited(name: str, member: Callable[..., Any], seconds: float, calls: list[Call]) -> Callable[..., Any]:
    """``member`` with a timer around it; ``calls`` holds the call that is limited, while there is one."""

    @functools.wraps(member)
    def call(*arguments: Any, **keywords: Any) -> Any:
        if signal.getitimer(signal.ITIMER_REAL)[0]:
            return member(*arguments, **keywords)  # within another limited call, which counts for both
        calls.append((name, arguments))
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            return member(*arguments, **keywords)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            calls.clear()

    return call


def _given(arguments: tuple[Any, ...]) -> str:
    shown = [
        f"a tensor of shape {tuple(a.shape)}"
        if isinstance(a, torch.Tensor) and a.numel() > 12
        else str(a.tolist())
        if isinstance(a, torch.Tensor)
        else repr(a)
        for a in arguments
    ]
    return ", ".join(shown)


def share_of_cases(regularizer: Any, shape: tuple[int, ...]) -> tuple[float, float]:
    """Which share of the cases there is time for, and the seconds that one prox takes on a tensor of ``shape``.

    The shortest of a few calls counts: what else the machine does lengthens one and shortens none.
    """
    w = torch.linspace(-2.0, 3.0, steps=math.prod(shape), dtype=torch.float64).reshape(shape)
    seconds = math.inf
    try:
        for _ in range(CALLS):
            start = time.perf_counter()
            regularizer.prox(w.clone(), 1.0)
            seconds = min(seconds, time.perf_counter() - start)
            if seconds > FAST * FEWEST:
                break  # slow enough, whatever a second call would take
    except (Exception, DidNotReturn):
        return 1.0, 0.0  # the checks report it
    return 1 / min(FEWEST, max(1, round(seconds / FAST))), seconds


def pace_of(regularizer: Any) -> Pace:
    """The pace of a prox on the largest of the small shapes that the checks try."""
    from ramda_verify.cases.strategies import shapes

    shape = max(shapes(regularizer), key=math.prod)
    share, seconds = share_of_cases(regularizer, shape)
    return Pace(seconds, shape, share)
