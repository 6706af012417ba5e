"""A subproblem by itself, where a kernel knows its regularizer."""

import torch
from torch import Tensor

from solvers.kernels.contract import Recurrence, StepTask, plain_memory
from solvers.kernels.dispatch import choose
from solvers.regularizers.base import offers, redefined_by
from solvers.regularizers.groups import memory_order
from solvers.regularizers.members import GroupNorms, Regularizer, Scalar

#: No method: the "state" is B and D themselves.
SUBPROBLEM = Recurrence("subproblem", ("B", "D"), 0)


def group_norms(regularizer: Regularizer, w: Tensor) -> GroupNorms | None:
    """psi as a sum of group norms, where the regularizer's own class says that it is one.

    A class that changes psi or its prox and inherits ``group_norms`` has not said so: its parent has.
    """
    if not offers(regularizer, "group_norms") or redefined_by(regularizer, "group_norms") is not None:
        return None
    return regularizer.group_norms(w)


def no_group_norms_reason(regularizer: Regularizer, w: Tensor) -> str:
    """Why ``group_norms`` is None for a regularizer that offers it."""
    owner = redefined_by(regularizer, "group_norms")
    if owner is not None:
        return f"a regularizer of the class {owner}, which defines psi or its prox and inherits group_norms"
    if memory_order(w) is None:
        return "a parameter whose memory has gaps or overlaps"
    return (
        f"the groups of {type(regularizer).__name__} in a parameter of shape {tuple(w.shape)} and strides {w.stride()} "
        "are no array (blocks, outer, groups, inner) in memory"
    )


def subproblem_by_kernel(
    B: Tensor, D: Tensor, lam: Scalar, regularizer: Regularizer, wanted: str = "auto"
) -> Tensor | None:
    """``argmin 1/2<Z,D*Z> - <B,Z> + lam*psi(Z)``; None where no kernel takes it or finds a finite solution.

    On the CPU, in float32 and float64, for tensors without gaps that lie in memory alike. ``wanted`` as for ``choose``.
    """
    known = B.device.type == "cpu" and B.dtype in (torch.float32, torch.float64)
    if not known or plain_memory(B) is not None or plain_memory(D) is not None:
        return None
    norms = group_norms(regularizer, B)
    if norms is None or B.stride() != D.stride():
        return None
    B, D = B.detach(), D.detach()
    found = torch.empty_like(B)
    task = StepTask(SUBPROBLEM, B, (B, D), norms, flush=0.0, averages=False)
    backend = choose(task, None, wanted)
    if backend is None:
        return None
    counts = backend.prepare([task]).run([[float(lam), 1.0]], [None], [found])
    return None if any(counts.kept) else found
