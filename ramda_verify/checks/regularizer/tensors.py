"""A regularizer sees the entries of a tensor, not its memory; and in a narrower dtype it computes the same."""

import re
from collections.abc import Sequence
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from ramda_verify import tolerances
from ramda_verify.cases.exact_set import VANISHING
from ramda_verify.cases.strategies import prox_cases
from ramda_verify.checks.helpers import Array, finite, psi_value, shown, size, tensor
from ramda_verify.checks.regularizer.objective import Psi
from ramda_verify.engine.property import check
from ramda_verify.engine.record import Case, Measurement, NothingClaimed
from ramda_verify.engine.scope import DEVICES, DTYPES
from ramda_verify.engine.targets import Target
from ramda_verify.engine.worst import Worst, relative
from solvers.regularizers.base import offers
from solvers.regularizers.members import Regularizer

#: Dtypes narrower than float64, by name; all are tried where a regularizer does not name its own.
NARROW: dict[str, torch.dtype] = {name: getattr(torch, name) for name in DTYPES}

#: In 16 bits only numbers of the size of weights, whose squares float16 holds and whose differences bfloat16 tells.
LARGEST_IN_FLOAT32 = 1e6

RANGE_OF_16_BITS = (1e-3, 30.0)

#: The case is tried at these sizes: a guard against small numbers shows where all are small, a cap where all are large.
SCALES = (1.0, 1e-8, 1e3)

#: What torch says where it has not the operation in a dtype of 16 bits.
LACKING = re.compile("not implemented for|not available|low precision|not supported|not support", re.IGNORECASE)

#: Roundings by which an intermediate result may be off: where that alone moves the exact answer, it may move.
NEARBY = 4

#: Shares of the way from an answer in a narrower dtype to the exact one at which psi is looked at.
ON_THE_WAY = (0.0, 1e-9, 1e-6, 1e-3, 1.0)

#: Up to so many entries a prox has all the accuracy that its dtype gives; beyond, sums of entries lose some.
PLAIN_ENTRIES = 8


def layouts(w: Tensor) -> dict[str, Tensor]:
    """The same tensor in other memory: transposed, with gaps, not at the beginning, channels last."""
    padded = torch.full((*w.shape[:-1], 2 * w.shape[-1]), torch.nan, dtype=w.dtype)
    padded[..., ::2] = w
    behind = torch.full((w.numel() + 3,), torch.nan, dtype=w.dtype)
    behind[3:] = w.reshape(-1)
    found = {
        "transposed storage": w.permute(*reversed(range(w.ndim))).contiguous().permute(*reversed(range(w.ndim))),
        "strided storage": padded[..., ::2],
        "a storage offset": behind[3:].view(w.shape),
    }
    channels_last = {4: torch.channels_last, 5: torch.channels_last_3d}
    if w.ndim in channels_last:
        found["channels_last"] = w.contiguous(memory_format=channels_last[w.ndim])
    return found


@check(
    "layout-invariance",
    claim="prox and value depend on the entries alone, whatever the memory in which they lie.",
    source="the contract of a regularizer",
    kind="regularizer",
    tolerance=tolerances.CLOSED_FORM,
    cases=lambda target: prox_cases(target.instances),
)
def measure_layout(regularizer: Regularizer, w: Array, step: float) -> Measurement:
    """How much prox and value change with the memory in which their input lies, relative to it."""
    given = tensor(w)
    pairs = {name: (other, given) for name, other in layouts(given).items()}
    if given.ndim > 1:
        rows = given[:1].expand_as(given)
        pairs["rows that share their memory"] = rows, rows.clone(memory_format=torch.contiguous_format)
    worst = Worst()
    for name, (other, plain) in pairs.items():
        expected, found = (finite("prox", regularizer.prox(x, step)) for x in (plain, other))
        deviation = float((found - expected).abs().max())
        worst.see(relative(deviation, size(plain, expected)), f"{name} changes prox by {deviation:.3g}")
        value, elsewhere = (float(regularizer.value(x)) for x in (plain, other))
        # Both may be infinite, outside a constraint.
        change = 0.0 if value == elsewhere else relative(abs(elsewhere - value), abs(value) + size(w))
        worst.see(change, f"{name} changes value from {value:.6g} to {elsewhere:.6g}")
    return worst.measurement()


def _cases_in_dtypes(target: Target) -> st.SearchStrategy[Case]:
    """Cases that say which dtypes and devices are tried, where the target does."""
    chosen = {name: getattr(target, name) for name in ("dtypes", "devices") if getattr(target, name)}
    return prox_cases(target.instances).map(lambda case: {**case, **chosen})


def _tried(target: Target) -> str:
    dtypes, devices = target.dtypes or dtypes_of(target.example), target.devices or devices_here()
    return f"{', '.join(dtypes) or 'no narrower dtype'} on {' and '.join(devices)}"


@check(
    "dtype-agreement",
    claim="In each dtype that it supports, on every device at hand, prox agrees with float64 to 8 of its epsilons.",
    source="the contract of a regularizer",
    kind="regularizer",
    tolerance=tolerances.NARROW,
    cases=_cases_in_dtypes,
    scope=_tried,
)
def measure_dtypes(
    regularizer: Regularizer, w: Array, step: float, dtypes: Sequence[str] = (), devices: Sequence[str] = ()
) -> Measurement:
    """How far the prox in a narrower dtype is from that in float64 of the same numbers, in units of its epsilon times
    the largest of them and of the answer; the dtype and the device are kept.

    Tried are ``dtypes`` on ``devices``; where these are empty, the dtypes of the regularizer and all devices.
    """
    worst = Worst()
    for dtype in dtypes or dtypes_of(regularizer):
        for device in devices or devices_here():
            for scale in SCALES:
                _in_a_dtype(regularizer, tensor(scale * w, NARROW[dtype]).to(device), scale * step, worst)
    if not worst.seen:
        raise NothingClaimed("no narrower dtype holds the case")
    return worst.measurement()


