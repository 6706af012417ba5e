"""The compiled steps mean what the plain ones mean: one step from one state, against plain torch in float64."""

import math
import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from ramda_verify import tolerances
from ramda_verify.cases import compiled, strategies
from ramda_verify.cases.strategies import prox_cases
from ramda_verify.checks.helpers import Array, needs, norm, tensor
from ramda_verify.checks.optimizer.runs import CLASSES, settings_of
from ramda_verify.engine.property import check
from ramda_verify.engine.record import Case, Measurement
from ramda_verify.engine.targets import Target
from ramda_verify.engine.worst import Worst, largest, relative
from ramda_verify.oracles.psi import atoms_of, is_known, priced_entries
from solvers.kernels import BACKENDS
from solvers.regularizers.base import accumulation_dtype
from solvers.regularizers.layout import ORDERS
from solvers.regularizers.members import HasGroupNorms, Regularizer

DTYPES = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16}

#: Sizes around those of vectors and tiles, groups of one entry, one group, long groups.
SHAPES: tuple[tuple[int, ...], ...] = (
    *((2, 3), (1, 1), (1, 9), (9, 1), (17, 33), (70, 3), (3, 70), (300, 20), (5, 300)),
    *((4, 3, 3, 3), (33, 17, 3, 3), (8, 1, 3, 3), (3, 40, 2, 1, 1)),
)

#: Weights of grouped and depthwise convolutions with their numbers of blocks.
GROUPED_SHAPES: tuple[tuple[tuple[int, ...], int], ...] = (
    *(((4, 3), 2), ((6, 5, 2), 3), ((4, 3, 3, 3), 2), ((33, 17, 3, 3), 3), ((48, 5, 3, 3), 8), ((24, 70, 1, 1), 4)),
    *(((8, 1, 3, 3), 8), ((8, 1, 3, 3), 4), ((24, 2, 1, 1), 12)),
)


@cache
def device_of(backend: str) -> str:
    """Where ``backend`` is checked. Without a GPU Triton's interpreter takes its place; it must be chosen before
    anything imports triton, as torch's optimizers do.
    """
    if backend != "triton" or torch.cuda.is_available():
        return BACKENDS[backend].device
    os.environ["TRITON_INTERPRET"] = "1"
    return "cpu"


@check(
    "group-norms-claim",
    claim="group_norms finds psi's groups in the memory of a tensor, however its axes are ordered there.",
    source="the contract of a regularizer",
    kind="regularizer",
    tolerance=tolerances.CLOSED_FORM,
    cases=lambda target: prox_cases(target.instances).map(lambda case: {k: case[k] for k in ("regularizer", "w")}),
    applies=needs("group_norms"),
    share=0.5,
)
def measure_group_norms(regularizer: HasGroupNorms, w: Array) -> Measurement:
    """``group_norms`` against psi itself, on the tensor in three orders of memory, read as memory lies."""
    worst = Worst()
    for memory in ("as it comes", "reversed", "channels last"):
        point = laid_out(tensor(w), memory)
        claim = regularizer.group_norms(point)
        if claim is None:
            # Where psi is not known, neither are its groups: nothing is held against None.
            if is_known(regularizer) and _is_one_array(regularizer, point):
                return Measurement(np.inf, f"no group norms for a tensor without gaps, strides {point.stride()}")
            continue
        if math.prod(claim.shape) != w.size:
            return Measurement(np.inf, f"{claim} does not have the {w.size} entries of the tensor")
        array = point.as_strided((w.size,), (1,)).numpy().reshape(claim.shape)
        norms = sum(norm(array[block, :, group]) for block in range(claim.blocks) for group in range(claim.groups))
        value = claim.weight * norms + claim.entry_weight * float(np.abs(array).sum())
        psi = float(regularizer.value(tensor(w)))
        deviation = 0.0 if value == psi else relative(abs(value - psi), abs(value) + abs(psi))
        worst.see(deviation, f"{memory}: psi(w) = {psi:.6g}, the norms of {claim} add to {value:.6g}")
    if w.size > 1:
        claim = regularizer.group_norms(with_gaps(tensor(w)))
        worst.see(0.0 if claim is None else np.inf, f"{claim} for memory with gaps, where None is asked for")
    return worst.measurement()


def with_gaps(values: torch.Tensor) -> torch.Tensor:
    """The same tensor as every second entry of a larger one."""
    return torch.stack([values, torch.full_like(values, torch.nan)], dim=-1)[..., 0]


