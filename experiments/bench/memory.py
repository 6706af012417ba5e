"""Peak extra memory of an action: what it holds at once beyond what was there before."""

import ctypes
import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.profiler import ProfilerActivity, profile

#: Growth of the resident set counts beyond this multiple of what torch allocates, which leaves room for what the C
#: library keeps of freed blocks, and beyond this noise (pages of code, stacks of threads).
RESIDENT_FACTOR, NOISE_BYTES = 2, 8 * 2**20
_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


class Extra(NamedTuple):
    """Bytes. ``allocated``: by torch's allocator; ``resident``: growth of the resident set's peak, None where the
    system does not tell. ``peak`` is the first, which is exact, unless the second is so much larger that native code
    must have allocated by itself.
    """

    allocated: int
    resident: int | None

    @property
    def peak(self) -> int:
        if self.resident is not None and self.resident > RESIDENT_FACTOR * self.allocated + NOISE_BYTES:
            return self.resident
        return self.allocated


def extra_memory(action: Callable[[], object], device: torch.device) -> Extra:
    """Peak memory of ``action`` beyond what is allocated before. Runs it once on CUDA and twice on the CPU."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        action()
        torch.cuda.synchronize(device)
        return Extra(torch.cuda.max_memory_allocated(device) - before, None)
    return Extra(_allocated_on_cpu(action), _resident_growth(action))


def _allocated_on_cpu(action: Callable[[], object]) -> int:
    """Running maximum of allocations minus frees, as torch's profiler records every one of them."""
    with _silent(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        action()
    held = peak = 0
    for change in _memory_changes(recorded):
        held += change
        peak = max(peak, held)
    return peak


@contextmanager
def _silent() -> Iterator[None]:
    """Standard error goes nowhere: the profiler announces its start and end on it, below Python."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _memory_changes(recorded: Any) -> list[int]:
    """Bytes of every allocation (> 0) and free (< 0) in order of time."""
    events = [event for event in recorded.profiler.kineto_results.events() if event.name() == "[memory]"]
    return [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]


def _resident_growth(action: Callable[[], object]) -> int | None:
    """Growth of the resident set's high-water mark in bytes (Linux), None elsewhere."""
    if not (sys.platform == "linux" and _STATUS.exists() and _CLEAR.exists()):
        return None
    # What the allocator keeps for later would hide what the action takes from it.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    try:
        _CLEAR.write_text("5")
    except OSError:
        return None
    before = _status_bytes("VmRSS")
    action()
    return max(0, _status_bytes("VmHWM") - before)


def _status_bytes(name: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0
