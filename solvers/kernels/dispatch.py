"""Which backend takes a step: chosen per tensor, and a line in the log where one was expected and cannot."""

import logging

from torch import Tensor

from solvers.kernels.contract import Backend, StepTask, plain_memory, unlike
from solvers.kernels.gpu import Triton
from solvers.kernels.native import Native

BACKENDS: dict[str, Backend] = {backend.name: backend for backend in (Native(), Triton())}

_log = logging.getLogger("solvers.kernels")
_said: set[str] = set()


def choose(task: StepTask, gradient: Tensor | None, wanted: str) -> Backend | None:
    """The backend for ``task`` with such a gradient; None for the plain path. ``wanted``: "auto" or a backend's name.

    Logs one line, once per reason, where the device has a backend (or one was named) that cannot do the task.
    """
    if wanted == "plain":
        return None
    for backend in BACKENDS.values():
        if wanted not in (backend.name, "auto") or (wanted == "auto" and backend.device != task.point.device.type):
            continue
        reason = (
            backend.unavailable_reason()
            or plain_memory(task.point)
            or backend.refusal_reason(task)
            or _unfit(gradient, task.point)
        )
        if reason is None:
            return backend
        warn_once(f"the {backend.name} kernel is not used: {reason}; plain torch takes the step")
        return None
    warn_once(f"no kernel for tensors on {task.point.device.type}; plain torch takes the step")
    return None


def _unfit(gradient: Tensor | None, point: Tensor) -> str | None:
    if gradient is None:
        return None
    if gradient.dtype != point.dtype:
        return f"a gradient of {gradient.dtype} beside parameters of {point.dtype}"
    return unlike(point, [gradient])


def warn_once(line: str) -> None:
    """A warning in the log, the first time that it has anything to say."""
    if line not in _said:
        _said.add(line)
        _log.warning(line)