def _is_one_array(regularizer: Regularizer, point: torch.Tensor) -> bool:
    """Whether the groups of a known psi are the first and third axis of an array (blocks, outer, groups, inner) in the
    order of memory.
    """
    labels = torch.empty_like(point)
    known = priced_entries(atoms_of(regularizer, tuple(point.shape)), point.numel())
    sets = [] if known is None else [indices for _, indices in known.norms]
    for number, indices in enumerate(sets):
        labels[np.unravel_index(indices, point.shape)] = number
    flat = labels.as_strided((point.numel(),), (1,)).numpy()
    # The first run of equal labels is one index of the axis, unless there is one group only.
    inner = int(np.argmax(flat != flat[0])) if len(sets) > 1 else flat.size
    for blocks in (number for number in range(1, len(sets) + 1) if len(sets) % number == 0):
        if flat.size % (len(sets) * inner):
            continue
        array = flat.reshape(blocks, -1, len(sets) // blocks, inner)
        if (array == array[:, :1, :, :1]).all() and len(np.unique(array[:, 0, :, 0])) == len(sets):
            return True
    return False


def _there_is(backend: str) -> Callable[[Target], str | None]:
    def applies(target: Target) -> str | None:
        device_of(backend)
        reason = BACKENDS[backend].unavailable_reason()
        return None if reason is None else f"the {backend} step cannot run here: {reason}"

    return applies


def laid_out(values: torch.Tensor, memory: str) -> torch.Tensor:
    """The same tensor with its axes in another order in memory: as they come, reversed, or channels last."""
    if memory == "reversed":
        axes = tuple(reversed(range(values.ndim)))
        return values.permute(axes).contiguous().permute(axes)
    if memory == "channels last" and values.ndim == 4:
        return values.contiguous(memory_format=torch.channels_last)
    return values.contiguous()


@check(
    "kernel-step",
    claim="A compiled step gives W, Ŵ and state of the plain step: every method, layout, dtype and grouping.",
    source="solvers/optimizers, evaluated in plain torch and float64",
    kind="optimizer",
    tolerance=tolerances.KERNEL,
    cases=lambda target: _kernel_cases(target, "native", _of_an_axis(), _of_blocks(), _of_entries()),
    applies=_there_is("native"),
    cost=2,
)
@check(
    "gpu-kernel-step",
    claim="So does a step by the Triton kernels, on the GPU or in Triton's interpreter.",
    source="as kernel-step",
    kind="optimizer",
    tolerance=tolerances.KERNEL,
    cases=lambda target: _kernel_cases(target, "triton", _of_an_axis(), _of_entries()),
    applies=_there_is("triton"),
    share=0.2,
    cost=4,
)
@check(
    "gpu-grouped-step",
    claim="And so does one of a grouped or depthwise convolution.",
    source="as kernel-step",
    kind="optimizer",
    tolerance=tolerances.KERNEL,
    cases=lambda target: _kernel_cases(target, "triton", _of_blocks()),
    applies=_there_is("triton"),
    share=0.4,
    cost=4,
)
def measure_kernel(
    optimizer: str,
    backend: str,
    regularizer: Regularizer,
    shape: tuple[int, ...],
    memory: str,
    dtype: str,
    seed: int,
    spread: float,
    steps: int,
    hyper: dict[str, Any],
) -> Measurement:
    """Deviation of W, Ŵ and the state after one kernel step from those of a plain step in float64.

    In units of the epsilon of the sums' dtype times the size of what they are computed from; of the parameter's dtype
    where that is narrower and W was rounded to it.
    """
    generator, device = torch.Generator().manual_seed(seed), device_of(backend)

    def draw() -> torch.Tensor:
        # More small entries than large ones: a deviation is measured against the largest.
        size = 10 ** (spread * (torch.rand(shape, generator=generator, dtype=torch.float64) - 0.75))
        return laid_out((size * torch.randn(shape, generator=generator, dtype=torch.float64)).to(DTYPES[dtype]), memory)

    settings = settings_of(optimizer, **hyper)
    param = torch.nn.Parameter(draw().to(device))
    ours = CLASSES[optimizer]([param], **settings, regularizer=regularizer, backend="plain")
    for _ in range(steps):
        param.grad = draw().to(device)
        ours.step()
    exact_param = torch.nn.Parameter(param.detach().to("cpu", torch.float64, copy=True))
    exact = CLASSES[optimizer]([exact_param], **settings, regularizer=regularizer, backend="plain")
    exact.param_groups[0].update({key: ours.param_groups[0][key] for key in settings})
    # state_dict would cast; a state of wide numbers is what the exact step needs.
    wide = {key: value.cpu().double() if value.ndim else value for key, value in ours.state[param].items()}
    exact.state[exact_param].update({key: value.clone() for key, value in wide.items()})

    ours.backend = backend
    sizes = {key: float(value.abs().max()) for key, value in wide.items() if value.numel()}
    sizes["W"] = float(exact_param.detach().abs().max())
    found: list[torch.Tensor] = []
    expected: list[torch.Tensor] = []
    ours.observers.append(lambda _, w_hat: found.append(w_hat.cpu().double()))
    exact.observers.append(lambda _, w_hat: expected.append(w_hat))
    gradient = draw()
    param.grad, exact_param.grad = gradient.to(device), gradient.double()
    ours.step()
    exact.step()

    form = exact.normal_form(exact_param.detach(), exact.state[exact_param], exact.param_groups[0])
    sizes["Ŵ"] = max(sizes["W"], sizes.get("initial_point", 0.0), float((form.B / form.D).abs().max()))
    eps = torch.finfo(accumulation_dtype(param)).eps
    pairs = {"Ŵ": (found[0], expected[0], eps)}
    # Triton's interpreter rounds to 16 bits towards zero: by an epsilon, not half of one.
    pairs["W"] = (param.detach().cpu().double(), exact_param.detach(), max(eps, torch.finfo(param.dtype).eps / 8))
    sizes["W"] = max(sizes["W"], sizes["Ŵ"])
    for key, value in exact.state[exact_param].items():
        pairs[key] = (ours.state[param][key].cpu().double(), value, eps)
    worst = Worst()
    for key, (mine, right, unit) in pairs.items():
        scale = largest([sizes[key], float(right.abs().max())]) + float(np.finfo(np.float32).tiny)
        violation = relative(float((mine - right).abs().max()), unit * scale)
        worst.see(violation, f"{key} is {violation:.3g} units of rounding from the plain step in float64")
    return worst.measurement()


def _weights() -> st.SearchStrategy[float]:
    return st.sampled_from([0.1, 1.0, 0.01, 0.0, 10.0])


def _of_an_axis() -> st.SearchStrategy[Case]:
    """``regularizer`` and ``shape``: groups that are the indices of an axis."""
    return st.sampled_from(SHAPES).flatmap(lambda shape: _of_a_shape(shape, compiled.on_axes(shape)))


def _of_entries() -> st.SearchStrategy[Case]:
    return st.sampled_from(SHAPES).flatmap(lambda shape: _of_a_shape(shape, compiled.of_entries()))


def _of_blocks() -> st.SearchStrategy[Case]:
    """Groups that are pairs (block, index) of a grouped convolution."""

    def of(case: tuple[tuple[int, ...], int]) -> st.SearchStrategy[Case]:
        shape, blocks = case
        return _of_a_shape(shape, [psi for order in ORDERS for psi in compiled.in_blocks(order, blocks, shape)])

    return st.sampled_from(GROUPED_SHAPES).flatmap(of)


def _of_a_shape(shape: tuple[int, ...], examples: Sequence[Any]) -> st.SearchStrategy[Case]:
    """The examples with other weights."""
    regularizers = strategies.instances(examples, _weights())
    return st.fixed_dictionaries({"regularizer": regularizers, "shape": st.just(shape)})


def _kernel_cases(target: Target, backend: str, *regularized: st.SearchStrategy[Case]) -> st.SearchStrategy[Case]:
    hyper = st.fixed_dictionaries(
        {
            "lr": st.sampled_from([0.1, 0.01, 1.0]),
            "momentum": st.sampled_from([0.1, 1.0, 0.5]),
            "decay": st.sampled_from([0.0, 0.1]),
            "amsgrad": st.booleans(),
        }
    )
    rest = st.fixed_dictionaries(
        {
            "optimizer": st.just(target.name),
            "backend": st.just(backend),
            "memory": st.sampled_from(["as it comes", "reversed", "channels last"]),
            "dtype": st.sampled_from(list(DTYPES)),
            "seed": st.integers(0, 2**16),
            "spread": st.sampled_from([0.0, 2.0, 6.0]),
            "steps": st.integers(1, 3),
            "hyper": hyper,
        }
    )
    return st.builds(lambda one, other: {**one, **other}, st.one_of(*regularized), rest)
