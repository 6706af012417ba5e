"""Timing in one process: contestants take turns, round by round. The clock is all that knows the device."""

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch

Action = Callable[[], object]


def seconds_on(device: torch.device, action: Action) -> float:
    """Wall time of ``action`` in seconds, from an idle device to an idle device."""
    if device.type == "cuda":
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize(device)
        begin.record()
        action()
        end.record()
        torch.cuda.synchronize(device)
        return begin.elapsed_time(end) / 1e3
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


class Contestant(NamedTuple):
    """What is timed, and what makes it ready for the next time (not timed)."""

    action: Action
    prepare: Action = lambda: None


class Effort(NamedTuple):
    """How long to measure: at least ``fewest`` rounds, then until ``seconds`` are used up or ``most`` are done."""

    seconds: float
    fewest: int = 5
    most: int = 200
    warm_up: int = 2


def take_turns(
    contestants: Mapping[str, Contestant], *, device: torch.device, effort: Effort, tick: Action = lambda: None
) -> dict[str, list[float]]:
    """Seconds of every contestant in every round.

    The order turns by one place from round to round and is reversed every second round, so that none is always first
    and none always follows the same other. ``tick`` is called after every round.
    """
    names = list(contestants)
    for name in names:
        for _ in range(effort.warm_up):
            contestants[name].prepare()
            contestants[name].action()
    samples: dict[str, list[float]] = {name: [] for name in names}
    started = time.perf_counter()
    for count in range(effort.most):
        if count >= effort.fewest and time.perf_counter() - started > effort.seconds:
            break
        turned = names[count % len(names) :] + names[: count % len(names)]
        for name in reversed(turned) if count % 2 else turned:
            contestants[name].prepare()
            samples[name].append(seconds_on(device, contestants[name].action))
        tick()
    return samples


def captured(step: Action, device: torch.device) -> Action:
    """``step`` captured in a CUDA graph; calling the result replays it. Needs state made by earlier steps."""
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream(device).wait_stream(stream)
    torch.cuda.synchronize(device)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()

    def replay() -> None:
        # The graph works on the memory of what ``step`` belongs to, which has to live as long.
        assert step is not None
        graph.replay()

    return replay
