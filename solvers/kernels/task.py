"""What a fused kernel is asked to do, and what it must be able to say."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor

from solvers.regularizers.base import GroupNorms


class Recurrence(NamedTuple):
    """The elementwise part of a method, by the name under which every backend knows it.

    ``state`` names the state tensors in the order in which the kernels take them. With W the parameter, G the gradient
    and k the coefficients in order:

    ===============  =========  ============================================  =================  ==============
    name             state      update                                        D                  B
    ===============  =========  ============================================  =================  ==============
    ramda            W0, V, U   V += k0*G, U += k0*G*G                        cbrt(U) + k1       D*W0 - V
    rmda             W0, V      V += k0*G                                     k1                 D*W0 - V
    proxsgd          m          m = (1-k0)*m + k0*G                           1                  W - k1*m
    proxgen          m, v       m += k1*(G-m), v = k2*v + k3*G*G              k4*sqrt(v) + k5    D*k0*W - k6*m
    proxgen_amsgrad  m, v, x    the same, x = max(x, v)                       k4*sqrt(x) + k5    D*k0*W - k6*m
    subproblem       B, D       none                                          D                  B
    ===============  =========  ============================================  =================  ==============
    """

    name: str
    state: tuple[str, ...]


@dataclass
class StepTask:
    """One parameter tensor's step: What minimises ``1/2<Z,D*Z> - <B,Z> + lam*psi(Z)``, B and D as the recurrence says,
    psi as ``norms`` says.

    ``point`` becomes ``(1-mix)*point + mix*What``, entries up to ``flush`` in size set to zero, unless ``averages`` is
    False. ``structured``, where given, becomes What; it has the dtype of the state: float32 for 16-bit points, else
    theirs. ``gradient`` None leaves the state as it is. ``scalars`` are (lam, mix, k0, k1, ...).

    Where B, D or the solution is not finite or the norm equation was not solved, the entries of the group (an entry
    alone, where groups have one) get What = ``point``.
    """

    recurrence: Recurrence
    point: Tensor
    gradient: Tensor | None
    state: tuple[Tensor, ...]
    norms: GroupNorms
    flush: float
    structured: Tensor | None = None
    averages: bool = True
    scalars: tuple[float, ...] = ()

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All tensors of the task, which must lie in memory alike."""
        optional = (self.gradient, self.structured)
        return (self.point, *(tensor for tensor in optional if tensor is not None), *self.state)


class Backend(Protocol):
    """A compiled way to take steps. It defines no meaning: the plain path in torch does, and the suite compares."""

    name: str
    #: The device type it is chosen for by itself.
    device: str

    def missing(self) -> str | None:
        """Why the backend cannot run at all here, or None."""
        ...

    def refusal(self, task: StepTask) -> str | None:
        """Why it cannot do ``task``, or None, from the headers of the tensors alone."""
        ...

    def run(self, tasks: list[StepTask], scalars: Tensor | None = None) -> Tensor:
        """Do all tasks, which are of one recurrence; returns how many groups of each got What = point, as an int64
        tensor on their device. ``scalars`` of shape (tasks, numbers), on the device, takes the place of the tasks' own.
        """
        ...


def unlike(task: StepTask) -> str | None:
    """What keeps the tensors of ``task`` from being walked through together, or None."""
    first = task.point
    for tensor in task.tensors:
        if tensor.shape != first.shape or tensor.stride() != first.stride():
            return f"strides {tensor.stride()} beside {first.stride()}"
        if tensor.device != first.device:
            return f"tensors on {tensor.device} and {first.device}"
    return None
