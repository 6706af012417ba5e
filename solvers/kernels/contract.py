"""What a fused kernel has to do, and what it reports."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor

from solvers.regularizers.members import GroupNorms

#: Classes whose tensors are what their memory holds. (torch.nn.Buffer makes tensors of the first.)
_PLAIN_TYPES = (Tensor, torch.nn.Parameter)


class Recurrence(NamedTuple):
    """The elementwise part of a method, by the name under which every backend knows it.

    ``state`` names the state tensors in the order in which the kernels take them. With W the parameter, G the gradient
    and k the coefficients in order:

    ===============  =========  ============================================  =================  ==============
    name             state      update                                        D                  B
    ===============  =========  ============================================  =================  ==============
    ramda            W0, V, U   V += k0*G, U += k0*G*G                        P + k2             P*W0 - V
    rmda             W0, V      V += k0*G                                     k1 + k2            k1*W0 - V
    proxsgd          m          m = (1-k0)*m + k0*G                           1                  k2*W - k1*m
    proxgen          m, v       m += k1*(G-m), v = k2*v + k3*G*G              k4*sqrt(v) + k5    D*k0*W - k6*m
    proxgen_amsgrad  m, v, x    the same, x = max(x, v)                       k4*sqrt(x) + k5    D*k0*W - k6*m
    subproblem       B, D       none                                          D                  B
    ===============  =========  ============================================  =================  ==============

    with P = cbrt(U) + k1. ``coefficients`` is the number of k's.
    """

    name: str
    state: tuple[str, ...]
    coefficients: int


@dataclass(frozen=True)
class StepTask:
    """The steps of one parameter tensor: Ŵ minimises ``1/2<Z,D*Z> - <B,Z> + lam*psi(Z)``, B and D as the recurrence
    says, psi as ``norms`` says.

    ``point`` becomes ``(1-mix)*point + mix*Ŵ``, entries up to ``flush`` in size set to zero, unless ``averages`` is
    False. The state has the dtype of the sums: float32 for 16-bit points, else theirs.

    A weight of entries shrinks B by ``lam*entry_weight`` (a soft threshold), after which the group norms are left.

    Where B or D is not finite, ``point`` cannot hold the solution or the norm equation was not solved, the group (an
    entry alone, where psi is a sum over entries) gets Ŵ = ``point`` and keeps its values bit for bit.
    """

    recurrence: Recurrence
    point: Tensor
    state: tuple[Tensor, ...]
    norms: GroupNorms
    flush: float
    averages: bool = True


#: A tensor, or none, for every task.
OptionalTensors = Sequence[Tensor | None]
#: A row of numbers for every task: a float64 tensor on the CPU or on the tasks' device, or lists of Python's numbers.
Scalars = Tensor | Sequence[Sequence[float]]


#: A number for every task: Python's integers, or an int64 tensor of shape (tasks,) on the tasks' device, which is read
#: only by those who wait for the device.
Integers = Tensor | Sequence[int]


class Counts(NamedTuple):
    """What became of the groups of each task.

    ``kept`` are the groups (entries, where psi is a sum over entries) that got Ŵ = ``point``, ``zero`` those whose Ŵ
    psi has made exactly zero; 0 where lam*psi is zero, since psi then makes none.
    """

    kept: Integers
    zero: Integers


class Prepared(Protocol):
    """Tasks of one recurrence, to be done as often as their tensors stay where they are."""

    def run(self, scalars: Scalars, gradients: OptionalTensors, structured: OptionalTensors) -> Counts:
        """Do all tasks. ``scalars`` has a row (lam, mix, k0, k1, ...) for each.

        A gradient None leaves the state as it is. A ``structured`` tensor becomes Ŵ; it has the dtype of the state.
        Both lie in memory as the point does.
        """
        ...


class Backend(Protocol):
    """A compiled way to take steps. It defines no meaning: the plain path in torch does, and the suite compares."""

    name: str
    #: The device type it is chosen for by itself.
    device: str

    def unavailable_reason(self) -> str | None:
        """Why the backend cannot run at all here, or None."""
        ...

    def refusal_reason(self, task: StepTask) -> str | None:
        """Why it cannot do ``task``, or None, from the headers of the tensors alone."""
        ...

    def prepare(self, tasks: Sequence[StepTask]) -> Prepared:
        """All that does not change from step to step."""
        ...


def plain_memory(tensor: Tensor) -> str | None:
    """Why the memory of ``tensor`` is not its value, or None where it is: a strided block of numbers at ``data_ptr``.

    A kernel reads memory. Of a tensor with torch's negative bit, of one that is known to be zero without having memory,
    of a wrapper (torch.func's, functionalization's) and of a subclass (DTensor, fake tensors, ...), whose operations
    may mean anything, memory holds something else, or there is none.
    """
    if type(tensor) not in _PLAIN_TYPES:
        return f"a tensor of the class {type(tensor).__name__}"
    if tensor.layout != torch.strided:
        return f"a tensor of layout {tensor.layout}"
    if tensor.is_neg() or tensor.is_conj() or tensor._is_zerotensor():
        return "a tensor whose values are not those in its memory (negative, conjugate or zero bit)"
    if is_functorch_wrapped_tensor(tensor) or torch._is_functional_tensor(tensor):
        return "a tensor that wraps another one"
    return None


def numbers_in(vector: Tensor) -> list[Any]:
    """The entries of a vector as Python's numbers. Wrappers and subclasses refuse ``tolist``, but not ``item``."""
    return vector.tolist() if plain_memory(vector) is None else [entry.item() for entry in vector]


def unlike(point: Tensor, others: Iterable[Tensor]) -> str | None:
    """What keeps ``others`` from being walked through together with ``point``, or None."""
    for tensor in others:
        reason = plain_memory(tensor)
        if reason is not None:
            return reason
        if tensor.shape != point.shape or tensor.stride() != point.stride():
            return f"strides {tensor.stride()} beside {point.stride()}"
        if tensor.device != point.device:
            return f"tensors on {tensor.device} and {point.device}"
    return None
