"""What a step works on: parameters and gradients of a parameter list, and optimizers in a realistic state."""

import inspect
import math
from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard, runtime_checkable

import torch
from torch import Tensor

from experiments.bench.shapes import ParameterList
from solvers import RAMDA, GroupLasso
from solvers.optimizers import StructuredOptimizer
from solvers.regularizers.members import MetricProx, Scalar

#: Steps before anything is timed, each with a gradient of its own.
WARM_UP_STEPS = 8
LEARNING_RATE = 1e-2
REG_WEIGHT = 1.0
#: Axis of an (out, in, *kernel) weight that numbers the groups (the other axes are inside a group).
GROUP_AXIS = {"input": 1, "channel": 1, "output": 0, "filter": 0}


@runtime_checkable
class Grouped(Protocol):
    """``psi(w) = reg_weight * sum_g sqrt(|g|) ||w_g||`` and its groups, as the benchmark reads them."""

    reg_weight: float
    grouping: str
    layout: str
    conv_groups: int

    def metric_prox(self, B: Tensor, D: Tensor, lam: Scalar, /) -> MetricProx: ...


def grouped(psi: object) -> TypeGuard[Grouped]:
    """Whether ``psi`` is a sum of group norms and nothing else. Raises ValueError where it charges entries as well, or
    where its groups are pairs of a block and an index: no benchmark has a formula for those.
    """
    if not isinstance(psi, Grouped):
        return False
    for name, wanted in (("conv_groups", 1), ("entry_weight", 0)):
        if getattr(psi, name, wanted) != wanted:
            raise ValueError(f"{name} must be {wanted} in a benchmark, got {psi!r}")
    return True


def group_axis(psi: Grouped) -> int:
    """The axis that numbers the groups of ``psi``."""
    axis = GROUP_AXIS[psi.grouping]
    return 1 - axis if psi.layout == "in_out" else axis


@dataclass
class Workload:
    """Initial values and gradients, shared by all contestants.

    The gradients of a group have a size of its own, spread evenly on a logarithmic scale over [0.1, 10] in units of the
    price of the group: half of the groups of every tensor end up at zero.
    """

    shapes: ParameterList
    device: torch.device
    initial: list[Tensor]
    gradients: list[Tensor]
    sizes: list[Tensor]
    generator: torch.Generator

    @property
    def bytes(self) -> int:
        """Memory of one set of parameters."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.initial)

    @property
    def largest_bytes(self) -> int:
        return max(tensor.numel() * tensor.element_size() for tensor in self.initial)

    def new_gradients(self) -> None:
        """Move every gradient on, in place: three quarters of its variance stay, so that sums grow as in training."""
        for gradient, size in zip(self.gradients, self.sizes, strict=True):
            noise = torch.empty_like(gradient).normal_(generator=self.generator)
            gradient.mul_(math.sqrt(0.75)).add_(noise.mul_(size), alpha=0.5)

    def parameters(self) -> list[torch.nn.Parameter]:
        """New parameters at the initial values, whose gradients are the shared ones (the same memory)."""
        found = [torch.nn.Parameter(tensor.clone()) for tensor in self.initial]
        for param, gradient in zip(found, self.gradients, strict=True):
            param.grad = gradient
        return found


def make_workload(shapes: ParameterList, device: torch.device, seed: int = 0) -> Workload:
    """Random float32 parameters of size 0.02 and their first gradients."""
    generator = torch.Generator(device=device).manual_seed(seed)
    initial, gradients, sizes = [], [], []
    for entry in shapes.entries:
        initial.append(torch.empty(entry.shape, device=device).normal_(std=0.02, generator=generator))
        sizes.append(_group_sizes(entry.shape, entry.grouping, device, generator))
        gradients.append(torch.empty(entry.shape, device=device).normal_(generator=generator).mul_(sizes[-1]))
    return Workload(shapes, device, initial, gradients, sizes, generator)


def _group_sizes(
    shape: tuple[int, ...], grouping: str | None, device: torch.device, generator: torch.Generator
) -> Tensor:
    """Size of the gradient in each group, broadcastable to ``shape``."""
    if grouping is None:
        return torch.ones((1,) * len(shape), device=device)
    axis = GROUP_AXIS[grouping]
    count = shape[axis]
    place = torch.randperm(count, device=device, generator=generator)
    sizes = 10 ** ((2 * place + 1) / count - 1)
    return sizes.reshape([count if index == axis else 1 for index in range(len(shape))])


def supports(option: str) -> bool:
    """Whether our optimizers take the option; benchmarks also run against versions that do not."""
    constructors = (RAMDA.__init__, StructuredOptimizer.__init__)
    return any(option in inspect.signature(constructor).parameters for constructor in constructors)


def ramda(workload: Workload, **options: Any) -> RAMDA:
    """RAMDA with group LASSO on new parameters of ``workload``, one parameter group for each grouping."""
    groups: dict[str | None, dict[str, Any]] = {}
    for entry, param in zip(workload.shapes.entries, workload.parameters(), strict=True):
        psi = None if entry.grouping is None else GroupLasso(REG_WEIGHT, entry.grouping)
        group = groups.setdefault(entry.grouping, {"params": [], "regularizer": psi})
        group["params"].append((entry.name, param))
    return RAMDA(list(groups.values()), lr=LEARNING_RATE, **options)


def warmed_up(workload: Workload, steps: int = WARM_UP_STEPS, **options: Any) -> RAMDA:
    """RAMDA after ``steps`` steps; the gradients of the last one stay."""
    optimizer = ramda(workload, **options)
    for _ in range(steps):
        workload.new_gradients()
        optimizer.step()
    return optimizer


def twin(optimizer: RAMDA, workload: Workload, **options: Any) -> RAMDA:
    """Another RAMDA on parameters of its own with the same values and the same state."""
    other = ramda(workload, **options)
    other.load_state_dict(optimizer.state_dict())
    with torch.no_grad():
        for mine, source in zip(parameters_of(other), parameters_of(optimizer), strict=True):
            mine.copy_(source)
    return other


def adamw(workload: Workload, **options: Any) -> torch.optim.AdamW:
    """torch's AdamW on new parameters of ``workload`` after two steps."""
    optimizer = torch.optim.AdamW(workload.parameters(), lr=1e-3, **options)
    for _ in range(2):
        optimizer.step()
    return optimizer


def parameters_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [param for group in optimizer.param_groups for param in group["params"]]


def zero_group_share(optimizer: RAMDA) -> float:
    """Share of the groups of Ŵ that are zero, over all tensors with groups."""
    structured, zero, total = optimizer.structured_iterate(), 0, 0
    for group in optimizer.param_groups:
        if not grouped(group["regularizer"]):
            continue
        for param in group["params"]:
            axis = group_axis(group["regularizer"])
            nonzero = (structured[param] != 0).movedim(axis, 0).flatten(1).any(dim=1)
            zero, total = zero + int((~nonzero).sum()), total + nonzero.numel()
    return zero / max(total, 1)