def _in_a_dtype(regularizer: Regularizer, narrow: Tensor, step: float, worst: Worst) -> None:
    if not _holds(narrow, step):
        return
    dtype, device = narrow.dtype, narrow.device.type
    try:
        found = regularizer.prox(narrow, step)
    except RuntimeError as error:
        if dtype.itemsize == 2 and not offers(regularizer, "dtypes") and LACKING.search(str(error)):
            return  # torch has not the operation
        raise
    if found.dtype != dtype or found.device != narrow.device:
        worst.see(float("inf"), f"prox returned {found.dtype} on {found.device} for {dtype} on {narrow.device}")
        return
    if not bool(torch.isfinite(found).all()):
        worst.see(float("inf"), f"prox({shown(narrow)}, {step:g}) in {dtype} on {device} is {found.tolist()}")
        return
    if _is_on_an_open_edge(regularizer, found.double(), regularizer.prox(narrow.double(), step)):
        worst.see(float("inf"), f"psi is infinite at prox({shown(narrow)}, {step:g}) in {dtype} on {device}: {found}")
        return
    deviation = _deviation(regularizer, narrow, step, found)
    note = f"prox({shown(narrow)}, {step:g}) in {dtype} on {device} is {deviation:.3g} epsilons away from float64"
    worst.see(deviation, note)


def dtypes_of(regularizer: Regularizer) -> tuple[str, ...]:
    """The dtypes narrower than float64 that the regularizer names, or all three."""
    return tuple(
        name for name, dtype in NARROW.items() if not offers(regularizer, "dtypes") or _names(regularizer, dtype)
    )


def _names(regularizer: Any, dtype: torch.dtype) -> bool:
    return any(named in (dtype, str(dtype).removeprefix("torch.")) for named in regularizer.dtypes)


def devices_here() -> tuple[str, ...]:
    """The devices that torch finds on this machine, of those that are tried."""
    return DEVICES if torch.cuda.is_available() else DEVICES[:1]


def _holds(narrow: Tensor, step: float) -> bool:
    largest = float(narrow.abs().max())
    if narrow.dtype.itemsize > 2:
        return largest < LARGEST_IN_FLOAT32
    low, high = RANGE_OF_16_BITS
    return largest < high and low < step < high and bool((narrow[narrow != 0].abs() > low).all())


def _deviation(regularizer: Regularizer, narrow: Tensor, step: float, found: Tensor) -> float:
    """Epsilons between the answer and the exact one, less what a few roundings of the input make of the exact one: all
    of a jump. Where two answers are as good as each other the distance is of no account.
    """
    kind, wide = torch.finfo(narrow.dtype), narrow.double()
    exact = regularizer.prox(wide, step)
    # A sum that is rounded at every term is off by an epsilon for each.
    unit = kind.eps * size(wide.cpu().numpy(), exact.cpu().numpy()) * max(1.0, wide.numel() / PLAIN_ENTRIES)
    apart = float((found.double() - exact).abs().max()) - kind.tiny
    if relative(apart, unit) <= tolerances.NARROW.value:
        return relative(apart, unit)
    unit = max(unit, kind.eps * Psi(regularizer, tuple(wide.shape)).own_size)
    off = NEARBY * kind.eps
    signs = torch.where(torch.arange(wide.numel(), device=wide.device) % 2 == 0, off, -off).reshape(wide.shape)
    nearby = [
        (wide * (1 + off), step),
        (wide * (1 - off), step),
        (wide * (1 + signs), step),
        (wide * (1 - signs), step),
    ]
    nearby += [(wide, step * (1 + off)), (wide, step * (1 - off))]
    moved = max(float((regularizer.prox(*near) - exact).abs().max()) for near in nearby)
    # Of a set the answer is a point up to the rounding of its own dtype.
    nearest, answer = regularizer.prox(found.double(), VANISHING), found.double()
    if float((nearest - answer).abs().max()) <= tolerances.NARROW.value * unit:
        answer = nearest
    rise = _rise(regularizer, wide, step, answer, exact, kind.eps)
    return min(relative(apart - moved, unit), tolerances.NARROW.value * 2 * rise)


def _is_on_an_open_edge(regularizer: Regularizer, found: Tensor, exact: Tensor) -> bool:
    """Whether psi is infinite at the answer and finite from there on all the way to the exact one, as a barrier is: 0
    for a small positive number. Beside a closed set rounding puts the first part of the way outside, too.
    """
    on_the_way = [psi_value(regularizer, (found + t * (exact - found)).cpu().numpy()) for t in ON_THE_WAY]
    return on_the_way[0] == float("inf") and all(value < float("inf") for value in on_the_way[1:])


def _rise(regularizer: Regularizer, w: Tensor, step: float, found: Tensor, exact: Tensor, eps: float) -> float:
    """How much higher the prox objective is at ``found`` than at ``exact``, in epsilons of its terms."""
    moved = [0.5 * float((z - w).square().sum()) for z in (found, exact)]
    psi = [step * psi_value(regularizer, z.cpu().numpy()) for z in (found, exact)]
    scale = moved[1] + abs(psi[1]) + 0.5 * float(w.square().sum())
    return relative(moved[0] + psi[0] - moved[1] - psi[1], eps * scale)
